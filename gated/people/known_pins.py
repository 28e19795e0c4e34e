"""All PINs of a gate in memory, and the search for the owner of an entered PIN. Right and wrong
PINs take equal time.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from gated.people.credential import Credential, by_kind
from gated.people.pin_verifiers import (
    BUCKET_BYTES,
    NOBODYS,
    VERIFIER_BYTES,
    Recipe,
    as_verifier,
    bucket,
    kind_of,
    recipe_of,
    secret_of,
    verifier,
)
from gated.storage.vault import PIN, Vault
from gated.types import SubjectId

MOST_SALTS = 3
"""Maximum number of salts. Each salt costs one more argon2 run for every entered PIN. The office has one salt, and this
gate may have another.
"""


class KnownPins:
    """All PINs that were stored at one moment."""

    def __init__(self, vault: Vault, rows: Iterable[Credential] = ()) -> None:
        """Load the PINs. `rows`: all stored credentials. Rows that are no PIN or have an unknown format are skipped."""
        self._vault = vault
        self._shared: dict[Recipe, dict[bytes, list[Credential]]] = {}
        self._alone: dict[bytes, list[tuple[Recipe, Credential]]] = {}
        for row in (as_verifier(vault, row) for row in by_kind(rows)[1]):
            recipe = recipe_of(row.pin_hash)
            if recipe is not None and len(row.digest) == VERIFIER_BYTES:
                self._shared.setdefault(recipe, {}).setdefault(row.digest, []).append(row)
            elif recipe is not None and len(row.digest) == BUCKET_BYTES + VERIFIER_BYTES:
                self._alone.setdefault(row.digest[:BUCKET_BYTES], []).append((recipe, row))
        most = Counter({recipe: len(found) for recipe, found in self._shared.items()}).most_common(MOST_SALTS)
        self._shared = {recipe: self._shared[recipe] for recipe, _ in most}

    @property
    def salt(self) -> bytes | None:
        """Return the salt for a new PIN: the salt that most PINs share; None without one."""
        return next((recipe.salt for recipe in self._shared if recipe == Recipe(recipe.salt)), None)

    @property
    def cost(self) -> int:
        """Return the number of argon2 runs for each entered PIN."""
        return max(1, len(self._shared) + max(map(len, self._alone.values()), default=0))

    def find(self, digits: str, fits: Callable[[SubjectId | None], bool] = lambda _: True) -> Credential | None:
        """Return the credential of an entered PIN, with `is_duress` set; None without a match. `fits`: whether a person
        counts.

        The returned `id` is the person's id, the same for both PINs. So the record of a use does not show which row
        matched. Runs argon2 `cost` times.
        """
        found = self.match(digits, fits)
        return None if found is None else replace(found[0], id=str(found[0].subject), is_duress=found[1])

    def match(
        self, digits: str, fits: Callable[[SubjectId | None], bool] = lambda _: True
    ) -> tuple[Credential, bool] | None:
        """Return the matching row, and whether the entered PIN is a duress PIN; None without a match. `fits`: as in
        `find`.
        """
        found = [*self._found_by_salt(digits), *self._found_alone(digits)]
        return next((each for each in found if fits(each[0].subject)), None)

    def present(self, pin: Credential) -> Credential | None:
        """Return the stored row of a PIN that was entered before; None if it was removed or replaced. No argon2."""
        rows = [row for shared in self._shared.values() for row in shared.get(pin.digest, ())]
        rows += [row for _, row in self._alone.get(pin.digest[:BUCKET_BYTES], ())]
        return next((row for row in rows if (row.digest, row.subject) == (pin.digest, pin.subject)), None)

    def _found_by_salt(self, digits: str) -> list[tuple[Credential, bool]]:
        secret, key = secret_of(digits), self._vault.key_for(PIN)
        found = []
        for recipe, rows in self._shared.items():
            result = recipe.result(secret)
            for kind in (False, True):
                found += [(row, kind) for row in rows.get(verifier(key, result, is_duress=kind), ())]
        return found

    def _found_alone(self, digits: str) -> list[tuple[Credential, bool]]:
        peppered, key = self._vault.digest("pin", digits), self._vault.key_for(PIN)
        rows, found = self._alone.get(bucket(self._vault, digits), []), []
        for recipe, row in rows:
            kind = kind_of(key, recipe.result(peppered), row.digest[BUCKET_BYTES:])
            found += [] if kind is None else [(row, kind)]
        for _ in range(self.cost - len(self._shared) - len(rows)):
            NOBODYS.result(peppered)
        return found

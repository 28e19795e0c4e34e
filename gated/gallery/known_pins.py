"""All PINs of a gate in memory, and whose is the one that is typed: at the same cost for each, right or wrong."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from gated.gallery.entitlement import Credential
from gated.gallery.vault import PIN, Vault
from gated.gallery.verifiers import (
    BUCKET_BYTES,
    NOBODYS,
    VERIFIER_BYTES,
    Recipe,
    bucket,
    kind_of,
    recipe_of,
    secret_of,
    veiled,
    verifier,
)
from gated.types import SubjectId

MOST_SALTS = 3
"""Each costs argon2 once more for every PIN that is typed. The office has one, this gate may have another."""


class KnownPins:
    """Those that were stored at one moment."""

    def __init__(self, vault: Vault, rows: Iterable[Credential] = ()) -> None:
        """`rows`: every credential that is stored; what is no PIN, or an odd one, is passed over."""
        self._vault = vault
        self._shared: dict[Recipe, dict[bytes, list[Credential]]] = {}
        self._alone: dict[bytes, list[tuple[Recipe, Credential]]] = {}
        for row in (veiled(vault, row) for row in rows if row.way == "pin"):
            recipe = recipe_of(row.pin_hash)
            if recipe is not None and len(row.digest) == VERIFIER_BYTES:
                self._shared.setdefault(recipe, {}).setdefault(row.digest, []).append(row)
            elif recipe is not None and len(row.digest) == BUCKET_BYTES + VERIFIER_BYTES:
                self._alone.setdefault(row.digest[:BUCKET_BYTES], []).append((recipe, row))
        most = Counter({recipe: len(found) for recipe, found in self._shared.items()}).most_common(MOST_SALTS)
        self._shared = {recipe: self._shared[recipe] for recipe, _ in most}

    @property
    def salt(self) -> bytes | None:
        """The salt that most of them share, for another one."""
        return next((recipe.salt for recipe in self._shared if recipe == Recipe(recipe.salt)), None)

    @property
    def cost(self) -> int:
        """How often argon2 is asked about every PIN that is typed."""
        return max(1, len(self._shared) + max(map(len, self._alone.values()), default=0))

    def find(self, digits: str, fits: Callable[[SubjectId | None], bool] = lambda _: True) -> Credential | None:
        """Whose PIN this is, as a credential that says whether it is a duress PIN; `fits`: of whom it counts.

        Its `id` is that of the person, the same for both of their PINs: what is written down of its use tells nobody
        which row it was. Takes argon2's time, `cost` times.
        """
        found = self.match(digits, fits)
        return None if found is None else replace(found[0], id=str(found[0].subject), is_duress=found[1])

    def match(
        self, digits: str, fits: Callable[[SubjectId | None], bool] = lambda _: True
    ) -> tuple[Credential, bool] | None:
        """The same: its row, and whether it is a duress PIN."""
        found = [*self._found_by_salt(digits), *self._found_alone(digits)]
        return next((each for each in found if fits(each[0].subject)), None)

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

"""PIN verifiers: neither a stolen gate nor time measurements reveal a PIN or show which PIN is the duress PIN. Pure
functions.

Setting a PIN runs argon2id once: digits and a salt give a result. A gate stores a verifier: a digest of the result
under the gate's key. A duress PIN has a different digest of the same kind and length. So only the result shows which of
a person's PINs it is, and only the right digits give the result.

All PINs of a site share one salt, so every entered PIN costs one argon2 run. Rows from before verifiers have separate
salts, and are found by 12 bits of a keyed digest. These bits identify no PIN: 244 PINs of six digits share one bucket.
"""

import base64
import binascii
import hmac
import re
import secrets
from dataclasses import dataclass, replace
from functools import lru_cache

from argon2.low_level import Type, hash_secret_raw

from gated.people.credential import Credential
from gated.storage.vault import PIN, Vault

MEMORY_KIB, ROUNDS = 12288, 3
"""argon2id parameters: 12 MiB, 3 rounds, 1 lane (OWASP Password Storage Cheat Sheet). OWASP rates them equal to 19 MiB
and 2 rounds. The smaller memory suits a brain with a limit of 80 MB.
"""
MOST_MEMORY_KIB, MOST_ROUNDS = 65536, 10
"""Largest accepted parameters of a stored row. This gate never stores larger ones."""
RESULT_BYTES, SALT_BYTES, VERIFIER_BYTES = 32, 16, 32
BUCKET_BITS, BUCKET_BYTES = 12, 2
PLAIN, DURESS = b"pin", b"duress"
RECIPE = re.compile(
    r"\$argon2id\$v=19\$m=(?P<m>[0-9]{1,7}),t=(?P<t>[0-9]{1,3}),p=1\$(?P<salt>[A-Za-z0-9+/]{11,86})"
    r"(?:\$(?P<hash>[A-Za-z0-9+/]{43}))?"
)
"""The standard argon2 text format without the hash, because the verifier replaces the hash. Rows from before verifiers
include the hash.
"""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One set of argon2 parameters with its salt."""

    salt: bytes
    memory_kib: int = MEMORY_KIB
    rounds: int = ROUNDS

    def result(self, secret: bytes) -> bytes:
        """Return the argon2id result, 32 bytes. Slow by design."""
        return hash_secret_raw(secret, self.salt, self.rounds, self.memory_kib, 1, RESULT_BYTES, Type.ID)

    def __str__(self) -> str:
        """Return the recipe in stored form."""
        return f"$argon2id$v=19$m={self.memory_kib},t={self.rounds},p=1${_base64(self.salt)}"


NOBODYS = Recipe(bytes(SALT_BYTES))
"""Recipe for dummy argon2 runs. It belongs to no PIN, and costs as much as the recipe of a real PIN."""


def new_salt() -> bytes:
    """Return a random salt for the PINs of a site, or of a gate without an office."""
    return secrets.token_bytes(SALT_BYTES)


def secret_of(digits: str) -> bytes:
    """Return the entered digits as bytes for argon2."""
    return digits.encode("utf-8", "surrogatepass")


def verifier(key: bytes, result: bytes, *, is_duress: bool) -> bytes:
    """Return the verifier of a PIN that a gate with this key stores, 32 bytes."""
    return hmac.digest(key, (DURESS if is_duress else PLAIN) + result, "sha256")


def kind_of(key: bytes, result: bytes, kept: bytes) -> bool | None:
    """Return whether the result belongs to the stored verifier: True as a duress PIN, False as a normal PIN, None if
    not.
    """
    plain, duress = (hmac.compare_digest(kept, verifier(key, result, is_duress=kind)) for kind in (False, True))
    return duress if plain or duress else None


def stored(vault: Vault, digits: str, salt: bytes, *, is_duress: bool) -> tuple[bytes, str]:
    """Return a PIN in stored form: verifier and recipe. Runs argon2."""
    recipe = Recipe(salt)
    return verifier(vault.key_for(PIN), recipe.result(secret_of(digits)), is_duress=is_duress), str(recipe)


def stored_alone(vault: Vault, digits: str, *, is_duress: bool) -> tuple[bytes, str]:
    """Return a PIN in stored form with a separate salt, as for PINs from before verifiers. Runs argon2."""
    recipe = Recipe(new_salt())
    kept = verifier(vault.key_for(PIN), recipe.result(vault.digest("pin", digits)), is_duress=is_duress)
    return bucket(vault, digits) + kept, str(recipe)


@lru_cache(maxsize=16)
def recipe_of(stored: str | None) -> Recipe | None:
    """Return the recipe of a row; None for an invalid recipe or one that would take too long."""
    found = RECIPE.fullmatch(stored or "")
    if found is None or int(found["m"]) > MOST_MEMORY_KIB or not 0 < int(found["t"]) <= MOST_ROUNDS:
        return None
    salt = _unbase64(found["salt"])
    return None if salt is None or int(found["m"]) < 8 else Recipe(salt, int(found["m"]), int(found["t"]))


def bucket(vault: Vault, digits: str) -> bytes:
    """Return the 12 bits that find a PIN with a separate salt, as two bytes."""
    first = int.from_bytes(vault.digest("pin-bucket", digits)[:BUCKET_BYTES], "big")
    return (first >> (16 - BUCKET_BITS)).to_bytes(BUCKET_BYTES, "big")


def as_verifier(vault: Vault, row: Credential) -> Credential:
    """Return a PIN from before verifiers in the new form: bucket and verifier, recipe without the hash, no duress flag.
    Other rows stay unchanged.
    """
    if len(row.digest) != BUCKET_BYTES:
        return row
    found, recipe = RECIPE.fullmatch(row.pin_hash or ""), recipe_of(row.pin_hash)
    result = _unbase64(found["hash"]) if found is not None and found["hash"] else None
    if recipe is None or result is None:
        return row
    kept = verifier(vault.key_for(PIN), result, is_duress=row.is_duress)
    return replace(row, digest=row.digest + kept, pin_hash=str(recipe), is_duress=False)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).rstrip(b"=").decode()


def _unbase64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return None

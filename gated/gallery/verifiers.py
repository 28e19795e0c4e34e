"""What a PIN is recognised by: neither a stolen gate nor a stopwatch tells one, nor which of two calls for help. Pure.

Whoever sets a PIN asks argon2id once: digits and a salt become a result. What a gate keeps of it is a verifier, a
digest of the result under a key of that gate's. The digest of a duress PIN is another one of the same kind and length,
so that only the result tells which of a person's PINs it is, and only the right digits give the result.

All PINs of a site have one salt, so that whatever is typed costs argon2 once. Rows from before verifiers have a salt
each, and are found by 12 bits of a keyed digest: few enough that a bucket names no PIN, for 244 of six digits share it.
"""

import base64
import binascii
import hmac
import re
import secrets
from dataclasses import dataclass, replace
from functools import lru_cache

from argon2.low_level import Type, hash_secret_raw

from gated.gallery.entitlement import Credential
from gated.gallery.vault import PIN, Vault

MEMORY_KIB, ROUNDS = 12288, 3
"""OWASP's Password Storage Cheat Sheet: argon2id with 12 MiB, 3 rounds and 1 lane, as good as 19 MiB and 2 rounds; the
smaller one, for a brain that may have 80 MB in all."""
MOST_MEMORY_KIB, MOST_ROUNDS = 65536, 10
"""A row that asks for more is none of ours."""
RESULT_BYTES, SALT_BYTES, VERIFIER_BYTES = 32, 16, 32
BUCKET_BITS, BUCKET_BYTES = 12, 2
PLAIN, DURESS = b"pin", b"duress"
RECIPE = re.compile(
    r"\$argon2id\$v=19\$m=(?P<m>[0-9]{1,7}),t=(?P<t>[0-9]{1,3}),p=1\$(?P<salt>[A-Za-z0-9+/]{11,86})"
    r"(?:\$(?P<hash>[A-Za-z0-9+/]{43}))?"
)
"""argon2's own way to write it down, without the hash, which is what the verifier is for; with it before verifiers."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How argon2 is asked."""

    salt: bytes
    memory_kib: int = MEMORY_KIB
    rounds: int = ROUNDS

    def result(self, secret: bytes) -> bytes:
        """What argon2id makes of it, 32 bytes. Takes a moment."""
        return hash_secret_raw(secret, self.salt, self.rounds, self.memory_kib, 1, RESULT_BYTES, Type.ID)

    def __str__(self) -> str:
        """As it is stored."""
        return f"$argon2id$v=19$m={self.memory_kib},t={self.rounds},p=1${_base64(self.salt)}"


NOBODYS = Recipe(bytes(SALT_BYTES))
"""Of no PIN: it costs what any other does."""


def new_salt() -> bytes:
    """A salt for the PINs of a site, or of a gate without an office."""
    return secrets.token_bytes(SALT_BYTES)


def secret_of(digits: str) -> bytes:
    """What argon2 is asked about, of whatever was typed."""
    return digits.encode("utf-8", "surrogatepass")


def verifier(key: bytes, result: bytes, *, is_duress: bool) -> bytes:
    """What a gate with that key keeps of a PIN, 32 bytes."""
    return hmac.digest(key, (DURESS if is_duress else PLAIN) + result, "sha256")


def kind_of(key: bytes, result: bytes, kept: bytes) -> bool | None:
    """Whether the PIN of that result is the one that was kept: True: as a duress PIN; False: as another; None: no."""
    plain, duress = (hmac.compare_digest(kept, verifier(key, result, is_duress=kind)) for kind in (False, True))
    return duress if plain or duress else None


def stored(vault: Vault, digits: str, salt: bytes, *, is_duress: bool) -> tuple[bytes, str]:
    """A PIN as it is stored: verifier and recipe. Takes argon2's time."""
    recipe = Recipe(salt)
    return verifier(vault.key_for(PIN), recipe.result(secret_of(digits)), is_duress=is_duress), str(recipe)


def stored_alone(vault: Vault, digits: str, *, is_duress: bool) -> tuple[bytes, str]:
    """The same with a salt of its own, as the PINs from before verifiers are. Takes argon2's time."""
    recipe = Recipe(new_salt())
    kept = verifier(vault.key_for(PIN), recipe.result(vault.digest("pin", digits)), is_duress=is_duress)
    return bucket(vault, digits) + kept, str(recipe)


@lru_cache(maxsize=16)
def recipe_of(stored: str | None) -> Recipe | None:
    """How the PIN of a row is asked about; None for what makes no sense, or would take too long."""
    found = RECIPE.fullmatch(stored or "")
    if found is None or int(found["m"]) > MOST_MEMORY_KIB or not 0 < int(found["t"]) <= MOST_ROUNDS:
        return None
    salt = _unbase64(found["salt"])
    return None if salt is None or int(found["m"]) < 8 else Recipe(salt, int(found["m"]), int(found["t"]))


def bucket(vault: Vault, digits: str) -> bytes:
    """The 12 bits by which a PIN is found that has a salt of its own, as two bytes."""
    first = int.from_bytes(vault.digest("pin-bucket", digits)[:BUCKET_BYTES], "big")
    return (first >> (16 - BUCKET_BITS)).to_bytes(BUCKET_BYTES, "big")


def veiled(vault: Vault, row: Credential) -> Credential:
    """A PIN from before verifiers as it is stored now: its bucket with a verifier behind it, the recipe without the
    hash, and no word of duress. Any other row as it is.
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

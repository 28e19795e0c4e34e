"""PINs: which will do, and how they are kept so that neither a stolen card nor a stopwatch tells one.

A PIN has few digits, so it is never hashed alone: it is first digested under a key of the site's, then by argon2id.
Nobody types a name, so a PIN is found by a few bits of another digest, and the few that share them are verified.
"""

import base64
from collections.abc import Sequence
from itertools import pairwise

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from gated.gallery.entitlement import Credential
from gated.gallery.vault import Vault

MOST_DIGITS = 12
BUCKET_BITS = 12
"""So few that 244 PINs of six digits share a bucket, so that a bucket names none of them, and so many that of 3,600
PINs hardly two do, so that the gate need not verify more."""

MEMORY_KIB, ROUNDS = 12288, 3
"""OWASP's Password Storage Cheat Sheet: argon2id with 12 MiB, 3 rounds and 1 lane, as good as 19 MiB and 2 rounds; the
smaller one, for a brain that may have 80 MB in all."""
HASHER = PasswordHasher(time_cost=ROUNDS, memory_cost=MEMORY_KIB, parallelism=1, hash_len=32, salt_len=16)


def _nobody() -> str:
    """The hash of no PIN: it costs what any other does."""
    salt, digest = (base64.b64encode(bytes(size)).rstrip(b"=").decode() for size in (16, 32))
    return f"$argon2id$v=19$m={MEMORY_KIB},t={ROUNDS},p=1${salt}${digest}"


NOBODY = _nobody()


def is_weak(digits: str, least: int) -> bool:
    """Whether a PIN is too short, too long, no digits, all alike, or a run up or down (with 0 after 9)."""
    if not (digits.isascii() and digits.isdigit() and least <= len(digits) <= MOST_DIGITS):
        return True
    steps = {(int(b) - int(a)) % 10 for a, b in pairwise(digits)}
    return steps in ({0}, {1}, {9})


def bucket(vault: Vault, digits: str) -> bytes:
    """The 12 bits by which a PIN is found, as two bytes."""
    first = int.from_bytes(vault.digest("pin-bucket", digits)[:2], "big")
    return (first >> (16 - BUCKET_BITS)).to_bytes(2, "big")


def hashed(vault: Vault, digits: str) -> str:
    """A PIN as it is stored: argon2id of its keyed digest, with a salt of its own."""
    return HASHER.hash(vault.digest("pin", digits))


def find(vault: Vault, digits: str, candidates: Sequence[Credential], tries: int) -> Credential | None:
    """The candidate whose PIN this is; verifies `tries` times at least, found or not, so that time tells nothing."""
    found = None
    peppered = vault.digest("pin", digits)
    hashes = [(candidate, candidate.pin_hash or NOBODY) for candidate in candidates]
    for candidate, pin_hash in [*hashes, *[(None, NOBODY)] * (tries - len(hashes))]:
        if verify(pin_hash, peppered) and found is None:
            found = candidate
    return found


def verify(pin_hash: str, peppered: bytes) -> bool:
    """One verification by argon2; whatever is odd about the hash is no match."""
    try:
        return HASHER.verify(pin_hash, peppered)
    except (VerificationError, ValueError):  # a hash that is none is a ValueError
        return False

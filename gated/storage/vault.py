"""Encryption of templates: the site key, one data key for each face, and seals that are bound to one place.

The site key also keys the digests of card numbers and PINs, which are too short for a hash without a key. Erasing a
person destroys the data keys. Nobody can then open copies of the templates on worn flash or in a backup (ISO/IEC 24745:
renewability). Every seal is AES-256-GCM with a random nonce.
"""

import fcntl
import hmac
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gated.atomic_files import atomic_write
from gated.errors import SealError, StateError
from gated.storage.read_only import is_read_only_mode
from gated.types import SubjectId

KEY_BYTES = 32
READING_BYTES = 16
PAIRING_KEY = Path("keys", "pairing.key")
NONCE_BYTES = 12  # NIST SP 800-38D section 8.2: 96 random bits allow 2^32 seals with one key


CARD, PIN = "card", "pin-verifier"
"""Key uses with a derived key that the gate sends to its office. The office then sends digests under these keys. The
digests cannot be compared without this key.
"""


def digest_readings(key: bytes, names: Iterable[str]) -> frozenset[bytes]:
    """Return the digests of a card's readings under a gate's key for cards, 16 bytes each."""
    return frozenset(hmac.digest(key, name.encode(), "sha256")[:READING_BYTES] for name in names)


def seal(key: bytes, plaintext: bytes, label: bytes) -> bytes:
    """Return nonce, ciphertext and tag. The seal opens only with the same key and label."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, label)


def unseal(key: bytes, sealed: bytes, label: bytes) -> bytes:
    """Return the sealed plaintext. Raises `SealError` for another key, another label, or altered bytes."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], label)
    except (InvalidTag, ValueError) as error:
        raise SealError("a seal does not open: another key or place, or the data was changed") from error


class Vault:
    """The sealing and digest functions for one site key."""

    def __init__(self, site_key: bytes, site: str) -> None:
        self._site_key = site_key
        self._site = site
        self._keys: dict[str, bytes] = {}

    def new_data_key(self, subject: SubjectId) -> tuple[bytes, bytes]:
        """Return a new data key of 32 bytes, and the same key wrapped for storage."""
        data_key = secrets.token_bytes(KEY_BYTES)
        return data_key, seal(self._site_key, data_key, self._label("data-key", subject))

    def data_key(self, subject: SubjectId, wrapped: bytes) -> bytes:
        """Return the person's unwrapped data key. Raises `SealError` for a key of another site or person."""
        return unseal(self._site_key, wrapped, self._label("data-key", subject))

    def template_label(self, subject: SubjectId, template: str, embedder_sha256: str, consent: str) -> bytes:
        """Return the label that binds a template to one person, model, consent and site."""
        return self._label("template", subject, template, embedder_sha256, consent)

    def digest(self, use: str, secret: str) -> bytes:
        """Return the keyed digest of a number or PIN, 32 bytes. Without the site key nobody can test all numbers
        against it.
        """
        return hmac.digest(self.key_for(use), secret.encode("utf-8", "surrogatepass"), "sha256")

    def readings(self, names: Iterable[str]) -> frozenset[bytes]:
        """Return the digests of a card's readings, 16 bytes each (see `people.card_readings`)."""
        return digest_readings(self.key_for(CARD), names)

    def key_for(self, use: str) -> bytes:
        """Return the derived key for one use, 32 bytes.

        HMAC-SHA256 (HKDF-Expand of one block, RFC 5869 section 2.3). The site key is random already, so section 3.3
        allows skipping the extraction.
        """
        if (key := self._keys.get(use)) is None:
            key = self._keys[use] = hmac.digest(self._site_key, self._label("digest-key", use) + b"\x01", "sha256")
        return key

    def _label(self, *parts: str) -> bytes:
        """Return the parts as one byte string. Different lists of parts give different strings."""
        return msgspec.json.encode((self._site, *parts))


def site_key(state: Path, *, may_create: bool) -> bytes:
    """Return the site key, 32 bytes: the systemd credential `site-key`, or else `keys/site.key` in the state folder.

    If `may_create`, create a missing file once, and write it to disk before use. Raises `StateError` for a missing key,
    a wrong length, or access permissions for other users.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (credential := Path(credentials) / "site-key").exists():
        return _read(credential)  # systemd keeps it unreadable for others
    path = state / "keys" / "site.key"
    if may_create and is_read_only_mode() and not path.exists():
        return secrets.token_bytes(KEY_BYTES)  # nothing is sealed yet, and a read-only command creates no key
    if may_create and not is_read_only_mode():
        _create_once(path)
    _refuse_loose(path)
    return _read(path)


def site_keys(state: Path) -> list[bytes]:
    """Return all possible site keys: first the systemd credential, then the file. Raises `StateError` without one."""
    first = site_key(state, may_create=False)
    file = state / "keys" / "site.key"
    other = [_read(file)] if os.environ.get("CREDENTIALS_DIRECTORY") and file.exists() else []
    return [first, *(key for key in other if key != first)]


def pairing_key(state: Path, *, may_create: bool = False) -> bytes | None:
    """Return the key `keys/pairing.key`, or None if it is missing. If `may_create`, create a missing one. Raises
    `StateError`.

    It replaces the site key before a gate's first start creates that key, or if systemd hides the site key from a
    command.
    """
    path = state / PAIRING_KEY
    if may_create:
        _create_once(path)
    if not path.exists():
        return None
    _refuse_loose(path)
    return _read(path)


def derived(key: bytes, use: str) -> bytes:
    """Return the derived key for one use, 32 bytes (HKDF-Expand of one block, RFC 5869 section 2.3)."""
    return hmac.digest(key, f"gated {use}".encode() + b"\x01", "sha256")


def _read(path: Path) -> bytes:
    try:
        key = path.read_bytes()
    except OSError as error:
        advice = "restore the key from the backup; without it everybody must be enrolled again"
        raise StateError(f"{path}: the site key cannot be read ({error.strerror}); {advice}") from error
    if len(key) != KEY_BYTES:
        raise StateError(f"{path}: the site key has {len(key)} bytes instead of {KEY_BYTES}; restore the correct key")
    return key


def _refuse_loose(path: Path) -> None:
    """Raise `StateError` if other users may access the key or its folder."""
    for place, mode in ((path.parent, "700"), (path, "600")):
        if place.exists() and place.stat().st_mode & 0o077:
            raise StateError(
                f"{place}: other users may read or change the site key; if none did, run `chmod {mode} {place}`"
            )


def _create_once(path: Path) -> None:
    """Create the key: write, sync, rename, sync. A power cut leaves a whole key or none. The lock excludes a second
    process.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if not path.exists():
                atomic_write(path, secrets.token_bytes(KEY_BYTES))
        finally:
            os.close(folder)
    except OSError as error:
        raise StateError(f"{path}: the site key cannot be made ({error.strerror}); make the folder writable") from error

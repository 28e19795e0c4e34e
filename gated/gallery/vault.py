"""What locks the templates away: the site's key, one data key a person, and seals that fit one place only.
The same key digests card numbers and PINs, which are too short to be hashed without one.

Erasing a person destroys the data key; what is left of the templates on worn flash or in a backup then opens for nobody
(ISO/IEC 24745: renewability). Every seal is AES-256-GCM with a random nonce.
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

from gated.database import only_looks
from gated.errors import SealError, StateError
from gated.types import SubjectId

KEY_BYTES = 32
READING_BYTES = 16
STAND_IN = Path("keys", "pairing.key")
NONCE_BYTES = 12  # NIST SP 800-38D section 8.2: 96 random bits, good for 2^32 seals a key


CARD, PIN = "card", "pin-verifier"
"""The uses whose keys the gate tells its office, so that it is sent digests which nobody else can compare."""


def readings_by(key: bytes, names: Iterable[str]) -> frozenset[bytes]:
    """The digests of readings of a card under a gate's key for cards, 16 bytes each."""
    return frozenset(hmac.digest(key, name.encode(), "sha256")[:READING_BYTES] for name in names)


def seal(key: bytes, plaintext: bytes, label: bytes) -> bytes:
    """Nonce, ciphertext and tag; opens only with the same key and the same label."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, label)


def unseal(key: bytes, sealed: bytes, label: bytes) -> bytes:
    """What was sealed. Raises `SealError` for another key, another label, or altered bytes."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], label)
    except (InvalidTag, ValueError) as error:
        raise SealError("a seal does not open: another key or place, or it was altered") from error


class Vault:
    """Seals and opens for one site with its key."""

    def __init__(self, site_key: bytes, site: str) -> None:
        self._site_key = site_key
        self._site = site
        self._keys: dict[str, bytes] = {}

    def new_data_key(self, subject: SubjectId) -> tuple[bytes, bytes]:
        """A fresh data key, and the same key wrapped for storage."""
        data_key = secrets.token_bytes(KEY_BYTES)
        return data_key, seal(self._site_key, data_key, self._label("data-key", subject))

    def data_key(self, subject: SubjectId, wrapped: bytes) -> bytes:
        """The person's data key. Raises `SealError` where it is not this site's, or not this person's."""
        return unseal(self._site_key, wrapped, self._label("data-key", subject))

    def template_label(self, subject: SubjectId, template: str, embedder_sha256: str, consent: str) -> bytes:
        """What a template is bound to: no row can be moved to another person, model, consent or site."""
        return self._label("template", subject, template, embedder_sha256, consent)

    def digest(self, use: str, secret: str) -> bytes:
        """A keyed digest of a number or a PIN, 32 bytes: without the site key nobody can try them all."""
        return hmac.digest(self.key_for(use), secret.encode("utf-8", "surrogatepass"), "sha256")

    def readings(self, names: Iterable[str]) -> frozenset[bytes]:
        """The digests of readings of a card, 16 bytes each (see `gallery.cards`)."""
        return readings_by(self.key_for(CARD), names)

    def key_for(self, use: str) -> bytes:
        """A key that is derived for this use alone, 32 bytes.

        HMAC-SHA256 (HKDF-Expand of one block, RFC 5869 section 2.3; the site key is random already, so that section 3.3
        lets the extraction go).
        """
        if (key := self._keys.get(use)) is None:
            key = self._keys[use] = hmac.digest(self._site_key, self._label("digest-key", use) + b"\x01", "sha256")
        return key

    def _label(self, *parts: str) -> bytes:
        """Parts joined so that no two lists of parts look the same."""
        return msgspec.json.encode((self._site, *parts))


def site_key(state: Path, *, may_create: bool) -> bytes:
    """The site's 32 bytes: the systemd credential `site-key`, or else `keys/site.key` in the state folder.

    A missing file is made where it `may_create`, once, on disk before it is used. Raises `StateError` when there is no
    key, or it has the wrong length, or others than its owner may touch it.
    """
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (credential := Path(credentials) / "site-key").exists():
        return _read(credential)  # systemd sees to it that nobody else can read it
    path = state / "keys" / "site.key"
    if may_create and only_looks() and not path.exists():
        return secrets.token_bytes(KEY_BYTES)  # nothing is sealed yet, and whoever only looks makes no key
    if may_create and not only_looks():
        _create_once(path)
    _refuse_loose(path)
    return _read(path)


def site_keys(state: Path) -> list[bytes]:
    """Every key that may be the site's: the credential's first, then the file's. Raises `StateError` for none."""
    first = site_key(state, may_create=False)
    file = state / "keys" / "site.key"
    other = [_read(file)] if os.environ.get("CREDENTIALS_DIRECTORY") and file.exists() else []
    return [first, *(key for key in other if key != first)]


def stand_in(state: Path, *, may_create: bool = False) -> bytes | None:
    """The key `keys/pairing.key`: in the site key's place, for what a gate seals before its first start has made that
    one, or where systemd keeps that one from a command. None where there is none. Raises `StateError`.
    """
    path = state / STAND_IN
    if may_create:
        _create_once(path)
    if not path.exists():
        return None
    _refuse_loose(path)
    return _read(path)


def derived(key: bytes, use: str) -> bytes:
    """A key of 32 bytes for one use alone, from the site's (HKDF-Expand of one block, RFC 5869 section 2.3)."""
    return hmac.digest(key, f"gated {use}".encode() + b"\x01", "sha256")


def _read(path: Path) -> bytes:
    try:
        key = path.read_bytes()
    except OSError as error:
        advice = "bring it back from the backup; without it everybody must be enrolled anew"
        raise StateError(f"{path}: the site key cannot be read ({error.strerror}); {advice}") from error
    if len(key) != KEY_BYTES:
        raise StateError(f"{path}: the site key has {len(key)} bytes instead of {KEY_BYTES}; bring back the right one")
    return key


def _refuse_loose(path: Path) -> None:
    """The key is its owner's alone, and so is the folder it lies in."""
    for place, mode in ((path.parent, "700"), (path, "600")):
        if place.exists() and place.stat().st_mode & 0o077:
            raise StateError(f"{place}: others may touch the site key; `chmod {mode} {place}` if nobody has")


def _create_once(path: Path) -> None:
    """Write beside, sync, rename, sync: a power cut leaves a whole key or none. The lock keeps out a second one."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if not path.exists():
                _write(path.with_suffix(".new"))
                path.with_suffix(".new").rename(path)
                os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StateError(f"{path}: the site key cannot be made ({error.strerror}); is the folder writable?") from error


def _write(path: Path) -> None:
    path.unlink(missing_ok=True)  # half of a key, from a power cut
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())

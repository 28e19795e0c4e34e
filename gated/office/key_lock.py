"""Protects the office's keys by a passphrase.

One key seals `office.keys` and `ca.key`; argon2id over the passphrase seals that key. All sealing uses AES-256-GCM
(compact JWE, RFC 7516, RFC 7518). A copy of the folder or a backup is useless without the passphrase.

The service starts unattended: systemd gives the key (credential `office-key`), or a file outside the folder has it.
Each file's own format shows whether it is sealed, so a power cut during a change loses nothing.
"""

import binascii
import hmac
import os
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from argon2.exceptions import HashingError
from argon2.low_level import Type, hash_secret_raw
from msgspec import Meta

from gated.atomic_files import atomic_rewrite, atomic_write, sync_folder
from gated.errors import OfficeError, WireError
from gated.protocol.jose import is_sealed_set, seal_at_rest, unseal_at_rest
from gated.wording import UNDECODABLE

LOCK_FILE = "passphrase.json"
SEALED_FILES = ("office.keys", "ca.key")
CREDENTIAL, NAMED_BY = "office-key", "GATED_OFFICE_KEY"
KEY_BYTES, SALT_BYTES = 32, 16
MEMORY_KIB, PASSES, LANES = 64 * 1024, 3, 4
"""Argon2id parameters for machines with little memory (RFC 9106, section 4)."""
LEAST_CHARACTERS = 12
"""Minimum length of a passphrase, in characters. An attacker can test a copied folder for years."""

Lanes = Annotated[int, Meta(ge=1, le=16)]
Memory = Annotated[int, Meta(ge=8 * 1024, le=1024 * 1024)]
Passes = Annotated[int, Meta(ge=1, le=20)]


class LockedError(OfficeError):
    """A passphrase protects the keys, and nobody can be asked for it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder}: a passphrase protects the office's keys, and there is no terminal to type it; for starts "
            f"without a person, run `gated office passphrase` in a terminal "
            f"(by the credential {CREDENTIAL!r} of systemd, or a file that {NAMED_BY} names)"
        )


class Wrapped(msgspec.Struct, frozen=True, kw_only=True):
    """The file `passphrase.json`."""

    v: Literal[1] = 1
    salt: str
    memory_kib: Memory
    passes: Passes
    lanes: Lanes
    key: str
    """The key of the sealed files, itself sealed by the passphrase."""


_known: dict[Path, bytes] = {}
"""The keys given to this process, by folder."""
_prompt: list[Callable[[Path], str]] = []
"""Function that asks a person for the passphrase. The command line sets it if a terminal is present."""


def set_prompt(ask: Callable[[Path], str]) -> None:
    """Set the function that asks for the passphrase if nothing else opens the keys."""
    _prompt[:] = [ask]


def is_locked(folder: Path) -> bool:
    """Return whether a passphrase protects the office's keys."""
    return (folder / LOCK_FILE).exists()


def read(folder: Path, name: str) -> bytes:
    """Return a private file's plain content.

    Raises `OSError`, `OfficeError` for a wrong passphrase, and `LockedError` for none.
    """
    data = (folder / name).read_bytes()
    if not is_sealed_set(data):
        return data
    for _ in range(2):  # the known key may be out of date
        with suppress(WireError):
            return unseal_at_rest(data, _derived(key_of(folder), name))
        _known.pop(folder.resolve(), None)
    raise OfficeError(
        f"{folder / name}: is sealed with another key; restore this file and the other files from the same backup"
    )


def sealed(folder: Path, name: str, plain: bytes) -> bytes:
    """Return the content to write for a private file: sealed if the office has a passphrase, else plain."""
    return seal_at_rest(plain, _derived(key_of(folder), name)) if is_locked(folder) else plain


def key_of(folder: Path) -> bytes:
    """Return the key of the sealed files: already known, given by systemd or a file, or opened by the passphrase.

    Raises the errors of `read`.
    """
    key = _known.get(folder.resolve()) or _given(folder)
    if key is None:
        if not _prompt:
            raise LockedError(folder)
        key = key_for(folder, _prompt[0](folder))
    _known[folder.resolve()] = key
    return key


def key_for(folder: Path, passphrase: str) -> bytes:
    """Return the key of the sealed files by the passphrase alone. Raises `OfficeError` for a wrong one."""
    wrapped = _load(folder)
    try:
        return unseal_at_rest(wrapped.key.encode(), _stretched(passphrase, wrapped))
    except WireError as error:
        raise OfficeError("this is not the passphrase of this office; nothing was changed") from error


def lock(folder: Path, passphrase: str, key: bytes | None = None) -> bytes:
    """Protect the keys by a new passphrase, and return the key that opens them.

    `key`: the current key, if the files are sealed already. Raises `OfficeError` for a passphrase that is too short.
    """
    if len(passphrase) < LEAST_CHARACTERS:
        raise OfficeError(f"a passphrase needs at least {LEAST_CHARACTERS} characters; use several unrelated words")
    key = key or secrets.token_bytes(KEY_BYTES)
    try:
        _wrap(folder, passphrase, key)
        for name in SEALED_FILES:
            plain = read(folder, name)
            if not is_sealed_set((folder / name).read_bytes()):
                atomic_rewrite(folder / name, sealed(folder, name, plain))
    except OSError as error:
        raise OfficeError(
            f"{folder}: cannot be written ({error.strerror}); free the disk, then set the passphrase again"
        ) from error
    return key


def create_key(folder: Path, passphrase: str) -> None:
    """Create a new key in an empty folder, protected by a passphrase.

    Files written there later are sealed. Raises `OSError`.
    """
    _wrap(folder, passphrase, secrets.token_bytes(KEY_BYTES))


def _wrap(folder: Path, passphrase: str, key: bytes) -> None:
    salt = b64encode(secrets.token_bytes(SALT_BYTES)).decode()
    bare = Wrapped(salt=salt, memory_kib=MEMORY_KIB, passes=PASSES, lanes=LANES, key="")
    sealed_key = seal_at_rest(key, _stretched(passphrase, bare)).decode()
    atomic_write(
        folder / LOCK_FILE,
        msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(bare, key=sealed_key))),
    )
    use_key(folder, key)


def unlock(folder: Path) -> None:
    """Remove the passphrase and store the keys unsealed. Raises the errors of `read`."""
    try:
        for name in SEALED_FILES:
            atomic_rewrite(folder / name, read(folder, name))
        (folder / LOCK_FILE).unlink()
        sync_folder(folder)
    except OSError as error:
        raise OfficeError(
            f"{folder}: cannot be written ({error.strerror}); free the disk, then remove the passphrase again"
        ) from error
    _known.pop(folder.resolve(), None)


def use_key(folder: Path, key: bytes) -> None:
    """Open this office's keys with this key from now on."""
    _known[folder.resolve()] = key


def forget_keys() -> None:
    """Forget every key given to this process."""
    _known.clear()


def _given(folder: Path) -> bytes | None:
    """Return the key from systemd or from the file that the environment names.

    Ignores a key that does not fit this office.
    """
    places = [Path(named)] if (named := os.environ.get(NAMED_BY)) else []
    if credentials := os.environ.get("CREDENTIALS_DIRECTORY"):
        places.insert(0, Path(credentials) / CREDENTIAL)
    for place in places:
        with suppress(OSError, ValueError):
            key = bytes.fromhex(place.read_text("ascii").strip())
            if _fits(folder, key):
                return key
    return None


def _fits(folder: Path, key: bytes) -> bool:
    for name in SEALED_FILES:
        with suppress(OSError):
            data = (folder / name).read_bytes()
            if is_sealed_set(data):
                try:
                    unseal_at_rest(data, _derived(key, name))
                except WireError:
                    return False
    return len(key) == KEY_BYTES


def _load(folder: Path) -> Wrapped:
    try:
        return msgspec.json.decode((folder / LOCK_FILE).read_bytes(), type=Wrapped)
    except (OSError, *UNDECODABLE) as error:
        raise OfficeError(f"{folder / LOCK_FILE}: cannot be read ({error}); restore it from a backup") from error


def _stretched(passphrase: str, wrapped: Wrapped) -> bytes:
    """Return argon2id of the passphrase (RFC 9106), 32 bytes."""
    try:
        salt, secret = b64decode(wrapped.salt, validate=True), passphrase.encode("utf-8", "surrogatepass")
        return hash_secret_raw(secret, salt, wrapped.passes, wrapped.memory_kib, wrapped.lanes, KEY_BYTES, Type.ID)
    except (binascii.Error, HashingError) as error:
        raise OfficeError(f"{LOCK_FILE}: is damaged ({error}); restore it from a backup") from error


def _derived(key: bytes, name: str) -> bytes:
    """Return the key for one file (HKDF-Expand of one block, RFC 5869 section 2.3)."""
    return hmac.digest(key, f"gated {name}".encode() + b"\x01", "sha256")

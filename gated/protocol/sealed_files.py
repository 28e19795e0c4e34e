"""Encrypt the gate's private files (`gate.key`, `gate.keys`) with keys from the site key. A copy alone is useless.

`gate.key` is an encrypted PKCS 8 file (RFC 5958): TLS opens it without a plain copy on disk. `gate.keys` is an
encrypted JWK set (RFC 7517, section 7). Both keys are derived from the site key. The site key is the systemd credential
`site-key`, or a file in `keys/` of the state folder. A gate that joins before its first start has no site key: Until
that start, `keys/pairing.key` replaces the site key. It also reads plain files, from older gates or from the installer.
"""

import logging
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from gated.atomic_files import atomic_rewrite, sync_folder
from gated.errors import StateError
from gated.protocol.certificate import is_sealed_pem, load_key, private_pem
from gated.protocol.jose import Identity, is_sealed_set
from gated.storage.vault import PAIRING_KEY, derived, pairing_key, site_keys

log = logging.getLogger(__name__)

FOLDERS = ("pairing", "pairing.new", "pairing.old")
"""Folders that may hold private files. An interrupted pairing leaves the last two."""
KEY, KEYS = "gate.key", "gate.keys"


class Lock:
    """Opens and seals the private files of one gate. Reads the site key only when a file needs it."""

    def __init__(self, site_keys: Callable[[], list[bytes]]) -> None:
        """Take a function that returns the site keys. The first key seals; each key may open."""
        self._site_keys = site_keys

    @classmethod
    def of(cls, state: Path) -> "Lock":
        """Return the lock of the gate with this state folder."""
        return cls(lambda: _keys(state))

    @property
    def passwords(self) -> list[bytes]:
        """Return the passwords for `gate.key`, one per site key. Raises `StateError` if no site key exists."""
        return [derived(key, "gate.key").hex().encode() for key in self._site_keys()]

    @property
    def set_keys(self) -> list[bytes]:
        """Return the keys for `gate.keys`, 32 bytes each, one per site key.

        Raises `StateError` if no site key exists.
        """
        return [derived(key, "gate.keys") for key in self._site_keys()]

    def may_seal(self) -> bool:
        """Return whether a site key exists and no update is on trial.

        During a trial the previous version must still be able to read the files.
        """
        if is_on_trial(Path(sys.prefix)):
            return False
        with suppress(StateError):
            return bool(self._site_keys())
        return False

    def password(self, path: Path) -> bytes:
        """Return the password that opens this `gate.key`; empty for a plain file.

        Raises `StateError` if no site key opens it, and `OSError` if the file cannot be read.
        """
        data = path.read_bytes()
        return b"" if not is_sealed_pem(data) else self._opens(data, path)

    def key(self, path: Path) -> ec.EllipticCurvePrivateKey:
        """Return the private key for TLS. Raises `StateError`."""
        try:
            return load_key(path.read_bytes(), self.password(path) or None)
        except (OSError, ValueError, TypeError) as error:
            raise StateError(f"{path}: the gate's key cannot be read; pair the gate again") from error

    def identity(self, path: Path) -> Identity:
        """Return the keys that sign and open messages. Raises `StateError`."""
        return Identity.load(path, lambda: self.set_keys)

    def write_key(self, key: ec.EllipticCurvePrivateKey) -> bytes:
        """Return the file content for a TLS private key, sealed if `may_seal` allows it."""
        return private_pem(key, self.passwords[0] if self.may_seal() else None)

    def write_identity(self, identity: Identity) -> bytes:
        """Return the file content for the keys that sign and open messages, sealed if `may_seal` allows it."""
        return identity.dump(self.set_keys[0] if self.may_seal() else None)

    def _opens(self, data: bytes, path: Path) -> bytes:
        for password in self._tried(path):
            with suppress(ValueError):
                load_key(data, password)
                return password
        raise StateError(f"{path}: is sealed with another site key; restore that key, or pair the gate again")

    def _tried(self, path: Path) -> list[bytes]:
        try:
            return self.passwords
        except StateError as error:
            raise StateError(f"{path}: is sealed with the site key, which cannot be read here ({error})") from error


def _keys(state: Path) -> list[bytes]:
    """Return the site keys, then the stand-in key if it exists. Raises `StateError` if neither exists."""
    other = pairing_key(state)
    try:
        return [*site_keys(state), *([other] if other else [])]
    except StateError:
        if other is None:
            raise
        return [other]


def make_key(state: Path, lock: Lock) -> None:
    """Create a stand-in key if the gate has no key to seal with. Raises `StateError`.

    Does nothing while an update is on trial.
    """
    if not lock.may_seal() and not is_on_trial(Path(sys.prefix)):
        pairing_key(state, may_create=True)


def _no_keys() -> list[bytes]:
    raise StateError("this command does not know of any")


UNLOCKED = Lock(_no_keys)
"""Opens plain files only."""


def seal_folders(state: Path, lock: Lock) -> bool:
    """Seal plain private files in the pairing folders, and files sealed with an older key. Return whether any changed.

    Each file is replaced atomically: after a power cut it is either plain or sealed. During the trial of an update
    nothing is sealed: the previous version must still be able to run. Raises `StateError`.
    """
    if not any((state / name).exists() for name in FOLDERS) or is_on_trial(Path(sys.prefix)):
        return False
    try:
        _tidy(state)
        is_changed = sum([_seal(path, lock) for path in _private(state)]) > 0
        _drop_stand_in(state)
    except OSError as error:
        raise StateError(f"the keys of the link cannot be sealed ({error.filename}: {error.strerror})") from error
    return is_changed


def is_sealed(path: Path) -> bool:
    """Return whether a private file is sealed. Raises `OSError`."""
    data = path.read_bytes()
    return is_sealed_pem(data) or is_sealed_set(data)


def is_on_trial(prefix: Path) -> bool:
    """Return whether the version that runs from `prefix` is on trial.

    `prefix` is `ROOT/releases/VERSION/venv`. During a trial the file `ROOT/trial` exists.
    """
    return any((folder / "trial").is_file() and (folder / "releases").is_dir() for folder in prefix.parents)


def _private(state: Path) -> Iterator[Path]:
    for folder in FOLDERS:
        for name in (KEY, KEYS):
            if (state / folder / name).exists():
                yield state / folder / name


def _tidy(state: Path) -> None:
    """Remove private files of an interrupted pairing or sealing, if no pairing needs them any more."""
    for folder in FOLDERS:
        for name in (KEY, KEYS):
            half = state / folder / f".{name}.new"
            if half.exists():
                half.unlink()
                sync_folder(half.parent)
    if (state / "pairing").exists() and (state / "pairing.old").exists():
        shutil.rmtree(state / "pairing.old")
        sync_folder(state)


def _seal(path: Path, lock: Lock) -> bool:
    """Seal one file unless it is sealed with the first key. Return whether the file changed.

    Logs a file that cannot be read as a key, and leaves it for its reader to report.
    """
    is_set = path.name == KEYS
    try:
        sealed = _sealed_set(path, lock) if is_set else _sealed_key(path, lock)
    except StateError as error:
        if not lock.may_seal():
            raise
        log.warning("%s", error)
        return False
    if sealed is not None:
        atomic_rewrite(path, sealed)
        log.info("%s: is sealed with the site key from now on", path)
    return sealed is not None


def _drop_stand_in(state: Path) -> None:
    """Delete the stand-in key once the site key itself opens every private file."""
    own = Lock(lambda: site_keys(state))
    if (state / PAIRING_KEY).exists() and own.may_seal() and all(_does_open(path, own) for path in _private(state)):
        (state / PAIRING_KEY).unlink()
        sync_folder((state / PAIRING_KEY).parent)


def _does_open(path: Path, lock: Lock) -> bool:
    try:
        lock.identity(path) if path.name == KEYS else lock.key(path)
    except StateError:
        return False
    return True


def _sealed_key(path: Path, lock: Lock) -> bytes | None:
    """Return the sealed content that replaces a `gate.key`; None if the file is already sealed with the first key."""
    if lock.password(path) == lock.passwords[0]:
        return None
    return private_pem(lock.key(path), lock.passwords[0])


def _sealed_set(path: Path, lock: Lock) -> bytes | None:
    """Return the sealed content that replaces a `gate.keys`; None if the file is already sealed with the first key."""
    first = lock.set_keys[0]
    if is_sealed_set(path.read_bytes()):
        with suppress(StateError):
            Identity.load(path, lambda: [first])
            return None
    return lock.identity(path).dump(first)

"""Replaces the office's keys and authority, if a copy of them may be in other hands.

All new files are first written to `rekey.new`. Then one transaction reseals the database to the new keys and stores the
hand-over. From that moment on, only the new keys are valid. Last, the files are moved into place. A power cut before
the transaction changes nothing. After it, the next process to open the office completes the move (`complete_rekey`).
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from gated.atomic_files import atomic_write, sync_folder
from gated.errors import BusyError, OfficeError, SealError, StateError
from gated.journal.entry import stamp
from gated.office import key_lock
from gated.office.authority import Authority
from gated.office.crl import write_crl
from gated.office.mosquitto import OFFICE, Place
from gated.office.rekey_recovery import LOCK, NEW, NUMBER, complete_rekey
from gated.office.store import KEYS, Store
from gated.protocol.jose import Identity
from gated.protocol.recovery_key import Handover, RecoveryKey
from gated.storage.process_lock import FileLock

TOKEN = "eyJ"  # noqa: S105 - the first characters of every compact JWE


def rekey(
    folder: Path,
    key: RecoveryKey,
    following: RecoveryKey | None,
    wall: datetime,
    former: RecoveryKey | None = None,
    *,
    is_restored: bool = False,
    passphrase: str = "",
) -> int:
    """Replace the office's keys and authority, and return the number of the hand-over.

    `following`: the next recovery key, if it changes. `wall`: now, timezone-aware.

    `is_restored`: this folder is a backup from before `key` was made. Gates that know `key` follow. `former`: the
    recovery key that the folder knows. With this key, gates that know no other key also follow.

    `passphrase`: the office's passphrase, if it has one. The new files get a new key. An attacker with an old copy and
    its key cannot open later copies.

    Raises `OfficeError` for a wrong recovery key or passphrase, and while the office is running. In that case nothing
    has changed.
    """
    if key_lock.is_locked(folder):
        key_lock.use_key(folder, key_lock.key_for(folder, passphrase))
    with ExitStack() as stack:
        for lock in _locks(folder):
            stack.enter_context(closing(lock))
        with closing(Store.open(folder)) as store:  # `open` completes an interrupted rekeying
            stack.enter_context(closing(FileLock(folder / LOCK, "`gated office rekey`")))
            keys = _Keys(key, following or key, former)
            _check(store, keys, is_restored=is_restored)
            number = _rekey(folder, store, keys, wall, passphrase)
            stack.close()
        complete_rekey(folder)
        if key_lock.is_locked(folder):
            key_lock.use_key(folder, key_lock.key_of(folder / NEW))
        with closing(Store.open(folder)) as store:
            write_crl(folder, store.gate_table)
    return number


class _Keys(NamedTuple):
    """The recovery keys of a hand-over: the signing key, the next key and the former key."""

    key: RecoveryKey
    following: RecoveryKey
    former: RecoveryKey | None


def _check(store: Store, keys: _Keys, *, is_restored: bool) -> None:
    """Raise `OfficeError` if gates would not follow. A gate trusts only the recovery key that it knows."""
    known, key, former = store.handovers.key, keys.key, keys.former
    if not known:
        raise OfficeError(
            "this office has no recovery key, so nobody can replace its keys; `gated office recovery FILE` makes one "
            "for the next time"
        )
    if former is not None and former.public != known:
        raise OfficeError("the key in --former is not the recovery key of this office; nothing was changed")
    if key.public == known or former is not None or is_restored:
        return
    raise OfficeError(
        "this is not the recovery key of this office; nothing was changed. If this folder is a backup from before that "
        "key was made, add --restored, or --former with the former recovery key"
    )


def _rekey(folder: Path, store: Store, keys: _Keys, wall: datetime, passphrase: str) -> int:
    key, following, former = keys
    least = store.handovers.number + (1 if former is None else 2)
    number = max(least, int(wall.timestamp()))  # above hand-overs that an old backup does not know
    try:
        identity, authority = _write_new_files(folder, store, number, wall, passphrase)
    except OSError as error:
        raise OfficeError(f"{folder / NEW}: cannot be written ({error.strerror}); nothing was changed") from error
    handover = Handover(
        site=store.site,
        number=number,
        keys=identity.party.dump().decode(),
        authority=authority.pem.decode(),
        recovery=following.public,
        at=stamp(wall),
    )
    with store.file.writing() as connection:
        reseal(connection, store.identity, identity)
        if former is not None and former.public != key.public:
            before = replace(handover, number=number - 1, recovery=key.public)
            store.handovers.add(number - 1, former.sign(before), key.public)
        store.handovers.add(number, key.sign(handover), following.public)
    return number


def _write_new_files(
    folder: Path, store: Store, number: int, wall: datetime, passphrase: str
) -> tuple[Identity, Authority]:
    """Write all new files into `rekey.new`, the number last. Raises `OSError`."""
    new, place = folder / NEW, Place.load(folder)
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    if key_lock.is_locked(folder):
        key_lock.create_key(new, passphrase)
    identity, authority = Identity.make(), Authority.make(store.site, wall)
    atomic_write(new / KEYS, key_lock.sealed(new, KEYS, identity.dump(None)))
    authority.save(new)
    authority.write_server(new, *place.hosts, wall=wall)
    authority.write_client(new, "office", OFFICE, wall)
    atomic_write(new / NUMBER, str(number).encode())
    sync_folder(folder)
    return identity, authority


def reseal(connection: sqlite3.Connection, old: Identity, new: Identity) -> int:
    """Reseal every value sealed to the old keys, in any table, to the new keys. Return the number of values."""
    count = 0
    for table, column in _columns(connection):
        like = f'SELECT rowid, "{column}" FROM "{table}" WHERE substr(CAST("{column}" AS TEXT), 1, 3) = ?'  # noqa: S608 - ours
        for row, value in connection.execute(like, (TOKEN,)).fetchall():
            data = value.encode() if isinstance(value, str) else bytes(value)
            try:
                plain = old.open(data)
            except SealError:
                continue  # sealed to a gate, or not sealed
            sealed = new.party.seal(plain)
            stored = sealed.decode() if isinstance(value, str) else sealed
            connection.execute(f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = ?', (stored, row))  # noqa: S608 - ours
            count += 1
    return count


def _columns(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    ask = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    for table in [row[0] for row in connection.execute(ask).fetchall()]:
        for column in connection.execute("SELECT name, type FROM pragma_table_info(?)", (table,)).fetchall():
            if column[1] in ("TEXT", "BLOB"):
                yield table, column[0]


def _locks(folder: Path) -> Iterator[FileLock]:
    """Yield the locks of every office process. Raises `OfficeError` while one is running."""
    try:
        for path in sorted({*folder.glob("serve-*.lock"), folder / "serve-1-1.lock"}):
            yield FileLock(path, "this office")
    except BusyError as error:
        stop = "stop it first: `sudo systemctl stop gated-office gated-office-broker`, or end `gated office serve`"
        raise OfficeError(f"the office is running with the keys to replace; {stop}") from error
    except StateError as error:
        raise OfficeError(str(error)) from error

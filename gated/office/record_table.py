"""Reads and writes the sealed records of `office.db`, and keeps all of them in memory. `RecordBook` uses it."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import digest as keyed
from itertools import takewhile

import msgspec
from msgspec.structs import replace

from gated.errors import SealError, StateError
from gated.office.database_file import OfficeFile
from gated.office.office_person import OfficePerson, StoredRecord
from gated.protocol.jose import Identity
from gated.protocol.record_keys import key_of
from gated.protocol.wire_records import Tombstone
from gated.storage.valid_rows import sound
from gated.wording import UNDECODABLE

log = logging.getLogger(__name__)

_decoder = msgspec.json.Decoder(StoredRecord)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record with damaged content. It is sent to nobody. Its number stays in the digest, so that gates keep their
    copy.
    """

    key: str
    n: int


class RecordTable:
    """The table of records. Another process may write to it. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile, identity: Identity, secret: bytes) -> None:
        self._file, self._identity, self._secret = file, identity, secret
        self.records: dict[str, StoredRecord | Unreadable] = {}
        """Every known record by key, in the order of their numbers."""
        self.newest = 0
        """The highest number read."""
        self.nameless: set[str] = set()
        """Stored keys of unreadable records of households without people. Gates get and keep no such record, because
        its name is unknown.
        """

    def get(self, key: str) -> StoredRecord | None:
        """Return the newest record of a key: a `Tombstone` if it was removed, None if the key was never used."""
        with self._file.reading() as connection:
            row = connection.execute("SELECT n, sealed FROM records WHERE key = ?", (self._index(key),)).fetchone()
        return None if row is None else self._open(key, *row)

    def is_removed(self, key: str) -> bool:
        """Return whether the newest record of this key is a tombstone."""
        with self._file.reading() as connection:
            row = connection.execute("SELECT is_gone FROM records WHERE key = ?", (self._index(key),)).fetchone()
        return row is not None and bool(row[0])

    def write(self, record: StoredRecord, *, is_shared: bool) -> int:
        """Store a record under the next number, and return the number.

        `is_shared`: whether the person's face may go to other gates.
        """
        n = self._file.count()
        sealed = self._identity.party.seal(msgspec.json.encode(replace(record, n=0)))
        row = (self._index(key_of(record)), n, isinstance(record, Tombstone), is_shared, sealed)
        with self._file.writing() as connection:
            connection.execute("REPLACE INTO records VALUES (?, ?, ?, ?, ?)", row)
        return n

    def refresh(self) -> None:
        """Read the records since the last call, of this and of other processes."""
        with self._file.reading() as connection:
            of = f"n > ? AND {sound(connection, 'records')}"
            ask = f"SELECT key, n, sealed, is_gone FROM records WHERE {of} ORDER BY n"  # noqa: S608 - our own
            rows = connection.execute(ask, (self.newest,)).fetchall()
        read = [self._read(*row) for row in rows]
        for record in read:
            self.newest = record.n
            if not isinstance(record, Unreadable):
                named: StoredRecord | Unreadable = record
            elif (found := self._named(record, read)) is not None:
                named = found
            else:
                self.nameless.add(record.key)
                continue
            key = key_in_table(named)
            self.nameless.discard(self._index(key))
            self.records.pop(key, None)
            self.records[key] = named

    def _read(self, key: str, n: int, sealed: bytes, is_removed: int) -> StoredRecord | Unreadable:
        """Return a stored record. A damaged tombstone is complete without its content."""
        try:
            return self._open(key, n, sealed)
        except StateError as error:
            log.error("%s", error)
        is_whole = is_removed and not key.startswith("household/")
        return Tombstone(key=key, n=n) if is_whole else Unreadable(key, n)

    def _named(self, record: Unreadable, read: Sequence[StoredRecord | Unreadable]) -> Unreadable | None:
        """Return the record, with its key. A household's key is stored as an HMAC: find its name among the people's
        households. Return None for a household without people.
        """
        if not record.key.startswith("household/"):
            return record
        people = (each for each in (*self.records.values(), *read) if isinstance(each, OfficePerson))
        keys = {f"household/{person.household}" for person in people}
        return next((Unreadable(key, record.n) for key in keys if self._index(key) == record.key), None)

    def above(self, n: int) -> Iterator[StoredRecord | Unreadable]:
        """Return an iterator over the known records with a number above `n`, newest first."""
        return takewhile(lambda record: record.n > n, reversed(self.records.values()))

    def _open(self, key: str, n: int, sealed: bytes) -> StoredRecord:
        try:
            record: StoredRecord = _decoder.decode(self._identity.open(sealed))
        except (SealError, TypeError, *UNDECODABLE) as error:
            advice = "restore the newest backup, or remove it and add it again"
            raise StateError(f"record {n} of the office ({key}) cannot be read; {advice}") from error
        return replace(record, n=n)

    def _index(self, key: str) -> str:
        """Return the key as stored.

        A household name is replaced by an HMAC, so a reader of the database cannot test which flats have a record.
        """
        kind, _, name = key.partition("/")
        return key if kind != "household" else f"{kind}/{keyed(self._secret, name.encode(), sha256).hex()}"


def key_in_table(record: StoredRecord | Unreadable) -> str:
    """Return the key of a record, also of an unreadable one."""
    return record.key if isinstance(record, Unreadable) else key_of(record)

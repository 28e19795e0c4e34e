"""Stores the site's records and computes each gate's view of them. Each `Store` owns one `RecordBook`.

One counter numbers all records. The newest number of a key counts. A removed person never returns.

Two parts differ between gates. A face is sealed to one gate. For that gate, a person's number is the higher of the
person's and the face's number. So a face for one gate causes no message to other gates. Cards and PINs are digests made
for one gate (`gate_records.as_sent`).
"""

import logging
from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from gated import names
from gated.errors import OfficeError, SealError
from gated.office.database_file import OfficeFile
from gated.office.gate_records import DigestKeys, as_sent
from gated.office.office_person import OfficePerson, StoredRecord, without_readable_pins
from gated.office.record_check import check_record
from gated.office.record_numbers import Numbers
from gated.office.record_table import RecordTable, Unreadable, key_in_table
from gated.protocol.face_messages import SealedFace
from gated.protocol.jose import Identity
from gated.protocol.limits import KEY_BYTES
from gated.protocol.record_keys import key_of
from gated.protocol.wire_records import HouseholdRecord, PersonRecord, Record, RoleRecord, ScheduleRecord, Tombstone
from gated.storage.valid_rows import sound
from gated.wording import UNDECODABLE

log = logging.getLogger(__name__)

MAX_FACE_BYTES = 38_000
"""Limit for a sealed face as JSON, in bytes. Leaves room for the person's record in the same message."""

R = TypeVar("R", bound=StoredRecord)

NAMED: dict[type[StoredRecord], str] = {HouseholdRecord: "household", RoleRecord: "role", ScheduleRecord: "name"}
"""Maps a record type to the field that holds its name."""


def consents_to(record: OfficePerson, *purposes: str) -> bool:
    """Return whether the person has consented to all of these purposes."""
    return set(purposes) <= {consent.purpose for consent in record.consents}


class RecordBook:
    """The site's records, and each gate's view of them. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile, identity: Identity, secret: bytes) -> None:
        self._file, self._identity = file, identity
        self._table = RecordTable(file, identity, secret)
        self._numbers: dict[str, Numbers] = {}
        self._opened: dict[bytes, DigestKeys] = {}

    def get(self, key: str) -> StoredRecord | None:
        """Return the newest record of a key: a `Tombstone` if it was removed, None if the key was never used."""
        return self._table.get(key)

    def person(self, subject: str) -> OfficePerson:
        """Return a person's record. Raises `OfficeError` for an unknown or removed person."""
        record = self.get(f"person/{subject}")
        if not isinstance(record, OfficePerson):
            reason = "was removed" if record is not None else "is not in this office"
            raise OfficeError(f"{subject!r} {reason}; `gated office person list` shows the ids")
        return record

    def live(self, kind: type[R]) -> list[R]:
        """Return every record of one kind, oldest first."""
        self._table.refresh()
        return [record for record in self._table.records.values() if isinstance(record, kind)]

    def spellings(self, kind: type[R], name: str) -> list[str]:
        """Return every spelling of a household, role or schedule name in use here.

        Returns the normal form if none is in use. An older gate compares names exactly, so an access rule is sent under
        every spelling.
        """
        field = next(field for named, field in NAMED.items() if named is kind)
        used = {getattr(record, field) for record in self.live(kind)}
        if field in ("household", "role"):
            used |= {getattr(person, field) for person in self.live(OfficePerson)}
        return [each for each in names.spellings(name, used) if each in used] or [names.plain(name)]

    def put(self, record: StoredRecord) -> int:
        """Store a record and return its new number. Deletes the faces of a person who no longer consents.

        Raises `OfficeError` for a record that no gate would accept, and for a removed person. Runs argon2 for each PIN
        that is still readable.
        """
        if isinstance(record, OfficePerson):
            record = without_readable_pins(record, self.pin_salt)
        key = key_of(record)
        check_record(key, record)
        with self._file.writing():
            if isinstance(record, OfficePerson) and self._table.is_removed(key):
                raise OfficeError(f"{record.subject!r} was removed; add the person again under another id")
            n = self._write(record)
            if isinstance(record, OfficePerson):
                self._withdraw(record)
        return n

    def without_readable_pins(self, person: OfficePerson) -> OfficePerson:
        """Return the person without readable PINs. Runs argon2 for each readable PIN."""
        return without_readable_pins(person, self.pin_salt)

    def rewrite(self, subject: str) -> None:
        """Store a person again under a new number, without readable PINs. Does nothing for a removed person."""
        with self._file.writing():
            record = self.get(f"person/{subject}")
            if isinstance(record, OfficePerson):
                self._write(without_readable_pins(record, self.pin_salt))

    def renumber_people(self) -> None:
        """Give every person a new number, because the content sent to gates has changed."""
        for person in self.live(OfficePerson):
            self.renumber(person.subject)

    @property
    def pin_salt(self) -> bytes:
        """Return the argon2 salt shared by all PINs of the site, 16 bytes."""
        with self._file.reading() as connection:
            return bytes(connection.execute("SELECT pin_salt FROM office").fetchone()[0])

    @property
    def sends_names(self) -> bool:
        """Return whether the site sends names to gates."""
        with self._file.reading() as connection:
            return bool(connection.execute("SELECT sends_names FROM office").fetchone()[0])

    def digest_keys(self, gate: str) -> DigestKeys | None:
        """Return the keys for a gate's card and PIN digests; None if it has not sent them, or they are damaged."""
        with self._file.reading() as connection:
            of = f"gate = ? AND verifiers IS NOT NULL AND {sound(connection, 'gates')}"
            row = connection.execute(f"SELECT verifiers FROM gates WHERE {of}", (gate,)).fetchone()  # noqa: S608
        if row is None:
            return None
        sealed = bytes(row["verifiers"])
        if sealed not in self._opened:
            try:
                keys = self._identity.open(sealed)
            except SealError as error:
                log.error(
                    "the keys for cards and PINs of %s cannot be read; the gate will send them again: %s", gate, error
                )
                return None
            self._opened[sealed] = DigestKeys(keys[:KEY_BYTES], keys[KEY_BYTES:])
        return self._opened[sealed]

    def remove(self, key: str) -> int:
        """Replace a record with a tombstone, erase its content and return the new number.

        Raises `OfficeError` for no such record.
        """
        if key not in self.unreadable and isinstance(self.get(key), Tombstone | None):
            raise OfficeError(f"there is no {key!r} here")
        with self._file.writing() as connection:
            n = self._write(Tombstone(n=0, key=key))
            for table in ("faces", "enrolled"):
                connection.execute(f"DELETE FROM {table} WHERE 'person/' || subject = ?", (key,))  # noqa: S608 - ours
            connection.execute("UPDATE office SET owes_erasure = 1")
        self._table.records.pop(key, None)
        self._file.erase()
        return n

    @property
    def unreadable(self) -> set[str]:
        """Return the keys of the records with damaged content."""
        self._table.refresh()
        named = {record.key for record in self._table.records.values() if isinstance(record, Unreadable)}
        return named | self._table.nameless

    def version(self, gate: str) -> int:
        """Return the newest record number that this gate must have."""
        self._table.refresh()
        with self._file.reading() as connection:
            newest = f"gate = ? AND {sound(connection, 'faces')} ORDER BY n DESC LIMIT 1"  # the index gives it first
            ask = f"SELECT floor, (SELECT n FROM faces WHERE {newest}) FROM office"  # noqa: S608
            floor, face = connection.execute(ask, (gate,)).fetchone()
            return max(self._table.newest, int(floor), face or 0)

    def digest(self, gate: str, known: str = "") -> str:
        """Return the digest of all records that this gate must have (see `record_keys.digest_of`).

        `known` is the gate's own digest. A gate that was never sent an unreadable record may be without it.
        """
        version, numbers = self.version(gate), self._numbers.setdefault(gate, Numbers())
        if numbers.version != version:
            records = [
                (key_in_table(r), None if isinstance(r, Tombstone) else r.n) for r in self._table.above(numbers.version)
            ]
            numbers.follow(version, records, self._faces(gate, numbers.version).items())
        if known in ("", numbers.digest) or not (lost := self.unreadable):
            return numbers.digest
        return known if known == numbers.digest_without(lost) else numbers.digest

    def after(self, gate: str, n: int) -> list[Record]:
        """Return every record with a number above `n` as this gate must have it, in order of number."""
        self._table.refresh()
        keys = {*self._faces(gate, n), *map(key_in_table, self._table.above(n))}
        return sorted(self._as_seen(gate, keys), key=lambda record: record.n)

    def removals_without_receipt(self, gate: str, since: int, upto: int, limit: int) -> list[Tombstone]:
        """Return at most `limit` tombstones of people for whom this gate owes a receipt, oldest first.

        Their numbers are above `since`, and at most `upto`.
        """
        ask = (
            "SELECT key, n FROM records WHERE is_gone AND key LIKE 'person/%' AND n > ? AND n <= ?"
            " AND NOT EXISTS (SELECT 1 FROM receipts WHERE gate = ? AND 'person/' || subject = key)"
            " ORDER BY n LIMIT ?"
        )
        with self._file.reading() as connection:
            rows = connection.execute(ask, (since, upto, gate, limit)).fetchall()
        return [Tombstone(key=row["key"], n=row["n"]) for row in rows]

    def renumber(self, subject: str) -> None:
        """Give a person a new number.

        For a gate that has lost a face. The gate's number for that person must not become smaller.
        """
        with self._file.writing() as connection:
            renumber = "UPDATE records SET n = ? WHERE key = 'person/' || ? AND NOT is_gone"
            connection.execute(renumber, (self._file.count(), subject))

    def renumber_all(self, above: int) -> None:
        """Renumber every record except tombstones, starting above `above`.

        `above` is a number that a gate has and this office does not know, after a restore from a backup. The new
        numbers are higher than all numbers that gates received since the backup. A number never belongs to two
        different contents.
        """
        with self._file.writing() as connection:
            connection.execute("UPDATE office SET counter = max(counter, ?)", (above,))
            for row in connection.execute("SELECT key FROM records WHERE NOT is_gone ORDER BY n").fetchall():
                connection.execute("UPDATE records SET n = ? WHERE key = ?", (self._file.count(), row["key"]))
            connection.execute("UPDATE office SET floor = ?", (self._file.count(),))

    @property
    def floor(self) -> int:
        """Return the number assigned by the newest `renumber_all`; 0 if there was none."""
        with self._file.reading() as connection:
            return int(connection.execute("SELECT floor FROM office").fetchone()[0])

    def _write(self, record: StoredRecord) -> int:
        is_shared = isinstance(record, OfficePerson) and consents_to(record, "recognise", "transfer")
        return self._table.write(record, is_shared=is_shared)

    def _withdraw(self, record: OfficePerson) -> None:
        with self._file.writing() as connection:
            for purpose, table in (("transfer", "faces"), ("recognise", "faces"), ("recognise", "enrolled")):
                if not consents_to(record, purpose):
                    connection.execute(f"DELETE FROM {table} WHERE subject = ?", (record.subject,))  # noqa: S608 - ours

    def _as_seen(self, gate: str, keys: Iterable[str]) -> Iterator[Record]:
        digest_keys, with_names, salt = self.digest_keys(gate), self.sends_names, self.pin_salt
        with self._file.reading() as connection:
            is_sound = sound(connection, "faces")
        for key in keys:
            record = self._table.records[key]
            if isinstance(record, Unreadable):
                continue
            if isinstance(record, OfficePerson):
                person = without_readable_pins(record, salt)
                yield self._with_face(gate, as_sent(person, digest_keys, with_names=with_names), is_sound)
            else:
                yield record

    def _with_face(self, gate: str, record: PersonRecord, is_sound: str) -> PersonRecord:
        """Return the record with the face for this gate. `is_sound` is the condition for undamaged rows."""
        with self._file.reading() as connection:
            of = f"gate = ? AND subject = ? AND {is_sound}"
            row = connection.execute(f"SELECT n, face FROM faces WHERE {of}", (gate, record.subject)).fetchone()  # noqa: S608
        if row is None:
            return record
        return replace(record, n=max(record.n, row["n"]), face=_face(row["face"]))

    def _faces(self, gate: str, n: int) -> dict[str, int]:
        """Return, by record key, the numbers above `n` of the faces for this gate."""
        with self._file.reading() as connection:
            of = f"gate = ? AND n > ? AND {sound(connection, 'faces')}"
            ask = f"SELECT 'person/' || subject, n FROM faces WHERE {of}"  # noqa: S608 - our own
            return {
                key: number
                for key, number in connection.execute(ask, (gate, n)).fetchall()
                if key in self._table.records
            }


def _face(stored: bytes) -> SealedFace | None:
    """Return a stored face. Return None if it is damaged: the gate then keeps the number and gets no face."""
    try:
        return msgspec.json.decode(stored, type=SealedFace)
    except UNDECODABLE as error:
        log.error("a stored face cannot be read (%s); it comes again with the next enrolment", type(error).__name__)
        return None

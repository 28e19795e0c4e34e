"""The records of the site: one counter, the newest number of a key counts, and nobody who is gone returns.

What each gate sees of them differs in the faces, which are sealed to one gate: there a person's number is the higher
one of the person's and of the face's, so that a face for one gate is no news to the others. It differs in the cards and
PINs as well, which are digests made for one gate (`verifiers.as_sent`).
"""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from hmac import digest as keyed
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from gated import names, wording
from gated.errors import OfficeError, StateError
from gated.office.file import OfficeFile
from gated.office.kept import Kept, KeptPerson, settled
from gated.office.verifiers import ANY, GateVerifiers, as_sent
from gated.sync.jose import Identity
from gated.sync.messages import KEY_BYTES, Face, Gone, HouseholdRecord, PersonRecord, Record, RoleRecord, ScheduleRecord
from gated.sync.records import digest_of, key_of
from gated.wording import UNDECODABLE

MAX_RECORD_BYTES = 16_000
"""Of a record's JSON without a face, so that it fits into a message with one."""
MAX_FACE_BYTES = 38_000

R = TypeVar("R", bound=Kept)

NAMED: dict[type[Kept], str] = {HouseholdRecord: "household", RoleRecord: "role", ScheduleRecord: "name"}
"""The field that names what a record is about."""

_decoder = msgspec.json.Decoder(Kept)
_wire_decoder = msgspec.json.Decoder(PersonRecord)


def consents_to(record: KeptPerson, *purposes: str) -> bool:
    """Whether somebody agreed to all of these."""
    return set(purposes) <= {consent.purpose for consent in record.consents}


class Book:
    """What there is, and what a gate sees of it. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, file: OfficeFile, identity: Identity, secret: bytes) -> None:
        self._file, self._identity, self._secret = file, identity, secret
        self._records: dict[str, Kept] = {}  # in the order of their numbers
        self._seen = 0
        self._digests: dict[str, tuple[int, str]] = {}
        self._opened: dict[bytes, GateVerifiers] = {}

    def get(self, key: str) -> Kept | None:
        """The newest record of a key, which may be that it is gone; None when there never was one."""
        with self._file.reading() as connection:
            row = connection.execute("SELECT n, sealed FROM records WHERE key = ?", (self._index(key),)).fetchone()
        return None if row is None else self._open(*row)

    def person(self, subject: str) -> KeptPerson:
        """Somebody. Raises `OfficeError`."""
        record = self.get(f"person/{subject}")
        if not isinstance(record, KeptPerson):
            is_gone = "was removed for good" if record is not None else "is not known here"
            raise OfficeError(f"{subject!r} {is_gone}; `gated office person list` shows the ids")
        return record

    def live(self, kind: type[R]) -> list[R]:
        """Every record of one kind, oldest first."""
        self._refresh()
        return [record for record in self._records.values() if isinstance(record, kind)]

    def spellings(self, kind: type[R], name: str) -> list[str]:
        """Every spelling of a household's, role's or schedule's name that is used here; else its normal form.

        A gate of an older version binds each spelling alone, so a rule is said under all of them.
        """
        field = next(field for named, field in NAMED.items() if named is kind)
        used = {getattr(record, field) for record in self.live(kind)}
        if field in ("household", "role"):
            used |= {getattr(who, field) for who in self.live(KeptPerson)}
        return [each for each in names.spellings(name, used) if each in used] or [names.plain(name)]

    def put(self, record: Kept) -> int:
        """Say anew how something is, and give the number of that. A person who does not agree any more loses all faces.

        Raises `OfficeError` for what no gate would accept, and for a person who is gone. Takes argon2's time where a
        PIN is readable still.
        """
        if isinstance(record, KeptPerson):
            record = settled(record, self.pin_salt)
        key = key_of(record)
        self._check(key, record)
        with self._file.writing() as connection:
            was = connection.execute("SELECT is_gone FROM records WHERE key = ?", (self._index(key),)).fetchone()
            if isinstance(record, KeptPerson) and was is not None and was[0]:
                raise OfficeError(f"{record.subject!r} was removed for good; add them anew, under another id")
            n = self._write(record)
            if isinstance(record, KeptPerson):
                self._withdraw(record)
        return n

    def _check(self, key: str, record: Kept) -> None:
        """Raise `OfficeError` for what no gate would accept, or no message would hold."""
        encoded = [msgspec.json.encode(replace(record, n=0))]
        try:
            _decoder.decode(encoded[0])
            if isinstance(record, KeptPerson):
                encoded.append(msgspec.json.encode(as_sent(record, ANY, with_names=True)))
                _wire_decoder.decode(encoded[1])
        except msgspec.ValidationError as error:
            raise OfficeError(f"{key.partition('/')[0]}: {wording.problem(error, type(record))}") from error
        if (length := max(map(len, encoded))) > MAX_RECORD_BYTES:
            raise OfficeError(f"{key}: {length} bytes, at most {MAX_RECORD_BYTES} can be sent; say less")

    def without_readable(self, who: KeptPerson) -> KeptPerson:
        """The same person as they are to be kept. Takes argon2's time for each PIN that is readable still."""
        return settled(who, self.pin_salt)

    def resay(self, subject: str) -> None:
        """Say somebody anew as they are now, with no readable PIN; nothing of who is gone."""
        with self._file.writing():
            record = self.get(f"person/{subject}")
            if isinstance(record, KeptPerson):
                self._write(settled(record, self.pin_salt))

    def say_again(self) -> None:
        """Give everybody a new number: what gates are sent of them has changed."""
        for who in self.live(KeptPerson):
            self.again(who.subject)

    @property
    def pin_salt(self) -> bytes:
        """With which argon2 is asked about every PIN of the site."""
        with self._file.reading() as connection:
            return bytes(connection.execute("SELECT pin_salt FROM office").fetchone()[0])

    @property
    def sends_names(self) -> bool:
        """Whether the site chose that gates know names."""
        with self._file.reading() as connection:
            return bool(connection.execute("SELECT sends_names FROM office").fetchone()[0])

    def verifiers(self, gate: str) -> GateVerifiers | None:
        """The keys under which a gate compares cards and PINs; None before it has told them."""
        with self._file.reading() as connection:
            row = connection.execute("SELECT verifiers FROM gates WHERE gate = ?", (gate,)).fetchone()
        if row is None or row["verifiers"] is None:
            return None
        sealed = bytes(row["verifiers"])
        if sealed not in self._opened:
            keys = self._identity.open(sealed)
            self._opened[sealed] = GateVerifiers(keys[:KEY_BYTES], keys[KEY_BYTES:])
        return self._opened[sealed]

    def remove(self, key: str) -> int:
        """Something is no more: what was known of it is erased, its number stays. Raises `OfficeError`."""
        if isinstance(self.get(key), Gone | None):
            raise OfficeError(f"there is no {key!r} here")
        with self._file.writing() as connection:
            n = self._write(Gone(n=0, key=key))
            for table in ("faces", "enrolled"):
                connection.execute(f"DELETE FROM {table} WHERE 'person/' || subject = ?", (key,))  # noqa: S608 - ours
            connection.execute("UPDATE office SET owes_erasure = 1")
        self._records.pop(key, None)
        self._file.erase()
        return n

    def version(self, gate: str) -> int:
        """The newest number that this gate must have."""
        self._refresh()
        ask = "SELECT max((SELECT floor FROM office), (SELECT ifnull(max(n), 0) FROM faces WHERE gate = ?))"
        with self._file.reading() as connection:
            return max(self._seen, int(connection.execute(ask, (gate,)).fetchone()[0]))

    def digest(self, gate: str) -> str:
        """Of all that this gate must have (see `records.digest_of`)."""
        version = self.version(gate)
        if self._digests.get(gate, (-1, ""))[0] != version:
            faces = self._faces(gate, 0)
            held = ((key, max(r.n, faces.get(key, 0))) for key, r in self._records.items() if not isinstance(r, Gone))
            self._digests[gate] = version, digest_of(held)
        return self._digests[gate][1]

    def after(self, gate: str, n: int) -> list[Record]:
        """Every record as this gate must have it whose number is above `n`, in their order."""
        self._refresh()
        keys = set(self._faces(gate, n))
        for key in reversed(self._records):
            if self._records[key].n <= n:
                break
            keys.add(key)
        return sorted(self._as_seen(gate, keys), key=lambda record: record.n)

    def unanswered(self, gate: str, since: int, upto: int, limit: int) -> list[Gone]:
        """People who are gone since, which this gate should know by now and has not answered for; the oldest first."""
        ask = (
            "SELECT key, n FROM records WHERE is_gone AND key LIKE 'person/%' AND n > ? AND n <= ?"
            " AND NOT EXISTS (SELECT 1 FROM receipts WHERE gate = ? AND 'person/' || subject = key)"
            " ORDER BY n LIMIT ?"
        )
        with self._file.reading() as connection:
            rows = connection.execute(ask, (since, upto, gate, limit)).fetchall()
        return [Gone(key=row["key"], n=row["n"]) for row in rows]

    def again(self, subject: str) -> None:
        """Give somebody a new number: for a gate that has lost a face, the number of which must not fall."""
        with self._file.writing() as connection:
            renumber = "UPDATE records SET n = ? WHERE key = 'person/' || ? AND NOT is_gone"
            connection.execute(renumber, (self._file.count(), subject))

    def leap(self, above: int) -> None:
        """Number everything that is not gone anew, above a number that a gate has and this office has forgotten.

        After a backup was brought back: whatever gates have of the time since is older, and no number says two things.
        """
        with self._file.writing() as connection:
            connection.execute("UPDATE office SET counter = max(counter, ?)", (above,))
            for row in connection.execute("SELECT key FROM records WHERE NOT is_gone ORDER BY n").fetchall():
                connection.execute("UPDATE records SET n = ? WHERE key = ?", (self._file.count(), row["key"]))
            connection.execute("UPDATE office SET floor = ?", (self._file.count(),))

    @property
    def floor(self) -> int:
        """The number after the newest leap; 0 when there never was one."""
        with self._file.reading() as connection:
            return int(connection.execute("SELECT floor FROM office").fetchone()[0])

    def _write(self, record: Kept) -> int:
        n, is_shared = self._file.count(), False
        if isinstance(record, KeptPerson):
            is_shared = consents_to(record, "recognise", "transfer")
        sealed = self._identity.party.seal(msgspec.json.encode(replace(record, n=0)))
        row = (self._index(key_of(record)), n, isinstance(record, Gone), is_shared, sealed)
        with self._file.writing() as connection:
            connection.execute("REPLACE INTO records VALUES (?, ?, ?, ?, ?)", row)
        return n

    def _withdraw(self, record: KeptPerson) -> None:
        with self._file.writing() as connection:
            for purpose, table in (("transfer", "faces"), ("recognise", "faces"), ("recognise", "enrolled")):
                if not consents_to(record, purpose):
                    connection.execute(f"DELETE FROM {table} WHERE subject = ?", (record.subject,))  # noqa: S608 - ours

    def _refresh(self) -> None:
        """Follow what was written since, here or by another process."""
        with self._file.reading() as connection:
            ask = "SELECT n, sealed FROM records WHERE n > ? ORDER BY n"
            rows = connection.execute(ask, (self._seen,)).fetchall()
        for n, sealed in rows:
            record = self._open(n, sealed)
            self._records.pop(key_of(record), None)
            self._records[key_of(record)] = record
            self._seen = n

    def _as_seen(self, gate: str, keys: Iterable[str]) -> Iterator[Record]:
        mine, with_names, salt = self.verifiers(gate), self.sends_names, self.pin_salt
        for key in keys:
            record = self._records[key]
            if isinstance(record, KeptPerson):
                who = settled(record, salt)
                yield self._with_face(gate, as_sent(who, mine, with_names=with_names))
            else:
                yield record

    def _with_face(self, gate: str, record: PersonRecord) -> PersonRecord:
        with self._file.reading() as connection:
            ask = "SELECT n, face FROM faces WHERE gate = ? AND subject = ?"
            row = connection.execute(ask, (gate, record.subject)).fetchone()
        if row is None:
            return record
        return replace(record, n=max(record.n, row["n"]), face=msgspec.json.decode(row["face"], type=Face))

    def _faces(self, gate: str, n: int) -> dict[str, int]:
        """The keys of those whose face for this gate has a number above `n`, with it."""
        with self._file.reading() as connection:
            ask = "SELECT 'person/' || subject, n FROM faces WHERE gate = ? AND n > ?"
            return {
                key: number for key, number in connection.execute(ask, (gate, n)).fetchall() if key in self._records
            }

    def _open(self, n: int, sealed: bytes) -> Kept:
        try:
            record: Kept = _decoder.decode(self._identity.open(sealed))
        except UNDECODABLE as error:
            raise StateError(f"record {n} of the office cannot be read; bring the last backup back") from error
        return replace(record, n=n)

    def _index(self, key: str) -> str:
        """The key as it is stored: who knows the flats of a house must not be able to tell which have a record."""
        kind, name = key.split("/", 1)
        return key if kind != "household" else f"{kind}/{keyed(self._secret, name.encode(), sha256).hex()}"

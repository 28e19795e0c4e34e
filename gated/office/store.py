"""Opens the office's folder: `office.keys` is its identity, `office.db` its data. Gives access to every table."""

import secrets
import sqlite3
from pathlib import Path
from zoneinfo import ZoneInfo

from gated.errors import OfficeError, StateError, WireError
from gated.office import key_lock
from gated.office.alarm_store import AlarmStore
from gated.office.certificates import key_name
from gated.office.command_store import CommandStore
from gated.office.database_file import OfficeFile
from gated.office.face_store import FaceStore
from gated.office.gate_records import DigestKeys
from gated.office.gate_store import GateStore, PairedGate
from gated.office.handovers import Handovers
from gated.office.held_people import HeldPeople
from gated.office.journal_store import JournalStore
from gated.office.office_person import OfficePerson
from gated.office.receipts import Receipts
from gated.office.record_book import RecordBook
from gated.office.rekey_recovery import complete_rekey
from gated.office.schema import MIGRATIONS
from gated.people.pin_verifiers import new_salt
from gated.protocol.jose import Identity, Party
from gated.protocol.wire_records import GateRecord
from gated.sitetime import DEFAULT, zone_of
from gated.storage import database
from gated.storage.valid_rows import in_words, left_out, sound

TABLES = ("gates", "alarms", "orders", "held", "records", "faces", "enrolled")
"""The tables from which damaged rows are omitted."""
KEYS, DATABASE = "office.keys", "office.db"


class Store:
    """One process's and one thread's access to the office's data. Several may be open on one folder."""

    def __init__(self, connection: sqlite3.Connection, identity: Identity, path: Path) -> None:
        """Open a database prepared by `begin`. Raises `StateError`, and `SealError` for another office's keys."""
        self.identity, self.file = identity, OfficeFile(connection, path)
        with self.file.reading() as connection_:
            ask = f"SELECT site, secret, timezone FROM office WHERE {sound(connection_, 'office')}"  # noqa: S608 - ours
            row = connection_.execute(ask).fetchone()
        if row is None:
            raise StateError(f"{DATABASE}: the row of the office itself is damaged; restore the newest backup")
        site, secret, timezone = row
        self.site: str = site
        self.zone = zone_of(timezone) or ZoneInfo(DEFAULT)
        self.alarms = AlarmStore(self.file)
        self.book = RecordBook(self.file, identity, identity.open(secret))
        self.faces = FaceStore(self.file, self.book)
        self.handovers = Handovers(self.file)
        self.held = HeldPeople(self.file)
        self.journals = JournalStore(self.file, self.site)
        self.commands = CommandStore(self.file, identity)
        self.receipts = Receipts(self.file)
        self.gate_table = GateStore(self.file)
        self.file.generation = self.handovers.number

    @classmethod
    def create(cls, folder: Path, site: str, timezone: str = DEFAULT) -> "Store":
        """Create an office for a site in a folder without one. Raises `OfficeError` and `StateError`."""
        if (folder / DATABASE).exists():
            raise OfficeError(f"{folder}: this folder has an office already; name another folder")
        if not (folder / KEYS).exists():
            Identity.make().save(folder / KEYS)
        identity, connection = Identity.load(folder / KEYS), database.connect(folder / DATABASE, MIGRATIONS)
        begin(connection, identity, site, timezone)
        return cls(connection, identity, folder / DATABASE)

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Open the office in a folder. Raises `OfficeError` if it has none, and `StateError`."""
        if not (folder / DATABASE).exists():
            raise OfficeError(
                f"{folder}: no office in this folder; `gated office init` creates one, or name another --dir"
            )
        complete_rekey(folder)
        identity, connection = _identity(folder), database.connect(folder / DATABASE, MIGRATIONS)
        if not connection.execute("SELECT 1 FROM office").fetchone():
            connection.close()
            raise StateError(
                f"{folder / DATABASE}: creation did not finish; move this file away and run `gated office init` again"
            )
        return cls(connection, identity, folder / DATABASE)

    def left_out(self) -> str:
        """Return a sentence about damaged rows, with the next step; empty if there are no damaged rows."""
        with self.file.reading() as connection:
            counts = left_out(connection, TABLES)
        if unreadable := self.book.unreadable:
            counts["records"] = counts.get("records", 0) + len(unreadable)
        return in_words(
            DATABASE, counts, "restore the newest backup, or pair the missing gates and send the missing commands again"
        )

    def close(self) -> None:
        """Close the database. May be called twice."""
        self.file.close()

    def set_timezone(self, timezone: str) -> None:
        """Change the site's time zone. Raises `OfficeError` for an unknown name."""
        with self.file.writing() as connection:
            connection.execute("UPDATE office SET timezone = ?", (check_timezone(timezone).key,))
        self.zone = check_timezone(timezone)

    @property
    def sends_names(self) -> bool:
        """Return whether the site sends names to gates."""
        return self.book.sends_names

    def send_names(self, chosen: bool) -> None:
        """Choose whether gates get names. On a change, every person is sent again."""
        with self.file.writing() as connection:
            if self.book.sends_names != chosen:
                connection.execute("UPDATE office SET sends_names = ?", (chosen,))
                self.book.renumber_people()

    def convert_readable_pins(self) -> int:
        """Remove readable PINs once after an update, and send every person to every gate again.

        Returns the number of readable PINs. Runs argon2 for each. An interrupted run keeps its progress.
        """
        found = 0
        if self.has_no_readable_pins:
            return found
        for person in self.book.live(OfficePerson):
            found += bool(person.pin) + bool(person.duress_pin)
            self.book.rewrite(person.subject)
        with self.file.writing() as connection:
            connection.execute("UPDATE office SET is_settled = 1, owes_erasure = 1")
        self.file.erase()
        return found

    @property
    def has_no_readable_pins(self) -> bool:
        """Return whether no readable PIN is stored any more."""
        with self.file.reading() as connection:
            return bool(connection.execute("SELECT is_settled FROM office").fetchone()[0])

    def gates(self) -> list[PairedGate]:
        """Return every gate of the site, by name."""
        return self.gate_table.all()

    def gate(self, name: str) -> PairedGate:
        """Return one gate. Raises `NoSuchGateError`."""
        return self.gate_table.get(name)

    def add_gate(self, gate: str, keys: bytes, serial: str) -> None:
        """Store a gate that was paired, new or known: its public keys (a JWK set) and its certificate's serial number.

        The gate must send its keys for cards and PINs again and counts as having no records. Other gates learn of it by
        its record. Faces sealed to former keys are deleted. Raises `WireError` for invalid keys.
        """
        party = Party.parse(keys)
        with self.file.writing():
            n = self.book.put(GateRecord(n=0, gate=gate, keys=party.dump().decode()))
            before = self.gate_table.add(gate, party.dump().decode(), serial, n)
            if before is not None and Party.parse(before).seal_kid != party.seal_kid:
                self.faces.delete_gate(gate)

    def retire_gate(self, gate: str, at: str) -> None:
        """Remove a gate. Tells the other gates, seals nothing to it, and settles its commands and alarms.

        Keeps its journal. Raises `OfficeError` for an unknown gate.
        """
        with self.file.writing() as connection:
            known, keys = self.gate(gate), Party.parse(self.gate(gate).keys)
            certificate = [key_name(known.certificate)] if known.certificate else []
            self.faces.delete_gate(gate)
            if isinstance(self.book.get(f"gate/{gate}"), GateRecord):
                self.book.remove(f"gate/{gate}")
            for placed in self.commands.open():
                if placed.gate == gate:
                    self.commands.finish(placed, "failed", "the gate was retired")
            connection.execute("UPDATE orders SET is_told = 1 WHERE gate = ?", (gate,))
            self.held.remove(gate)
            self.alarms.end_all(gate, at)
            self.gate_table.retire(gate, [keys.kid, keys.seal_kid, *certificate], at)
        self.file.erase()

    def store_digest_keys(self, gate: str, keys: DigestKeys) -> bool:
        """Store a gate's keys for card and PIN digests. The first keys count; return False for different ones."""
        with self.file.writing():
            known = self.book.digest_keys(gate)
            if known is None:
                self.gate_table.store_digest_keys(gate, self.identity.party.seal(keys.card + keys.pin))
            return known in (None, keys)


def _identity(folder: Path) -> Identity:
    """Return the office's own keys, unsealed. Raises `StateError`, and `OfficeError` (see `key_lock`)."""
    if not key_lock.is_locked(folder):
        return Identity.load(folder / KEYS)
    try:
        return Identity.parse(key_lock.read(folder, KEYS))
    except (OSError, WireError) as error:
        raise StateError(
            f"{folder / KEYS}: does not hold the office's private keys ({error}); restore it from a backup"
        ) from error


def check_timezone(name: str) -> ZoneInfo:
    """Return the time zone with this name. Raises `OfficeError`."""
    zone = zone_of(name)
    if zone is None:
        raise OfficeError(f"{name!r} is not a time zone; use one such as Asia/Shanghai, the same as [site] timezone")
    return zone


def begin(connection: sqlite3.Connection, identity: Identity, site: str, timezone: str = DEFAULT) -> None:
    """Write the first row of an empty database that has the tables."""
    secret = identity.party.seal(secrets.token_bytes(32))
    connection.execute(
        "INSERT INTO office (one, site, secret, counter, floor, owes_erasure, timezone, pin_salt, is_settled)"
        " VALUES (1, ?, ?, 0, 0, 0, ?, ?, 1)",
        (site, secret, timezone, new_salt()),
    )

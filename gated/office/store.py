"""All that the office keeps, in one folder: `office.keys` says who it is, `office.db` what it knows."""

import secrets
import sqlite3
from pathlib import Path
from zoneinfo import ZoneInfo

from gated import database
from gated.errors import OfficeError, StateError, WireError
from gated.gallery.verifiers import new_salt
from gated.office import locking
from gated.office.alarms import Alarms
from gated.office.book import Book
from gated.office.certificates import key_name
from gated.office.faces import Faces
from gated.office.file import OfficeFile
from gated.office.gates import Gate, Gates
from gated.office.handovers import Handovers
from gated.office.held import HeldPeople
from gated.office.journals import Journals
from gated.office.kept import KeptPerson
from gated.office.orders import Orders
from gated.office.receipts import Receipts
from gated.office.schema import MIGRATIONS
from gated.office.settling import settle
from gated.office.verifiers import GateVerifiers
from gated.sitetime import DEFAULT, zone_of
from gated.soundness import in_words, left_out
from gated.sync.jose import Identity, Party
from gated.sync.messages import GateRecord

READ = ("gates", "alarms", "orders", "held")
"""The tables of which a damaged row is left out."""
KEYS, DATABASE = "office.keys", "office.db"


class Store:
    """One process's, and one thread's, way to what the office keeps; several may be open on one folder."""

    def __init__(self, connection: sqlite3.Connection, identity: Identity) -> None:
        """Over a database that `begin` has been at. Raises `StateError`, and `SealError` with another office's keys."""
        self.identity, self.file = identity, OfficeFile(connection)
        with self.file.reading() as connection_:
            site, secret, timezone = connection_.execute("SELECT site, secret, timezone FROM office").fetchone()
        self.site: str = site
        self.zone = zone_of(timezone) or ZoneInfo(DEFAULT)
        self.alarms = Alarms(self.file)
        self.book = Book(self.file, identity, identity.open(secret))
        self.faces = Faces(self.file, self.book)
        self.handovers = Handovers(self.file)
        self.held = HeldPeople(self.file)
        self.journals = Journals(self.file, self.site)
        self.orders = Orders(self.file, identity)
        self.receipts = Receipts(self.file)
        self.roll = Gates(self.file)
        self.file.generation = self.handovers.number

    @classmethod
    def create(cls, folder: Path, site: str, timezone: str = DEFAULT) -> "Store":
        """Make an office for that site in a folder that has none. Raises `OfficeError` and `StateError`."""
        if (folder / DATABASE).exists():
            raise OfficeError(f"{folder}: an office is here already; name another folder")
        if not (folder / KEYS).exists():
            Identity.make().save(folder / KEYS)
        identity, connection = Identity.load(folder / KEYS), database.connect(folder / DATABASE, MIGRATIONS)
        begin(connection, identity, site, timezone)
        return cls(connection, identity)

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Open the office of that folder. Raises `OfficeError` where there is none, and `StateError`."""
        if not (folder / DATABASE).exists():
            raise OfficeError(f"{folder}: no office is here; `gated office init` makes one, or name another --dir")
        settle(folder)
        identity, connection = _identity(folder), database.connect(folder / DATABASE, MIGRATIONS)
        if not connection.execute("SELECT 1 FROM office").fetchone():
            connection.close()
            raise StateError(f"{folder / DATABASE}: was never finished; move it away and run `gated office init` again")
        return cls(connection, identity)

    def left_out(self) -> str:
        """Which rows are too damaged to be read, and the next step, in words; empty where none is."""
        with self.file.reading() as connection:
            counts = left_out(connection, READ)
        return in_words(DATABASE, counts, "bring back the newest backup, or pair and place anew what is missing")

    def close(self) -> None:
        """Give the file back. May be called twice."""
        self.file.close()

    def set_timezone(self, timezone: str) -> None:
        """Have the site in another time zone. Raises `OfficeError` where there is none of that name."""
        with self.file.writing() as connection:
            connection.execute("UPDATE office SET timezone = ?", (check_timezone(timezone).key,))
        self.zone = check_timezone(timezone)

    @property
    def sends_names(self) -> bool:
        """Whether the site chose that gates know names."""
        return self.book.sends_names

    def send_names(self, chosen: bool) -> None:
        """Have gates know names from now on, or forget them: everybody is told to them anew."""
        with self.file.writing() as connection:
            if self.book.sends_names != chosen:
                connection.execute("UPDATE office SET sends_names = ?", (chosen,))
                self.book.say_again()

    def forget_pins(self) -> int:
        """Once after an update: keep no readable PIN of anybody any more, and tell every gate everybody anew; gives how
        many PINs were readable. Takes argon2's time for each; what was done stays done where this is interrupted.
        """
        found = 0
        if self.keeps_no_pins:
            return found
        for who in self.book.live(KeptPerson):
            found += bool(who.pin) + bool(who.duress_pin)
            self.book.resay(who.subject)
        with self.file.writing() as connection:
            connection.execute("UPDATE office SET is_settled = 1, owes_erasure = 1")
        self.file.erase()
        return found

    @property
    def keeps_no_pins(self) -> bool:
        """Whether no PIN of anybody is readable here any more."""
        with self.file.reading() as connection:
            return bool(connection.execute("SELECT is_settled FROM office").fetchone()[0])

    def gates(self) -> list[Gate]:
        """Every gate of the site, by name."""
        return self.roll.all()

    def gate(self, name: str) -> Gate:
        """One of them. Raises `OfficeError`."""
        return self.roll.get(name)

    def add_gate(self, gate: str, keys: bytes, serial: str) -> None:
        """Know a gate that was paired, or paired anew: its public keys (a JWK set) and its certificate's serial number.
        It will tell its keys for cards and PINs anew, and hold nothing yet.

        The other gates learn of it by its record. Faces that were sealed to other keys are forgotten. Raises
        `WireError` for keys that are none.
        """
        party = Party.parse(keys)
        with self.file.writing():
            n = self.book.put(GateRecord(n=0, gate=gate, keys=party.dump().decode()))
            before = self.roll.add(gate, party.dump().decode(), serial, n)
            if before is not None and Party.parse(before).seal_kid != party.seal_kid:
                self.faces.forget_gate(gate)

    def strike(self, gate: str, at: str) -> None:
        """A gate is none any more: the others learn it, nothing is sealed to it, nothing of it is heard or waited for.

        What its journal said stays. Raises `OfficeError` where there is no such gate.
        """
        with self.file.writing() as connection:
            known, keys = self.gate(gate), Party.parse(self.gate(gate).keys)
            certificate = [key_name(known.certificate)] if known.certificate else []
            self.faces.forget_gate(gate)
            if isinstance(self.book.get(f"gate/{gate}"), GateRecord):
                self.book.remove(f"gate/{gate}")
            for placed in self.orders.open():
                if placed.gate == gate:
                    self.orders.settle(placed, "failed", "the gate was retired")
            connection.execute("UPDATE orders SET is_told = 1 WHERE gate = ?", (gate,))
            self.held.drop(gate)
            self.alarms.over(gate, at)
            self.roll.strike(gate, [keys.kid, keys.seal_kid, *certificate], at)
        self.file.erase()

    def learn_verifiers(self, gate: str, keys: GateVerifiers) -> bool:
        """A gate tells the keys under which it compares cards and PINs. The first count; False for others."""
        with self.file.writing():
            known = self.book.verifiers(gate)
            if known is None:
                self.roll.keep_verifiers(gate, self.identity.party.seal(keys.card + keys.pin))
            return known in (None, keys)


def _identity(folder: Path) -> Identity:
    """The office's own keys, opened where they are sealed. Raises `StateError`, and `OfficeError` (see `locking`)."""
    if not locking.is_locked(folder):
        return Identity.load(folder / KEYS)
    try:
        return Identity.parse(locking.read(folder, KEYS))
    except (OSError, WireError) as error:
        raise StateError(f"{folder / KEYS}: is no pair of private keys ({error}); bring a backup back") from error


def check_timezone(name: str) -> ZoneInfo:
    """The zone of that name. Raises `OfficeError`."""
    zone = zone_of(name)
    if zone is None:
        raise OfficeError(f"{name!r} is no time zone; use one such as Asia/Shanghai, the same as [site] timezone")
    return zone


def begin(connection: sqlite3.Connection, identity: Identity, site: str, timezone: str = DEFAULT) -> None:
    """Write the first row of an empty database that has the tables."""
    secret = identity.party.seal(secrets.token_bytes(32))
    connection.execute(
        "INSERT INTO office (one, site, secret, counter, floor, owes_erasure, timezone, pin_salt, is_settled)"
        " VALUES (1, ?, ?, 0, 0, 0, ?, ?, 1)",
        (site, secret, timezone, new_salt()),
    )

"""All that the office keeps, in one folder: `office.keys` says who it is, `office.db` what it knows."""

import secrets
import sqlite3
from pathlib import Path

from gated import database
from gated.errors import OfficeError, StateError
from gated.office.alarms import Alarms
from gated.office.book import Book
from gated.office.faces import Faces
from gated.office.file import OfficeFile
from gated.office.gates import Gate, Gates
from gated.office.journals import Journals
from gated.office.orders import Orders
from gated.office.receipts import Receipts
from gated.office.schema import MIGRATIONS
from gated.sync.jose import Identity, Party
from gated.sync.messages import GateRecord

KEYS, DATABASE = "office.keys", "office.db"


class Store:
    """One process's, and one thread's, way to what the office keeps; several may be open on one folder."""

    def __init__(self, connection: sqlite3.Connection, identity: Identity) -> None:
        """Over a database that `begin` has been at. Raises `StateError`, and `SealError` with another office's keys."""
        self.identity, self.file = identity, OfficeFile(connection)
        with self.file.reading() as connection_:
            site, secret = connection_.execute("SELECT site, secret FROM office").fetchone()
        self.site: str = site
        self.alarms = Alarms(self.file)
        self.book = Book(self.file, identity, identity.open(secret))
        self.faces = Faces(self.file, self.book)
        self.journals = Journals(self.file, self.site)
        self.orders = Orders(self.file, identity)
        self.receipts = Receipts(self.file)
        self.roll = Gates(self.file)

    @classmethod
    def create(cls, folder: Path, site: str) -> "Store":
        """Make an office for that site in a folder that has none. Raises `OfficeError` and `StateError`."""
        if (folder / DATABASE).exists():
            raise OfficeError(f"{folder}: an office is here already; name another folder")
        if not (folder / KEYS).exists():
            Identity.make().save(folder / KEYS)
        identity, connection = Identity.load(folder / KEYS), database.connect(folder / DATABASE, MIGRATIONS)
        begin(connection, identity, site)
        return cls(connection, identity)

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Open the office of that folder. Raises `OfficeError` where there is none, and `StateError`."""
        if not (folder / DATABASE).exists():
            raise OfficeError(f"{folder}: no office is here; `gated office init` makes one, or name another --dir")
        identity, connection = Identity.load(folder / KEYS), database.connect(folder / DATABASE, MIGRATIONS)
        if not connection.execute("SELECT 1 FROM office").fetchone():
            connection.close()
            raise StateError(f"{folder / DATABASE}: was never finished; move it away and run `gated office init` again")
        return cls(connection, identity)

    def close(self) -> None:
        """Give the file back. May be called twice."""
        self.file.close()

    def gates(self) -> list[Gate]:
        """Every gate of the site, by name."""
        return self.roll.all()

    def gate(self, name: str) -> Gate:
        """One of them. Raises `OfficeError`."""
        return self.roll.get(name)

    def add_gate(self, gate: str, keys: bytes, serial: str) -> None:
        """Know a gate that was paired, or paired anew: its public keys (a JWK set) and its certificate's serial number.

        The other gates learn of it by its record. Faces that were sealed to other keys are forgotten. Raises
        `WireError` for keys that are none.
        """
        party = Party.parse(keys)
        with self.file.writing():
            n = self.book.put(GateRecord(n=0, gate=gate, keys=party.dump().decode()))
            before = self.roll.add(gate, party.dump().decode(), serial, n)
            if before is not None and Party.parse(before).seal_kid != party.seal_kid:
                self.faces.forget_gate(gate)


def begin(connection: sqlite3.Connection, identity: Identity, site: str) -> None:
    """Write the first row of an empty database that has the tables."""
    secret = identity.party.seal(secrets.token_bytes(32))
    connection.execute("INSERT INTO office VALUES (1, ?, ?, 0, 0, 0)", (site, secret))

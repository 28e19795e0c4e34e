"""Fixtures for the office tests: an office in a temporary folder, and gates that speak its protocol
without a network.
"""

import json
import secrets
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gated.journal.chain import genesis, row_digest
from gated.journal.entry import stamp
from gated.office.exchange import Exchange
from gated.office.gate_session import GateSession
from gated.office.office_person import OfficePerson
from gated.office.schema import MIGRATIONS
from gated.office.store import Store, begin
from gated.protocol.command_messages import Command, Confirmation, ConfirmationRequest, Offer, Reply
from gated.protocol.envelope import Peer
from gated.protocol.event_messages import Ack, EventBatch, WireEvent
from gated.protocol.face_messages import SharedFace
from gated.protocol.jose import Identity
from gated.protocol.key_messages import RecoveryNotice, VerifierKeys
from gated.protocol.record_messages import Delta, RecordRequest, RemovalReceipt, SnapshotPart
from gated.protocol.status_messages import Heartbeat, JournalMark, RecordMark, Status
from gated.protocol.topics import Topics
from gated.protocol.wire_records import WireConsent
from gated.storage import migrations

SITE = "market-south"
CAN = ["live", "batch", "held", "verifiers"]
BEGIN = datetime(2026, 11, 23, 7, 58, tzinfo=UTC)


def consent(purpose):
    return WireConsent(purpose, "paper-17", "2026-11", "2026-11-20T09:00:00Z")


def person(number, name="Wang Fang", household="2-401", purposes=("recognise", "transfer"), **other):
    """Return a person record for the book. `number` becomes the subject id."""
    values = {"role": "resident", "consents": [consent(purpose) for purpose in purposes]} | other
    return OfficePerson(
        n=0, subject=f"{number:016x}", name=name, household=household, added_at="2026-11-20T09:00:00Z", **values
    )


class GateEnd:
    """One gate's end of the protocol. It signs the messages it writes and opens the messages it receives."""

    def __init__(self, court, name):
        self.court, self.name = court, name
        self.me = Identity.make()
        self.peer = Peer(self.me, court.store.identity.party, SITE, name)
        self.topics = Topics(SITE, name)
        self.journal, self.rows, self.dropped = "5b0f6a1c9e2d4471", [], 0
        self.heard = self.version = self.acked = 0
        self.challenges = self.nonces = 0
        self.digest = ""
        self.keys = {"card": secrets.token_bytes(32), "pin": secrets.token_bytes(32)}

    def message(self, kind, **values):
        return kind(site=SITE, gate=self.name, **values)

    def send(self, kind, topic=None, **values):
        """Send a message to the office. Return every message the office publishes in response, opened."""
        topics = {Status: "status", EventBatch: "event", RecordRequest: "request"}
        topic = topic or getattr(self.topics, topics.get(kind, "reply"))
        payload = self.peer.write(self.message(kind, **values))
        return self.court.carry(self.court.side.handle_message(topic, payload, self.court.now, self.court.wall))

    def status(self, **values):
        self.challenges += 1
        mark = RecordMark(self.version, self.digest)
        usual = {
            "version": "0.1.0",
            "at": stamp(self.court.wall),
            "challenge": f"challenge-{self.challenges}",
            "heard": self.heard,
            "records": mark,
            "journal": self.mark(),
            "can": CAN,
        }
        return self.send(Status, **(usual | values))

    def mark(self, **values):
        head = len(self.rows)
        usual = {"id": self.journal, "head": head, "acked": self.acked, "hash": self.rows[-1].hash if head else ""}
        return JournalMark(**(usual | values))

    def read(self, out):
        """Open a published message as a gate does, and keep the number of the last heartbeat."""
        kinds = {self.topics.ack: (Ack, Heartbeat, RecoveryNotice), self.topics.record: (Delta, SnapshotPart)}
        message = self.peer.read(out.payload, *kinds.get(out.topic, (Command, Offer, Confirmation)))
        if isinstance(message, Heartbeat):
            self.heard = message.number
        return message

    def happen(self, kind, at=None, *, body=None, **facts):
        """Append a journal row, chained to the row before it. Return the row."""
        before = self.rows[-1].hash if self.rows else genesis(SITE, self.name, self.journal)
        body, at = body or json.dumps({"kind": kind, **facts}), at or stamp(self.court.wall)
        seq = len(self.rows) + 1
        row = WireEvent(seq, at, kind, body, row_digest(before, seq, at.encode(), kind.encode(), body.encode()))
        self.rows.append(row)
        return row

    def batch(self, first, last, **values):
        rows = self.rows[first - 1 : last]
        prev = self.rows[first - 2].hash if first > 1 else genesis(SITE, self.name, self.journal)
        usual = {"journal": self.journal, "after": first - 1, "first": first, "last": last, "prev": prev}
        return self.send(EventBatch, **(usual | {"events": rows} | values))

    def asks(self, offer, step="begin", **more):
        """Ask whether an order is still wanted. Return the office's answer, or None."""
        self.nonces += 1
        said = self.send(ConfirmationRequest, command=offer.command, nonce=f"nonce-{self.nonces}", step=step, **more)
        return said[0] if said else None

    def reply(self, command, outcome="done", **values):
        return self.send(Reply, command=command.id, outcome=outcome, **values)

    def receipt(self, gone, templates=3):
        subject = gone.key.removeprefix("person/")
        return self.send(RemovalReceipt, subject=subject, n=gone.n, templates=templates, at=stamp(self.court.wall))

    def shares(self, command, face):
        return self.send(SharedFace, subject=command.action.subject, to=command.action.to, face=face)


class Court:
    """A site: its office, its gates, and one clock for all of them."""

    def __init__(self, folder):
        self.folder, self.store = folder, Store.create(folder, SITE)
        self.now, self.wall = 1000.0, BEGIN
        self.waiting = set()
        """The ids of the orders for which an operator's process waits."""
        self.side = self.open_side()
        self.gates = {}

    def join(self, name, end=None):
        """Pair a gate, let it report its status, and store its verifiers."""
        end = self.gates[name] = end or GateEnd(self, name)
        self.store.add_gate(name, end.me.party.dump(), "0a0b")
        self.due()
        end.status()
        end.send(VerifierKeys, **end.keys)
        self.due()
        return end

    def wait(self, seconds):
        self.now += seconds
        self.wall += timedelta(seconds=seconds)

    def due(self):
        return self.carry(self.side.due(self.now, self.wall))

    def carry(self, published):
        """Open the published messages with the keys of their gates."""
        return [self.gates[out.topic.split("/")[3]].read(out) for out in published]

    def restart(self, folder=None):
        """Stop the office, open its store again, and start it."""
        self.store.close()
        self.store = Store.open(folder or self.folder)
        self.side = self.open_side()
        self.due()

    def open_side(self):
        return Exchange(self.store, waits=self.waiting.__contains__)

    def order(self, action, gate="gate-1", **more):
        """Place an order whose operator waits for the result. Return its id."""
        placed = self.store.commands.place(gate, action, "li", "a delivery", self.wall, **more)
        self.waiting.add(placed)
        return placed

    def give_up(self, order, why="no answer"):
        """Withdraw an order: its operator stops waiting. Return the order's state after that."""
        state = self.store.commands.withdraw(order, why).state
        self.waiting.discard(order)
        return state

    def state(self, order):
        return self.store.commands.get(order).state

    def alarms(self):
        return [(alarm.gate, alarm.kind) for alarm in self.store.alarms.all()]


@pytest.fixture
def court(tmp_path):
    court = Court(tmp_path / "office")
    yield court
    court.store.close()


@pytest.fixture
def gate(court):
    return court.join("gate-1")


@pytest.fixture
def other(court, gate):
    return court.join("gate-2")


@pytest.fixture(name="person", scope="session")
def person_fixture():
    return person


@pytest.fixture
def only():
    """Return a function that keeps only the messages of one kind."""
    return lambda kind, messages: [message for message in messages if isinstance(message, kind)]


@pytest.fixture
def session(court, gate):
    """Return the office's session with one gate."""
    peer = Peer(court.store.identity, gate.me.party, SITE, gate.name)
    return GateSession(gate.me.party.dump().decode(), peer, gate.topics, 0, court.now, court.now)


@pytest.fixture(scope="session")
def in_memory():
    """Return a function that makes a store in memory with two gates. It is fast enough for tests that need many
    stores.
    """
    identity, keys = Identity.make(), Identity.make().party.dump()

    def make():
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.row_factory = sqlite3.Row
        migrations.migrate(connection, MIGRATIONS)
        begin(connection, identity, SITE)
        store = Store(connection, identity, Path("office.db"))
        for gate in ("gate-1", "gate-2"):
            store.add_gate(gate, keys, "0a0b")
        return store

    return make

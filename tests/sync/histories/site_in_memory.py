"""One office and two gates with disks of their own, and a wire between them that does its worst; time is a number.

Everything is real but the clock and the wire: what gates and office keep lies in SQLite files, is closed and opened
again, and every message is signed and sealed.
"""

import random
import shutil
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import numpy as np
from msgspec.structs import replace

from gated.config import SyncSettings
from gated.errors import EnrolmentError, OfficeError, SubjectNotFoundError, WireError
from gated.events import PersonEnrolled
from gated.gallery.register import Register
from gated.journal.journal import Journal
from gated.office.side import OfficeSide
from gated.office.store import Store
from gated.sync.commands import CommandDesk, Outcome
from gated.sync.gate import GateSide, Vitals
from gated.sync.jose import Identity
from gated.sync.messages import (
    Ack,
    Command,
    Consented,
    Delta,
    EventBatch,
    Gone,
    HouseholdRecord,
    Passage,
    PersonRecord,
    Release,
    SetLockdown,
    Share,
    SnapshotPart,
    Suspend,
    WireEvent,
)
from gated.sync.records import digest_of, key_of, takes_away
from gated.sync.replica import Replica
from gated.sync.topics import Topics
from gated.sync.wire import Peer
from gated.types import SubjectId

SITE, GATES = "court", ("east", "west")
BEGAN = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
EMBEDDER, DIMENSION = "e" * 64, 64
SETTINGS = SyncSettings(status_s=10.0, ack_timeout_s=2.0, most_new_per_hour=100_000)
RELEASE_S = 5.0


def prepare(folder):
    """An office that knows its gates, and gates that have begun: to be copied for each history."""
    store = Store.create(folder / "office", SITE)
    for name in GATES:
        identity = Identity.make()
        identity.save(folder / name / "gate.keys")
        store.add_gate(name, identity.party.dump(), name)
        gate = Gatehouse(Site.__new__(Site), name, folder / name, identity, store.identity.party)
        gate.site.now = 0.0
        gate.open()
        gate.kill()
    store.close()


class Gatehouse:
    """A gate: its files, its half of the conversation, and what was done because of it."""

    def __init__(self, site, name, folder, identity, office):
        self.site, self.name, self.folder = site, name, folder
        self.peer, self.topics = Peer(identity, office, SITE, name), Topics(SITE, name)
        self.is_up, self.is_online, self.wall_ahead, self.is_clock_trusted = False, False, timedelta(), True
        self.acted, self.version = set(), 0
        self.taken, self.given, self.gone = {}, {}, {}
        """The newest number delivered, by key: of what takes away, of what lets in, of what says that they are gone."""

    def open(self):
        """Begin, as after a kill: with what is on disk, and nothing else."""
        self.journal = Journal.open(self.folder, SITE, self.name)
        self.register = Register.open(self.folder, SITE)
        replica = Replica(
            self.folder, self.peer, EMBEDDER, DIMENSION, 0.9, SETTINGS.most_new_per_hour, self.report, lambda: None
        )
        self.side = GateSide(
            self.peer,
            self.topics,
            SETTINGS,
            open_journal=lambda: Journal.open(self.folder, SITE, self.name),
            replica=replica,
            desk=CommandDesk(self.folder, SITE, self.name),
            report=self.report,
            now=self.site.now,
        )
        self.is_up, self.is_online = True, False

    def kill(self):
        """Gone in the middle of whatever it did."""
        self.is_up = self.is_online = False
        self.side.close()
        self.register.close()
        self.journal.close()

    def report(self, event):
        self.journal.append(event, self.wall)

    @property
    def wall(self):
        return self.site.wall + self.wall_ahead

    def speak(self):
        """Say what is due, on a connection that may be new."""
        if not self.is_online:
            self.is_online = True
            self.side.connected(self.site.now)
        vitals = Vitals("0", [], "secured", 0, 0, "courtyard")
        self.site.carry("office", self.side.due(self.site.now, self.wall, vitals))

    def hear(self, topic, payload):
        self._note(topic, payload)
        heard = self.side.hear(topic, payload, self.site.now, self.wall if self.is_clock_trusted else None)
        self.site.carry("office", heard.out)
        if heard.act is not None:
            outcome = self._perform(heard.act)
            if self.is_up:
                self.site.carry("office", self.side.settle(heard.act, outcome, self.site.now))

    def _note(self, topic, payload):
        """What was genuinely delivered: from then on it must be heeded."""
        if topic != self.topics.record:
            return
        with suppress(WireError):
            message = self.peer.read(payload, Delta, SnapshotPart)
            for record in message.records:
                key = key_of(record)
                if isinstance(message, Delta) and takes_away(record):
                    self.taken[key] = max(self.taken.get(key, 0), record.n)
                    if isinstance(record, Gone):
                        self.gone[key] = max(self.gone.get(key, 0), record.n)
                elif isinstance(record, PersonRecord) and record.status == "active":
                    self.given[key] = max(self.given.get(key, 0), record.n)

    def _perform(self, command: Command) -> Outcome:
        assert (command.site, command.gate) == (SITE, self.name)
        assert command.number not in self.acted, "a command acted twice"
        self.acted.add(command.number)
        match command.action:
            case Release():
                self._release(command)
            case SetLockdown():
                pass
            case Suspend(subject, n):
                if not self.side.replica.suspend(subject, n):
                    return Outcome("refused", "nobody here")
                self.taken[f"person/{subject}"] = max(self.taken.get(f"person/{subject}", 0), n)
            case Share(subject, to):
                try:
                    self.side.post(self.side.replica.share(subject, to))
                except (EnrolmentError, SubjectNotFoundError) as error:
                    return Outcome("refused", str(error))
        return Outcome("done")

    def _release(self, command):
        """The one thing that opens a door: ordered for this gate, just now, and never before."""
        order = self.site.ordered.get(command.reason)
        assert order is not None, "nobody ordered this"
        assert order["gate"] == self.name, "it was another gate's"
        assert not order["acted"], "one order opened twice"
        order["acted"] = True
        if not command.challenge and self.is_clock_trusted:
            age_s = (self.wall - datetime.fromisoformat(command.at)).total_seconds()
            assert abs(age_s) <= RELEASE_S, "a stale release opened"
        else:
            assert self.site.now - order["sent_at"] <= 4 * RELEASE_S + 30, "a stale release opened by challenge"

    def enrol(self, subject, dice):
        """Somebody known here who has agreed has their face taken at this gate."""
        with suppress(SubjectNotFoundError):
            person = self.register.person(SubjectId(subject))
            if person.status == "active" and any(c.purpose == "recognise" for c in person.consents):
                vectors = unit_vectors(dice, 2)
                with self.register.changing():
                    self.register.replace(person, EMBEDDER, vectors, self.wall)
                self.report(PersonEnrolled(subject, 2, "1", EMBEDDER))

    def people(self):
        return {person.subject: person for person in self.register.people()}

    def check(self):
        """What must hold at every moment."""
        version = self.side.replica.mark.version
        assert version >= self.version, "the version fell"
        self.version = version
        people = self.people()
        for key, n in self.taken.items():
            person = people.get(key.removeprefix("person/"))
            if person is not None and n > self.given.get(key, 0):
                assert person.status != "active", "somebody is let in after word came that they are not"
        for key in self.gone:
            if self.gone[key] > self.given.get(key, 0):
                assert key.removeprefix("person/") not in people, "somebody came back who was gone"


class Site:
    """The office, the gates, and the wire."""

    def __init__(self, folder, seed):
        self.dice, self.folder = random.Random(seed), folder
        self.now, self.wall = 1000.0, BEGAN
        self.flying, self.past, self.ordered = [], [], {}
        self.is_office_up, self.backup = True, None
        self.added, self.texts = [], 0
        folder.mkdir()
        shutil.copytree(folder.parent / "office", folder / "office")
        self.store = Store.open(folder / "office")
        self.gates = {}
        for name in GATES:
            shutil.copytree(folder.parent / name, folder / name)
            identity = Identity.load(folder / name / "gate.keys")
            self.gates[name] = Gatehouse(self, name, folder / name, identity, self.store.identity.party)
            self.gates[name].open()
        self.side = OfficeSide(self.store)
        self.office_speaks()

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self):
        for gate in self.gates.values():
            if gate.is_up:
                gate.kill()
        self.store.close()

    # -- the wire -----------------------------------------------------------------------------------------------------

    def carry(self, to, said):
        for out in said:
            self.flying.append((to, out.topic, out.payload))
        self.past += self.flying[-len(said) :] if said else []
        del self.past[:-300]

    def deliver(self, which):
        to, topic, payload = self.flying.pop(which)
        self.arrive(to, topic, payload)

    def arrive(self, to, topic, payload):
        if to == "office":
            if self.is_office_up:
                for out in self.side.hear(topic, payload, self.now, self.wall):
                    self.carry(out.topic.split("/")[3], [out])
        elif self.gates[to].is_up and self.gates[to].is_online:
            self.gates[to].hear(topic, payload)

    def office_speaks(self):
        if self.is_office_up:
            for out in self.side.due(self.now, self.wall):
                self.carry(out.topic.split("/")[3], [out])

    def from_another_site(self):
        """What the broker of a district also carries: words between an office and a gate of the same name elsewhere.
        Their keys are their own, or (somebody has copied a folder) ours.
        """
        name = self.dice.choice(GATES)
        gate, village = self.gates[name], self.dice.choice(["village", SITE])
        office, theirs = self.store.identity, gate.peer.me
        if village == SITE or self.dice.random() < 0.5:
            office, theirs = Identity.make(), Identity.make()
        at_office, at_gate = Peer(office, theirs.party, village, name), Peer(theirs, office.party, village, name)
        to, at = {"site": village, "gate": name}, self.wall.isoformat()
        lie = WireEvent(1, at, "call_pressed", '{"kind":"call_pressed"}', "ab" * 32)
        person = PersonRecord(n=10**6, subject="f" * 16, name="Nobody", household="1", added_at=at)
        release = Command(**to, id="f" * 32, number=10**6, at=at, operator="li", reason="elsewhere", action=Release())
        return self.dice.choice([
            (name, self.gates[name].topics.command, at_office.write(release)),
            (name, self.gates[name].topics.record, at_office.write(Delta(**to, after=0, upto=10**6, records=[person]))),
            (name, self.gates[name].topics.ack, at_office.write(Ack(**to, journal="j", seq=10**6, hash="ab" * 32))),
            ("office", self.gates[name].topics.event, at_gate.write(
                EventBatch(**to, journal="j", after=0, first=1, last=1, prev="", events=[lie]))),
        ])  # fmt: skip

    def tick(self, s):
        self.now += s
        self.wall += timedelta(seconds=s)

    # -- the office's people ------------------------------------------------------------------------------------------

    def add(self):
        subject = f"{self.dice.getrandbits(64):016x}"
        at = self.wall.isoformat()
        purposes = self.dice.choice([(), ("recognise",), ("recognise", "transfer"), ("recognise", "transfer")])
        consents = [Consented(purpose=p, reference="paper", notice="1", at=at) for p in purposes]
        household = str(self.dice.randrange(4))
        record = PersonRecord(
            n=0, subject=subject, name=f"Name {subject}", household=household, added_at=at, consents=consents
        )
        self.store.book.put(record)
        self.added.append(subject)

    def change(self):
        """Somebody is suspended or let in again, agrees or does not any more, or is removed for good."""
        if not self.added:
            return
        subject = self.dice.choice(self.added)
        with suppress(OfficeError):
            person = self.store.book.person(subject)
            match self.dice.randrange(5):
                case 0:
                    n = self.store.book.put(_with(person, status="suspended"))
                    self._order(self.dice.choice(GATES), Suspend(subject, n))
                case 1:
                    self.store.book.put(_with(person, status="active"))
                case 2:
                    self.store.book.put(_with(person, consents=person.consents[:-1]))
                case 3:
                    rights = [Passage(door="main")]
                    self.store.book.put(_with(person, rights=rights))
                case 4:
                    self.store.book.remove(f"person/{subject}")

    def household(self):
        household = str(self.dice.randrange(4))
        self.store.book.put(HouseholdRecord(n=0, household=household, rights=[Passage(door="main")]))

    def release(self):
        gate = self.dice.choice(GATES)
        self.texts += 1
        self.ordered[f"ring {self.texts}"] = {"gate": gate, "acted": False, "sent_at": self.now}
        self._order(gate, Release(), f"ring {self.texts}")

    def _order(self, gate, action, reason=""):
        self.store.orders.place(gate, action, "li.wei", reason, self.wall)

    # -- what goes wrong ----------------------------------------------------------------------------------------------

    def save_office(self):
        """A backup, as SQLite makes it."""
        with self.store.file.reading() as connection:
            (self.folder / "backup.db").unlink(missing_ok=True)
            connection.execute("VACUUM INTO ?", (str(self.folder / "backup.db"),))
        self.backup = list(self.added)

    def restore_office(self):
        """The backup is brought back, a while later."""
        if self.backup is None:
            return
        self.store.close()
        for end in ("", "-wal", "-shm"):
            (self.folder / "office" / f"office.db{end}").unlink(missing_ok=True)
        shutil.copy(self.folder / "backup.db", self.folder / "office" / "office.db")
        self.tick(600.0)
        self.restart_office(is_closed=True)

    def restart_office(self, *, is_closed=False):
        if not is_closed:
            self.store.close()
        self.store = Store.open(self.folder / "office")
        self.side = OfficeSide(self.store)
        self.is_office_up = True
        self.office_speaks()


def unit_vectors(dice, count):
    numbers = np.random.default_rng(dice.getrandbits(32))
    first = numbers.normal(size=DIMENSION)
    rows = [first + 0.1 * numbers.normal(size=DIMENSION) for _ in range(count)]
    return [(row / np.linalg.norm(row)).astype(np.float32) for row in rows]


def _with(record, **changes):
    return replace(record, **changes)


def office_digest(site, gate):
    """Of what the office says that this gate must have."""
    seen = site.store.book.after(gate, 0)
    return digest_of((key_of(record), record.n) for record in seen if not isinstance(record, Gone))

"""One office and two gates with their own disks, joined by a simulated wire that loses, repeats and reorders.

Only the clock and the wire are simulated; the time is a number. The data of gates and office is in SQLite files that
are closed and reopened. Every message is signed and sealed.
"""

import random
import shutil
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

import numpy as np
from msgspec.structs import replace

from gated.config import SyncSettings
from gated.errors import EnrolmentError, OfficeError, SubjectNotFoundError, UnacceptedError, WireError
from gated.events import ConsentsAccepted, GateAccepted, PersonEnrolled
from gated.gallery.holdings import Holdings
from gated.gallery.register import Register
from gated.journal.journal import Journal
from gated.office.exchange import Exchange
from gated.office.office_person import OfficePerson
from gated.office.store import Store
from gated.people.acceptances import THIS_GATE
from gated.protocol.command_messages import (
    WAITS,
    Command,
    ConfirmationRequest,
    Enrol,
    ReleaseDoor,
    ReplyFinding,
    Restart,
    Share,
    Suspend,
    SwitchLockdown,
)
from gated.protocol.confirmation import CONFIRM_VALID_S, Question
from gated.protocol.envelope import Peer
from gated.protocol.event_messages import Ack, EventBatch, WireEvent
from gated.protocol.jose import Identity
from gated.protocol.record_keys import digest_of, key_of, removes_access
from gated.protocol.record_messages import Delta, SnapshotPart
from gated.protocol.topics import Topics
from gated.protocol.wire_records import AnyPerson, HouseholdRecord, Tombstone, WireAccessRule, WireConsent
from gated.sync.command_desk import CommandDesk, CommandOutcome
from gated.sync.replica import Replica
from gated.sync.session import GateSide
from gated.sync.status_reports import Vitals
from gated.types import SubjectId

SITE, GATES = "court", ("east", "west")
BEGAN = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
EMBEDDER, DIMENSION = "e" * 64, 64
SETTINGS = SyncSettings(status_s=10.0, ack_timeout_s=2.0, most_new_per_hour=100_000)


def prepare(folder):
    """Create an office that knows its gates, and gates that have started once. Each history starts with a copy."""
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
    """One gate: its files, its side of the conversation, and the actions it carried out."""

    def __init__(self, site, name, folder, identity, office):
        self.site, self.name, self.folder = site, name, folder
        self.peer, self.topics = Peer(identity, office, SITE, name), Topics(SITE, name)
        self.is_up, self.is_online, self.wall_ahead, self.is_clock_trusted = False, False, timedelta(), True
        self.acted, self.version = set(), 0
        self.vitals = Vitals("0", [], "secured", 0, 0, "courtyard")
        self.enrolling = {}
        """Enrol commands in progress, each with the question whether the command is still wanted."""
        self.taken, self.given, self.gone = {}, {}, {}
        """The highest record number delivered, by key: of records that end access, grant access, or are tombstones."""

    def open(self):
        """Start from the data on disk alone, as after a kill."""
        self.journal = Journal.open(self.folder, SITE, self.name)
        self.register = Register.open(self.folder, SITE)
        replica = Replica(
            self.folder, self.peer, EMBEDDER, DIMENSION, 0.9, SETTINGS.most_new_per_hour, self.report, lambda: None
        )
        self.lost = {}
        """Failed parts, with the reason."""
        self.side = GateSide(
            self.peer,
            self.topics,
            SETTINGS,
            open_journal=lambda: Journal.open(self.folder, SITE, self.name),
            replica=replica,
            desk=CommandDesk(self.folder, SITE, self.name),
            report=self.report,
            now=self.site.now,
            lost=lambda part, why: self.lost.pop(part, None) if why is None else self.lost.update({part: why}),
        )
        self.is_up, self.is_online, self.enrolling = True, False, {}

    def kill(self):
        """Stop the gate at once, whatever it is doing."""
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
        """Send all due messages. Start a new connection if the gate is offline."""
        if not self.is_online:
            self.is_online = True
            self.side.start_connection(self.site.now)
        self.site.carry("office", self.side.due(self.site.now, self.wall, self.vitals))
        self._go_on()

    def _go_on(self):
        """Ask again for each enrolment until the office allows or refuses it."""
        for command, question in list(self.enrolling.values()):
            if question.is_wanted(self.site.now):
                is_done = self.enrol(command.action.subject, self.site.dice)
                if is_done:
                    self._act(command)
                self._settle(command, CommandOutcome("done" if is_done else "refused"))
            elif question.refusal is not None:
                self._settle(command, CommandOutcome("refused", question.refusal))
            elif (nonce := question.ask(self.site.now)) is not None:
                ask = ConfirmationRequest(site=SITE, gate=self.name, command=command.id, nonce=nonce, step="commit")
                self.site.carry("office", self.side.encode([ask]))

    def _settle(self, command, outcome):
        self.enrolling.pop(command.id, None)
        self.site.carry("office", self.side.finish_command(command, outcome, self.site.now))

    def hear(self, topic, payload):
        self._note(topic, payload)
        heard = self.side.handle_message(topic, payload, self.site.now, self.wall if self.is_clock_trusted else None)
        self.site.carry("office", heard.outgoing)
        if heard.confirmation is not None and heard.confirmation.command in self.enrolling:
            self.enrolling[heard.confirmation.command][1].handle_answer(heard.confirmation, self.site.now)
        if heard.command is not None and isinstance(heard.command.action, Enrol):
            self.enrolling[heard.command.id] = heard.command, Question(heard.command.id)
        elif heard.command is not None:
            outcome = self._perform(heard.command)
            if self.is_up:
                self.site.carry("office", self.side.finish_command(heard.command, outcome, self.site.now))

    def _note(self, topic, payload):
        """Record what a genuine message delivered; from then on the gate must obey it."""
        if topic != self.topics.record:
            return
        with suppress(WireError):
            message = self.peer.read(payload, Delta, SnapshotPart)
            for record in message.records:
                key = key_of(record)
                if isinstance(message, Delta) and removes_access(record):
                    self.taken[key] = max(self.taken.get(key, 0), record.n)
                    if isinstance(record, Tombstone):
                        self.gone[key] = max(self.gone.get(key, 0), record.n)
                elif isinstance(record, AnyPerson) and record.status == "active":
                    self.given[key] = max(self.given.get(key, 0), record.n)

    def _perform(self, command: Command) -> CommandOutcome:
        assert (command.site, command.gate) == (SITE, self.name)
        assert command.number not in self.acted, "a command acted twice"
        self.acted.add(command.number)
        match command.action:
            case ReleaseDoor() | SwitchLockdown() | Restart():
                self._act(command)
            case Suspend(subject, n):
                if not self.side.replica.suspend(subject, n):
                    return CommandOutcome("refused", "nobody here")
                self.taken[f"person/{subject}"] = max(self.taken.get(f"person/{subject}", 0), n)
            case Share(subject, to):
                try:
                    self.side.queue(self.side.replica.share(subject, to))
                except UnacceptedError as error:
                    return CommandOutcome("refused", str(error), (ReplyFinding("share", WAITS, ""),))
                except (EnrolmentError, SubjectNotFoundError) as error:
                    return CommandOutcome("refused", str(error))
        return CommandOutcome("done")

    def _act(self, command):
        """Check that a command acts at its own gate, at most once, and not after its operator saw it fail."""
        order = self.site.ordered.get(command.reason)
        assert order is not None, "nobody ordered this"
        assert order["gate"] == self.name, "it was another gate's"
        assert not order["acted"], "one order was carried out twice"
        assert order["reported"] != "failed", "it happened after its operator was told that it had failed"
        if order["left_at"] is not None:
            assert self.site.now - order["left_at"] <= CONFIRM_VALID_S, "long after its operator had gone"
        order["acted"] = True

    def enrol(self, subject, dice):
        """Take the face of an active person who agreed to recognition at this gate. Return whether this worked."""
        with suppress(SubjectNotFoundError):
            person = self.register.person(SubjectId(subject))
            if person.status == "active" and any(c.purpose == "recognise" for c in person.consents):
                vectors = unit_vectors(dice, 2)
                with self.register.changing():
                    waits = self.register.store_capture(person, EMBEDDER, vectors, self.wall)
                if not waits:
                    self.report(PersonEnrolled(subject, 2, "1", EMBEDDER))
                return True
        return False

    def accept(self):
        """Accept all pending items at this gate: other gates' keys, other faces, and wider consents."""
        with closing(Holdings.open(self.folder, SITE)) as holdings:
            for each in holdings.neighbours():
                if not each.is_trusted and each.gate != self.name and holdings.trust(each.gate, each.keys, THIS_GATE):
                    self.report(GateAccepted(each.gate, "seen"))
            for held in holdings.quarantined():
                accepted = holdings.accept(SubjectId(held.key.removeprefix("person/"))) if held.pending else None
                for fact in accepted.facts() if accepted is not None else ():
                    self.report(fact)
            if count := holdings.agree(holdings.claims()):
                self.report(ConsentsAccepted(count))

    def people(self):
        return {person.subject: person for person in self.register.people()}

    def check(self):
        """Check the rules that must hold at every moment."""
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
        self.waiting, self.restored_at = {}, -1.0
        """Commands for which an operator waits, by id."""
        self.is_office_up, self.backup = True, None
        self.added, self.texts = [], 0
        self.withholds = lambda to, topic, payload: False
        """Returns whether the broker withholds a message."""
        folder.mkdir()
        shutil.copytree(folder.parent / "office", folder / "office")
        self.store = Store.open(folder / "office")
        self.gates = {}
        for name in GATES:
            shutil.copytree(folder.parent / name, folder / name)
            identity = Identity.load(folder / name / "gate.keys")
            self.gates[name] = Gatehouse(self, name, folder / name, identity, self.store.identity.party)
            self.gates[name].open()
        self.side = self.open_side()
        self.office_speaks()

    def open_side(self):
        return Exchange(self.store, waits=lambda order: order in self.waiting)

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
        if self.withholds(to, topic, payload):
            return
        if to == "office":
            if self.is_office_up:
                for out in self.side.handle_message(topic, payload, self.now, self.wall):
                    self.carry(out.topic.split("/")[3], [out])
        elif self.gates[to].is_up and self.gates[to].is_online:
            self.gates[to].hear(topic, payload)

    def office_speaks(self):
        if self.is_office_up:
            for out in self.side.due(self.now, self.wall):
                self.carry(out.topic.split("/")[3], [out])

    def from_another_site(self):
        """Return a message of another site, as a shared broker of a district could carry.

        It goes between an office and a gate of the same name. Its keys are the other site's own, or ours (a copied
        folder).
        """
        name = self.dice.choice(GATES)
        gate, village = self.gates[name], self.dice.choice(["village", SITE])
        office, theirs = self.store.identity, gate.peer.me
        if village == SITE or self.dice.random() < 0.5:
            office, theirs = Identity.make(), Identity.make()
        at_office, at_gate = Peer(office, theirs.party, village, name), Peer(theirs, office.party, village, name)
        to, at = {"site": village, "gate": name}, self.wall.isoformat()
        lie = WireEvent(1, at, "call_pressed", '{"kind":"call_pressed"}', "ab" * 32)
        person = OfficePerson(n=10**6, subject="f" * 16, name="Nobody", household="1", added_at=at)
        release = Command(
            **to, id="f" * 32, number=10**6, at=at, operator="li", reason="elsewhere", action=ReleaseDoor()
        )
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
        consents = [WireConsent(purpose=p, reference="paper", notice="1", at=at) for p in purposes]
        household = str(self.dice.randrange(4))
        record = OfficePerson(
            n=0, subject=subject, name=f"Name {subject}", household=household, added_at=at, consents=consents
        )
        self.store.book.put(record)
        self.added.append(subject)

    def change(self):
        """Change a person at random: suspend, reactivate, remove a consent, or remove the person for good."""
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
                    rights = [WireAccessRule(door="main")]
                    self.store.book.put(_with(person, rights=rights))
                case 4:
                    self.store.book.remove(f"person/{subject}")

    def household(self):
        household = str(self.dice.randrange(4))
        self.store.book.put(HouseholdRecord(n=0, household=household, rights=[WireAccessRule(door="main")]))

    def order(self):
        """Place a random command for which an operator waits."""
        gate = self.dice.choice(GATES)
        self.texts += 1
        reason, subject = f"ring {self.texts}", self.dice.choice(self.added) if self.added else "0" * 16
        action = self.dice.choice(
            [ReleaseDoor(), ReleaseDoor(), Enrol(subject), Enrol(subject), SwitchLockdown(True), Restart()]
        )
        ordered = {"gate": gate, "acted": False, "reported": None, "left_at": None, "at": self.now}
        self.ordered[reason] = ordered
        ordered["id"] = self._order(gate, action, reason)
        self.waiting[ordered["id"]] = ordered

    def give_up(self):
        """End an operator's wait (timeout or Ctrl-C).

        The withdrawal is stored first; then the operator sees the result.
        """
        if self.waiting:
            order = self.dice.choice(list(self.waiting))
            with suppress(OfficeError):  # the command may be missing in an old backup
                self._leave(order, self.store.commands.withdraw(order, "no answer").state == "cancelled")

    def kill_operator(self):
        """Kill the operator's process (kill -9), so that nothing is written.

        The command must not start any more, unless the gate already had the final answer.
        """
        if self.waiting:
            order = self.dice.choice(list(self.waiting))
            with suppress(OfficeError):
                self._leave(order, self.store.commands.get(order).state in {"new", "sent", "begun", "asked"})

    def _leave(self, order, is_void):
        ordered = self.waiting.pop(order)
        ordered["left_at"] = self.now
        if is_void and not ordered["acted"]:
            ordered["reported"] = "failed"

    def _order(self, gate, action, reason=""):
        return self.store.commands.place(gate, action, "li.wei", reason, self.wall)

    # -- faults -------------------------------------------------------------------------------------------------------

    def save_office(self):
        """Back up the office's database with VACUUM INTO."""
        with self.store.file.reading() as connection:
            (self.folder / "backup.db").unlink(missing_ok=True)
            connection.execute("VACUUM INTO ?", (str(self.folder / "backup.db"),))
        self.backup = list(self.added)

    def restore_office(self):
        """Restore the office's backup 600 s later."""
        if self.backup is None:
            return
        self.store.close()
        for end in ("", "-wal", "-shm"):
            (self.folder / "office" / f"office.db{end}").unlink(missing_ok=True)
        shutil.copy(self.folder / "backup.db", self.folder / "office" / "office.db")
        self.tick(600.0)
        self.restored_at = self.now
        self.restart_office(is_closed=True)

    def restart_office(self, *, is_closed=False):
        if not is_closed:
            self.store.close()
        self.store = Store.open(self.folder / "office")
        self.side = self.open_side()
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
    """Return the digest of the office's records that this gate must have."""
    seen = site.store.book.after(gate, 0)
    return digest_of((key_of(record), record.n) for record in seen if not isinstance(record, Tombstone))

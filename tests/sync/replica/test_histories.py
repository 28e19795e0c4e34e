"""A removed or suspended person stays out if messages are lost, late, doubled or out of order, and if the gate
restarts. The version never falls, and in the end the gate has the office's records.

GATED_HISTORIES sets the number of random histories (40).
"""

import os
import shutil
import tempfile
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gated.protocol.record_keys import key_of, removes_access
from gated.protocol.record_messages import Delta, RecordRequest, SnapshotPart
from gated.protocol.wire_records import PersonRecord, Tombstone, WireAccessRule, WireCard

pytestmark = pytest.mark.long

HISTORIES = int(os.environ.get("GATED_HISTORIES", "40"))
WHO = st.integers(1, 3)
COIN = st.booleans()
CHANGES = st.one_of(
    st.tuples(st.just("put"), WHO, COIN, st.sampled_from(["", "1", "2", "6"])),
    st.tuples(st.just("put"), WHO, COIN, st.just("")),
    st.tuples(st.just("suspend"), WHO),
    st.tuples(st.just("remove"), WHO),
    st.tuples(st.just("rights"), st.sampled_from(["household", "role"]), COIN),
)
MESSAGES = st.one_of(
    st.tuples(st.just("delta"), st.integers(0, 3)),
    st.tuples(st.just("delta"), st.just(0)),
    st.tuples(st.just("snapshot"), st.sampled_from([2, 9])),
    st.tuples(st.just("command"), WHO),
    st.tuples(st.just("word"), COIN),
    st.tuples(st.just("talk"), COIN),
)
ACCIDENTS = st.one_of(*(st.tuples(st.just(what)) for what in ("wait", "restart", "reconnect", "lose")))
ARRIVALS = st.tuples(st.just("deliver"), st.integers(0, 99))
STEPS = st.lists(st.one_of(CHANGES, MESSAGES, MESSAGES, ARRIVALS, ARRIVALS, ACCIDENTS), min_size=20, max_size=60)


class History:
    """An office, a gate, and the messages in transit between them."""

    def __init__(self, kit, state):
        self.kit, self.office, self.gate, self.air = kit, kit.Office(), kit.Followed(state), []
        self.taken, self.gone, self.version = {}, set(), 0

    def close(self):
        self.gate.replica.close()

    def run(self, steps):
        for step, *arguments in steps:
            getattr(self, step)(*arguments)
            self.check()
        self.gate.replica.restart()
        self.gate.converge(self.office)
        self.check()

    def put(self, who, has_consent, other):
        """Change a person who was not removed.

        `other` gives the person another person's face, and a card that another may have.
        """
        if self.kit.subject(who) not in self.dead:
            face = self.kit.face(who, like=int(other)) if other else None
            cards = [WireCard(f"c{who}", f"5550{other}")] if other else []
            consents = self.kit.consents(who, "recognise") if has_consent else []
            self.office.put(self.kit.person(who, face=face, cards=cards, consents=consents, role="staff"))

    def suspend(self, who):
        if self.kit.subject(who) not in self.dead:
            self.office.put(self.kit.person(who, status="suspended"))

    def remove(self, who):
        if f"person/{self.kit.subject(who)}" in {key_of(record) for record in self.office.live}:
            self.office.remove(who)

    def rights(self, whose, is_gone):
        if is_gone and f"{whose}/staff" in {key_of(record) for record in self.office.live}:
            self.office.put(Tombstone(n=0, key=f"{whose}/staff"))
        elif not is_gone:
            record = self.kit.RoleRecord if whose == "role" else self.kit.HouseholdRecord
            self.office.put(record(**{"n": 0, whose: "staff", "rights": [WireAccessRule("main")]}))

    def delta(self, back):
        self.air.append(self.office.delta(max(0, self.office.version - back)))

    def snapshot(self, size):
        self.air += self.office.snapshot(size)

    def word(self, is_snapshot):
        self.answer(self.gate.hear_word(self.office.word()), is_snapshot)

    def talk(self, is_snapshot):
        """Let gate and office talk without faults for a moment."""
        self.gate.now += 4.0
        before, self.air = self.air, []
        self.word(is_snapshot)
        while self.air:
            self.deliver(0)
            self.air.pop(0)
        self.air = before

    def deliver(self, which):
        """Deliver one message in transit; it stays in transit and may arrive again."""
        if self.air:
            message = self.air[which % len(self.air)]
            self.note(message)
            self.answer(self.gate.hear(message))

    def lose(self):
        if self.air:
            self.air.pop()

    def command(self, who):
        """Suspend a person in the office's records and also by command."""
        self.suspend(who)
        record = self.office.records.get(f"person/{self.kit.subject(who)}")
        if isinstance(record, PersonRecord) and record.status == "suspended":
            self.gate.replica.suspend(record.subject, record.n)
            self.taken[record.subject] = max(self.taken.get(record.subject, 0), record.n)

    def wait(self):
        self.gate.now += 4.0
        self.answer(self.gate.replica.due(self.gate.now))

    def restart(self):
        self.gate.restart()

    def reconnect(self):
        self.gate.replica.restart()

    def answer(self, said, is_snapshot=False):
        for ask in said:
            if isinstance(ask, RecordRequest):
                self.air += self.office.snapshot(9) if is_snapshot else self.office.answer(ask)

    @property
    def dead(self):
        return {key.removeprefix("person/") for key, r in self.office.records.items() if isinstance(r, Tombstone)}

    def note(self, message):
        """Record the removals and suspensions in a message; the gate must obey them from now on."""
        for record in message.records:
            subject = key_of(record).removeprefix("person/")
            if isinstance(message, Delta) and removes_access(record) and key_of(record).startswith("person/"):
                self.taken[subject] = max(self.taken.get(subject, 0), record.n)
                if isinstance(record, Tombstone):
                    self.gone.add(subject)
            elif isinstance(message, SnapshotPart) and removes_access(record) and subject in self.gate.people():
                self.taken[subject] = max(self.taken.get(subject, 0), record.n)

    def check(self):
        people, replica = self.gate.people(), self.gate.replica
        version = replica.mark.version
        gone = {key for key, r in self.office.records.items() if isinstance(r, Tombstone) and r.n <= version}
        gone = {key.removeprefix("person/") for key in gone} | self.gone
        assert not gone & people.keys(), "somebody who was removed is back"
        for subject, person in people.items():
            held = replica._holdings.get(f"person/{subject}").n
            assert person.status == "suspended" or held > self.taken.get(subject, 0), "active, and taken away"
        assert version >= self.version, "the version fell"
        self.version = version
        for record in self.office.live:
            held = replica._holdings.get(key_of(record))
            assert record.n > self.version or held.n == record.n, "the version says more than is here"

    def is_the_offices(self):
        """Return whether people, version and digest are the office's; faces that look like another person's are not
        compared.
        """
        here = {s: (p.status, p.role, [c.purpose for c in p.consents]) for s, p in self.gate.people().items()}
        there = {
            r.subject: (r.status, r.role, [c.purpose for c in r.consents])
            for r in self.office.live
            if isinstance(r, PersonRecord)
        }
        mark = self.gate.replica.mark
        return here == there and (mark.version, mark.digest) == (self.office.version, self.office.digest)

    def cards_are_the_offices(self):
        """Return whether each card belongs to a person whose record has it.

        If several records have it, any of them is right.
        """
        wanted = {}
        for record in self.office.live:
            for card in getattr(record, "cards", ()):
                wanted.setdefault(card.digest, set()).add(record.subject)
        with self.gate.store() as store:
            given = {c.id: c.subject for c in store.all()}
        assert len(given) == len(wanted)
        return all(subject in set().union(*wanted.values()) for subject in given.values())


@settings(max_examples=HISTORIES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_the_gate_ends_with_the_offices_records_and_no_removed_person_passes(kit, empty_state, careless, steps):
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        shutil.copytree(empty_state, state)
        history = History(kit, state)
        with closing(history):
            history.run(steps)
            assert history.is_the_offices()
            assert history.cards_are_the_offices()


def test_this_test_detects_a_returned_person(kit, empty_state, careless, tmp_path):
    shutil.copytree(empty_state, tmp_path / "state")
    history = History(kit, tmp_path / "state")
    history.run([("put", 1, True, "1"), ("delta", 5), ("deliver", 0), ("remove", 1), ("delta", 1)])
    history.run([("deliver", 1)])
    with closing(history), pytest.raises(AssertionError, match="is back"):
        older = msgspec.structs.replace(history.kit.person(1), n=1)
        connection = history.gate.replica._holdings.register._people.connection
        connection.execute("DELETE FROM records")
        connection.execute("UPDATE replica SET version = 0")
        history.gate.hear(Delta(**kit.us, after=0, upto=1, records=[older]))
        history.check()

"""Tests with a broker that delays every record for hours, or withholds the records of one person.

The broker can gain at most ten minutes. After that a removed or suspended person is out, or both ends report
`records_withheld`.
"""

import sys
from collections import deque
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parent))
from site_in_memory import Site, office_digest, prepare
from test_withholding import STEP_S, alarms, busy, is_degraded, settle

from gated.errors import WireError
from gated.events import Started
from gated.protocol.lag import PATIENCE_S, RECORDS
from gated.protocol.record_keys import key_of
from gated.protocol.record_messages import Delta, SnapshotPart
from gated.protocol.wire_records import HouseholdRecord, WireAccessRule

pytestmark = pytest.mark.long

HOURS = 2
OF_THE_BROKER = {"records_withheld", "unmarked", "silent"}
EVERYTHING = tuple(f"down/{each}" for each in ("record", "command", "ack")) + tuple(
    f"up/{each}" for each in ("status", "event", "reply", "request")
)
NINE_MINUTES, ELEVEN_MINUTES = 540.0, 660.0


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    folder = tmp_path_factory.mktemp("delayed")
    prepare(folder)
    return folder


@pytest.fixture
def site(blank, request):
    made = Site(blank / "".join(c if c.isalnum() else "-" for c in request.node.name), 17)
    for gate in made.gates.values():
        gate.report(Started("0", "ab"))
    for _ in range(6):
        made.add()
    settle(made, 120)
    yield made
    made.close()
    made.remove()


class Late:
    """A broker that delays the messages on some topics of one gate by `late_s` seconds and keeps their order."""

    def __init__(self, site, late_s, *topics, gate="east"):
        self.site, self.late_s = site, late_s
        self.ends = tuple(f"{gate}/{topic}" for topic in topics or ("down/record",))
        self.waiting, self.is_handing_on = deque(), False
        site.withholds = self.holds

    def holds(self, to, topic, payload):
        if self.is_handing_on or not topic.endswith(self.ends):
            return False
        self.waiting.append((self.site.now + self.late_s, to, topic, payload))
        return True

    def hand_on(self):
        while self.waiting and self.waiting[0][0] <= self.site.now:
            self.is_handing_on = True
            self.site.arrive(*self.waiting.popleft()[1:])
            self.is_handing_on = False


class Removals:
    """People are added and removed now and then.

    Records each removed person who keeps access too long without an alarm.
    """

    def __init__(self, site, broker=None):
        self.site, self.broker = site, broker
        self.removed, self.stayed, self.longest_s = {}, [], 0.0

    def __call__(self, site):
        if self.broker is not None:
            self.broker.hand_on()
        self.look()
        if int(site.now // STEP_S) % 3 == 0:
            site.add()
            subject = site.added.pop(0)
            site.store.book.remove(f"person/{subject}")
            self.removed[subject] = site.now

    def look(self):
        there = self.site.gates["east"].people()
        for subject, at in list(self.removed.items()):
            since = self.site.now - at
            if subject not in there:
                self.longest_s = max(self.longest_s, since)
                del self.removed[subject]
            elif since > PATIENCE_S + STEP_S and not self.raised_alarms():
                self.stayed.append((subject, since))

    def raised_alarms(self):
        """Return whether the office has an alarm about its messages to the gate."""
        return {each.kind for each in self.site.store.alarms.all() if each.gate == "east"} & OF_THE_BROKER


def test_a_broker_nine_minutes_late_for_hours_gains_at_most_ten_minutes(site):
    happens = Removals(site, Late(site, NINE_MINUTES))
    settle(site, HOURS * 3600, happens=happens)
    assert happens.stayed == []
    assert NINE_MINUTES <= happens.longest_s <= PATIENCE_S + STEP_S, "as late as the broker is, and no later"
    assert alarms(site) == set(), "each record comes in time, and so nobody is accused"
    site.withholds = lambda *_: False
    settle(site, 300)
    assert site.gates["east"].side.replica.mark.digest == office_digest(site, "east")


def test_a_broker_eleven_minutes_late_is_reported_at_both_ends(site):
    happens = Removals(site, Late(site, ELEVEN_MINUTES))
    settle(site, PATIENCE_S + ELEVEN_MINUTES, happens=happens)
    assert RECORDS in alarms(site)
    assert RECORDS in site.gates["east"].lost["records_withheld"]
    settle(site, 3600, happens=happens)
    assert happens.stayed == [], "while somebody stays longer the alarm stands"
    assert is_degraded(site)
    assert alarms(site, "west") == set()


@pytest.mark.parametrize("topics", [EVERYTHING, EVERYTHING[:3], EVERYTHING[3:]], ids=["both ways", "down", "up"])
def test_a_broker_nine_minutes_late_with_everything_hides_no_removed_person(site, topics):
    happens = Removals(site, Late(site, NINE_MINUTES, *topics))
    settle(site, HOURS * 3600 / 2, happens=happens)
    assert happens.stayed == []


def names(payload, gate, key):
    """Return whether a message contains the record of this key. A real broker cannot read this, but may guess it."""
    with suppress(WireError):
        message = gate.peer.read(payload, Delta, SnapshotPart)
        return any(key_of(record) == key for record in message.records)
    return False


def suspend(site, subject):
    site.store.book.put(_changed(site, subject, status="suspended"))


def take_rights(site, subject):
    site.store.book.put(_changed(site, subject, rights=[WireAccessRule(door="second")]))


def remove(site, subject):
    site.store.book.remove(f"person/{subject}")


def _changed(site, subject, **changes):
    return replace(site.store.book.person(subject), **changes)


@pytest.mark.parametrize("change", [remove, suspend, take_rights])
@pytest.mark.parametrize("is_busy", [False, True])
def test_missing_records_of_one_person_are_noticed_at_both_ends_within_ten_minutes(site, change, is_busy):
    gate, subject = site.gates["east"], site.added.pop(0)
    site.withholds = lambda to, topic, payload: (
        topic.endswith("east/down/record") and names(payload, gate, f"person/{subject}")
    )
    change(site, subject)
    happens = busy if is_busy else lambda site: None
    settle(site, PATIENCE_S - 120, happens=happens)
    assert alarms(site) == set()
    assert not is_degraded(site)
    settle(site, 240, happens=happens)
    assert RECORDS in alarms(site)
    assert RECORDS in gate.lost["records_withheld"]
    assert alarms(site, "west") == set(), "the other gate hears everything"
    site.withholds = lambda *_: False
    settle(site, 300, happens=happens)
    assert alarms(site) == set()
    assert not is_degraded(site)
    assert gate.side.replica.mark.digest == office_digest(site, "east")


def test_withheld_records_of_one_person_do_not_delay_removals_of_others(site):
    gate, subject, other = site.gates["east"], site.added[0], site.added[1]
    site.withholds = lambda to, topic, payload: (
        topic.endswith("east/down/record") and names(payload, gate, f"person/{subject}")
    )
    site.store.book.remove(f"person/{subject}")
    settle(site, STEP_S)
    site.store.book.put(HouseholdRecord(n=0, household="1", rights=[WireAccessRule(door="main")]))
    site.store.book.remove(f"person/{other}")
    settle(site, PATIENCE_S + STEP_S)
    assert RECORDS in alarms(site)
    assert other not in gate.people()

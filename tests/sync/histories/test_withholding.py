"""Both ends find out within ten minutes that a broker withholds a part of the messages, for any part and either
direction. An honest broker never causes an alarm. Set `GATED_HISTORIES=10000` for more random histories, `GATED_SEED=N`
to repeat one.
"""

import base64
import json
import os
import random
import sys
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from site_in_memory import GATES, Site, office_digest, prepare

from gated.events import DoorClosed, Started
from gated.office import record_sending
from gated.protocol.lag import COMMANDS, EVENTS, HEARTBEATS, HELD_LISTS, PATIENCE_S, RECEIPTS, RECORDS
from gated.protocol.record_messages import SnapshotPart

pytestmark = pytest.mark.long

STEP_S, SHORT_S = 60.0, 30.0
WITHHELD = "records_withheld"
DOWN, UP = "down", "up"
HISTORIES = int(os.environ.get("GATED_HISTORIES", "25")) // 25 + 1
SEED = int(os.environ["GATED_SEED"]) if "GATED_SEED" in os.environ else None
FIRST = SEED if SEED is not None else random.SystemRandom().randrange(10**9)  # the same when a test runs again


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    folder = tmp_path_factory.mktemp("withheld")
    prepare(folder)
    return folder


@pytest.fixture
def site(blank, request):
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    made = Site(blank / name, 11)
    for gate in made.gates.values():
        gate.report(Started("0", "ab"))
    for _ in range(3):
        made.add()
    settle(made, 120)
    yield made
    made.close()
    made.remove()


def kind(payload):
    """Return the kind of a message. A broker can read it in the signature's header."""
    return json.loads(base64.urlsafe_b64decode(payload.split(b".")[0] + b"=="))["typ"].rsplit(".", 1)[-1]


def settle(site, seconds, *, happens=lambda site: None, step_s=STEP_S):
    """Run for `seconds`: all ends speak every `step_s` seconds, and the broker delivers what it does not withhold."""
    for _ in range(int(seconds / step_s)):
        happens(site)
        site.office_speaks()
        for gate in site.gates.values():
            if gate.is_up:
                gate.speak()
        for _ in range(2000):
            if not site.flying:
                break
            site.deliver(0)
        site.tick(step_s)


def alarms(site, gate="east"):
    return {each.detail for each in site.store.alarms.all() if (each.kind, each.gate) == (WITHHELD, gate)}


def is_degraded(site, gate="east"):
    return WITHHELD in site.gates[gate].lost


def silences(gate):
    """Return how many journal events say that the office fell silent or is heard again."""
    return sum(entry.kind == "server_silent" for entry in gate.journal.entries())


def hold_back(*what, gate="east"):
    """Return a filter that withholds topics ("down/record") or message kinds ("word") of one gate."""

    def holds(to, topic, payload):
        *_, name, way, channel = topic.split("/")
        return name == gate and (f"{way}/{channel}" in what or kind(payload) in what)

    return holds


def busy(site):
    """A busy site: people pass, and now and then a person is changed or removed, or a command is placed."""
    number = int(site.now // STEP_S)
    site.gates["east"].report(DoorClosed())
    if number % 4 == 0:
        site.add()
    if number % 7 == 5 and site.added:
        site.store.book.remove(f"person/{site.added.pop(0)}")
    if number % 8 == 3:
        site.order()
    for order in list(site.waiting):
        if site.now >= site.waiting[order]["at"] + 15:
            site._leave(order, site.store.commands.withdraw(order, "no answer").state == "cancelled")


BY_BOTH = [
    (["down/record"], RECORDS),
    (["down/record", "down/command"], RECORDS),
    (["down/record", "down/command", "up/reply"], RECORDS),
    (["delta"], RECORDS),
    (["up/request", "delta"], RECORDS),
    (["down/command"], COMMANDS),
    (["offer"], COMMANDS),
    (["command", "wanted"], COMMANDS),
    (["up/reply"], COMMANDS),
    (["ask"], COMMANDS),
    (["receipt"], RECEIPTS),
    (["up/event"], EVENTS),
    (["ack"], EVENTS),
]


@pytest.mark.parametrize(
    ("what", "known"), BY_BOTH, ids=lambda case: "+".join(case) if isinstance(case, list) else case
)
def test_withheld_messages_raise_an_alarm_at_the_office_and_degrade_the_gate(site, what, known):
    settle(site, 60, happens=busy)
    site.withholds = hold_back(*what)
    while not any(order["gate"] == "east" for order in site.waiting.values()):
        site.order()
    settle(site, PATIENCE_S - 120, happens=busy)
    assert alarms(site) == set()
    assert not is_degraded(site)
    settle(site, 600, happens=busy)
    assert known in alarms(site)
    assert known in site.gates["east"].lost[WITHHELD]
    assert alarms(site, "west") == set(), "the other gate hears everything"
    assert not is_degraded(site, "west")
    site.withholds = lambda *_: False
    settle(site, 300, happens=busy)
    assert alarms(site) == set()
    assert not is_degraded(site)


@pytest.mark.parametrize("what", [["down/ack"], ["word"], ["up/status"], ["down/ack", "down/command"]])
def test_without_heartbeats_each_end_that_can_notice_reports_it(site, what):
    """Without heartbeats the gate does not learn what the office knows.

    Without statuses the office does not learn what the gate knows.
    """
    settle(site, 60, happens=busy)
    site.withholds = hold_back(*what)
    settle(site, PATIENCE_S + 600, happens=busy)
    assert HEARTBEATS in site.gates["east"].lost[WITHHELD]
    told = {each.kind for each in site.store.alarms.all() if each.gate == "east"}
    assert told & {WITHHELD, "unmarked"}
    site.withholds = lambda *_: False
    settle(site, 300, happens=busy)
    assert alarms(site) == set()
    assert not is_degraded(site)


@pytest.mark.parametrize("is_said_to_be_offline", [False, True])
def test_if_nothing_passes_in_either_direction_both_ends_report_it(site, is_said_to_be_offline):
    """The connections stay up, and no record has changed that either end could miss."""
    gate = site.gates["east"]
    will = gate.side.last_will(gate.wall, gate.vitals)
    site.withholds = lambda to, topic, payload: topic.split("/")[3] == "east"
    if is_said_to_be_offline:
        site.arrive("office", will.topic, will.payload)
    settle(site, PATIENCE_S + 120, step_s=10.0)
    assert silences(gate) == 1
    assert "silent" in {each.kind for each in site.store.alarms.all() if each.gate == "east"}
    assert "silent" not in {each.kind for each in site.store.alarms.all() if each.gate == "west"}
    site.withholds = lambda *_: False
    settle(site, 120, step_s=10.0)
    assert "silent" not in {each.kind for each in site.store.alarms.all()}
    assert silences(gate) == 2, "its beginning and its end"


def test_snapshot_parts_that_pass_one_by_one_do_not_hide_the_withholding(site, monkeypatch):
    """The broker passes one part at a time, each within nine minutes."""
    monkeypatch.setattr(record_sending, "LAG", 100)
    for _ in range(600):
        site.add()
    gate = site.gates["east"]
    let = []

    def holds(to, topic, payload):
        if not topic.endswith("east/down/record"):
            return False
        message = gate.peer.read(payload, *(SnapshotPart,)) if kind(payload) == "part" else None
        if message is None or (let and site.now < let[-1] + 540):
            return True
        let.append(site.now)
        return False

    site.withholds = holds
    settle(site, PATIENCE_S + 60, step_s=SHORT_S)
    assert let
    assert RECORDS in alarms(site)
    assert RECORDS in gate.lost[WITHHELD]


def test_a_removed_person_is_reported_even_if_the_gate_seems_offline(site):
    """The broker keeps the gate's last will and publishes it when it likes."""
    gate = site.gates["east"]
    will = gate.side.last_will(gate.wall, gate.vitals)
    site.arrive("office", will.topic, will.payload)
    site.withholds = hold_back("down/record", "up/status", "up/event")
    site.store.book.remove(f"person/{site.added[0]}")
    settle(site, PATIENCE_S + 60)
    assert RECORDS in alarms(site)


def test_a_missing_list_of_held_people_is_reported(site):
    session = site.side._open_session("east", site.store.gate_table.keys()["east"], site.now, site.wall)
    for second in range(0, int(PATIENCE_S) + 60, 60):
        session.deliveries.note_fresh_status(float(second))
        session.deliveries.note_owed(float(second), receipts=False, lists=True)
    assert session.deliveries.overdue(PATIENCE_S) == [HELD_LISTS]


def test_a_restarted_office_does_not_end_the_alarm_too_early(site):
    site.withholds = hold_back("down/record")
    site.add()
    settle(site, PATIENCE_S + 60, step_s=SHORT_S)
    assert RECORDS in alarms(site)
    site.restart_office()
    settle(site, 60, step_s=SHORT_S)
    assert RECORDS in alarms(site)
    site.withholds = lambda *_: False
    settle(site, 180, step_s=SHORT_S)
    assert alarms(site) == set()


def test_an_honest_day_raises_no_alarm(site):
    """Links break, gates stop, the office stands still for an hour, and messages are lost."""
    dice = random.Random(5)
    for part in range(3):
        site.is_office_up = part != 1
        for _ in range(4):
            settle(site, 300, happens=busy)
            gate = site.gates[dice.choice(GATES)]
            site.flying.clear()
            gate.is_online = False
            if dice.random() < 0.3:
                gate.kill()
                site.tick(30.0)
                gate.open()
            for each in GATES:
                assert alarms(site, each) == set()
                assert not is_degraded(site, each), site.gates[each].lost


def test_a_switched_off_gate_is_reported_only_if_it_lacks_records(site):
    for gate in site.gates.values():
        will = gate.side.last_will(gate.wall, gate.vitals)
        gate.kill()
        site.arrive("office", will.topic, will.payload)
    settle(site, 2 * PATIENCE_S, step_s=SHORT_S)
    assert alarms(site) == set()
    site.add()
    settle(site, PATIENCE_S + 60)
    assert alarms(site) == {RECORDS}
    for gate in site.gates.values():
        gate.open()
    settle(site, 180)
    assert alarms(site) == set()


# -- random ones -------------------------------------------------------------------------------------------------------

CHANNELS = [
    "down/ack", "down/record", "down/command", "up/status", "up/event", "up/reply", "up/request",
    "delta", "part", "word", "ack", "offer", "command", "wanted", "ask", "reply", "receipt",
]  # fmt: skip


def lives_on(site):
    """Return the people still known at the gate more than ten minutes (and a margin) after their removal."""
    there = site.gates["east"].people()
    return [subject for subject, at in site.removed.items() if subject in there and site.now > at + PATIENCE_S + 60]


def a_history(seed, blank):
    """Withhold random channels for twenty minutes while people are added and removed."""
    site = Site(blank / f"withheld-{seed}", seed)
    site.removed = {}
    try:
        for _ in range(4):
            site.add()
        settle(site, 60, happens=busy)
        site.withholds = hold_back(*site.dice.sample(CHANNELS, site.dice.randrange(1, 5)))

        def happens(site):
            if site.added and site.dice.random() < 0.02:
                subject = site.dice.choice(site.added)
                site.added.remove(subject)
                site.store.book.remove(f"person/{subject}")
                site.removed[subject] = site.now
            busy(site)

        settle(site, 1500, happens=happens)
        told = {each.kind for each in site.store.alarms.all() if each.gate == "east"}
        if lives_on(site):
            assert told & {WITHHELD, "unmarked"}, "somebody who was removed still comes in, and the office says nothing"
        site.withholds = lambda *_: False
        for gate in site.gates.values():
            gate.wall_ahead = timedelta()
        settle(site, 400, happens=busy)
        assert alarms(site) == set(), "all arrives again, and an alarm stands"
        assert not is_degraded(site)
        settle(site, 60)
        assert site.gates["east"].side.replica.mark.digest == office_digest(site, "east")
    finally:
        site.close()
        site.remove()


def test_no_removed_person_keeps_access_without_an_alarm_whatever_is_withheld(blank):
    first = FIRST
    count = 1 if SEED is not None else HISTORIES
    print(f"histories {first} to {first + count - 1}")
    for seed in range(first, first + count):
        try:
            a_history(seed, blank)
        except Exception as error:
            raise AssertionError(f"history {seed}: {error} (GATED_SEED={seed} to see it again)") from error


def test_every_commanded_release_is_in_the_journal(site):
    """A command that is offered again to test the channel is never carried out, because no operator waits for it."""
    site.withholds = hold_back("offer")
    site.order()
    (order,) = site.waiting
    site.store.commands.withdraw(order, "no answer")
    site.waiting.clear()
    settle(site, 120)
    site.withholds = lambda *_: False
    settle(site, 300)
    assert not any(ordered["acted"] for ordered in site.ordered.values())
    assert site.store.commands.get(order).state == "cancelled"

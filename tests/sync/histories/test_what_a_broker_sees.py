"""A broker sees only the time, topic and length of a message, and whether a gate is online.

It must not learn when a person passes, or what is broken.
"""

import base64
import json
import sys
from pathlib import Path

import pytest
from msgspec import structs
from msgspec.structs import replace

sys.path.insert(0, str(Path(__file__).parent))
from site_in_memory import SETTINGS, Site, prepare

from gated.config import SyncSettings
from gated.events import (
    AccessGranted,
    CallPressed,
    Degraded,
    DoorClosed,
    DoorOpened,
    DoorReleased,
    DoorSecured,
    Event,
    Started,
)
from gated.protocol.message_kinds import ONCE_OPEN, kind_of
from gated.protocol.status_messages import LIVE, SEALED, Status
from gated.sync.status_reports import FUNCTIONS
from gated.sync.upload_timing import URGENT

MINUTES = 3


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seen")
    prepare(folder)
    return folder


@pytest.fixture
def site(blank, request):
    made = Site(blank / request.node.name.replace("/", "_"), 7)
    yield made
    made.close()
    made.remove()


def visit(gate):
    """Write all journal rows of one passage."""
    gate.report(AccessGranted("3f2a", "ab" * 8, 0.71, 0.4, 216, 0.9, 3, "e" * 64, 0.31))
    gate.report(DoorReleased(cause="grant", lease_s=8.0, visit="3f2a"))
    for event in (DoorOpened(after="grant"), DoorClosed(), DoorSecured(cause="lease")):
        gate.report(event)


def a_day(site, happens):
    """Run for `MINUTES` minutes and return each message of gate east: second, topic, length."""
    gate, noted = site.gates["east"], []
    gate.report(Started("0", "ab"))
    began = site.now
    for second in range(60 * MINUTES):
        happens(gate, second)
        site.office_speaks()
        gate.speak()
        while site.flying:
            _, topic, payload = site.flying[0]
            noted.append((second, topic, len(payload)))
            site.deliver(0)
        site.tick(1.0)
    assert site.now == began + 60 * MINUTES
    return noted


def nothing(gate, second):
    """A day without events."""


def visits(gate, second):
    if second > 20 and second % 37 == 5:
        visit(gate)
    state = "open" if second % 37 in range(5, 12) else "secured"
    gate.vitals = structs.replace(gate.vitals, door=state)


def breaks(gate, second):
    if second == 95:
        gate.report(Degraded(["vision", "clock"]))
        gate.vitals = structs.replace(gate.vitals, degraded=["clock", "vision"], people=71, templates=200)


@pytest.mark.parametrize("happens", [visits, breaks])
def test_traffic_of_a_day_with_visits_or_a_fault_looks_like_a_quiet_day(blank, happens):
    seen = []
    for name, day in (("quiet", nothing), (happens.__name__, happens)):
        site = Site(blank / f"{name}-{happens.__name__}", 7)
        seen.append(a_day(site, day))
        held = site.store.journals.rows(gate="east", limit=100_000)
        site.close()
        site.remove()
    assert seen[0] == seen[1]
    assert len({second for second, topic, _ in seen[0] if topic.endswith("up/event")}) >= 6 * MINUTES - 2
    assert len(held) > 0, "and the office has all of it"


def test_an_idle_gate_and_its_office_send_under_20_mb_a_day(site):
    """Counts only published bytes. Most are journal rows, which are padded to hide when a person passes."""
    beats = [(topic, length) for second, topic, length in a_day(site, nothing) if second >= 60]
    count = sum(topic.endswith("up/status") for topic, _ in beats)
    assert count == 60 * (MINUTES - 1) / SETTINGS.status_s
    per_beat = sum(length + len(topic) for topic, length in beats) / count
    assert per_beat * 86_400 / SyncSettings().status_s < 20e6


def test_a_call_is_sent_at_once(site):
    def calls(gate, second):
        if second == 64:
            gate.report(CallPressed())

    noted = a_day(site, calls)
    assert [second for second, topic, _ in noted if topic.endswith("up/event") and second in range(62, 69)] == [64]
    assert site.store.alarms.all()[0].kind == "call_pressed" or site.store.alarms.all(standing=False)


def test_the_urgent_kinds_are_existing_event_kinds():
    known = {event.__struct_config__.tag for event in Event.__subclasses__()}
    assert URGENT - {"records_withheld", "presentation_attack"} <= known


def test_a_broker_reads_only_online_or_offline_in_a_status(site):
    gate = site.gates["east"]
    clear = []
    for vitals in (gate.vitals, structs.replace(gate.vitals, degraded=["vision"], door="open", people=72, calls=1)):
        gate.vitals = vitals
        site.tick(20.0)
        gate.speak()
        clear += [payload for _, topic, payload in site.flying if topic == gate.topics.status]
        site.flying.clear()
    clear.append(gate.side.last_will(site.wall, gate.vitals).payload)
    assert len(clear) == 3
    shells = [json.loads(base64.urlsafe_b64decode(payload.split(b".")[1] + b"===")) for payload in clear]
    for shell in shells:
        assert set(shell) == {"v", "site", "gate", "state", "version", "sealed"}
        assert "0" not in shell["version"]
    assert [shell["state"] for shell in shells] == ["online", "online", "offline"]
    assert len({len(payload) for payload in clear[:2]}) == 1


def test_no_content_of_a_conversation_is_unencrypted(site):
    """Certificates are the exception: every handshake shows them."""
    site.add()
    for _ in range(30):
        site.office_speaks()
        site.gates["east"].speak()
        while site.flying:
            _, topic, payload = site.flying[0]
            body = base64.urlsafe_b64decode(payload.split(b".")[1] + b"===")
            assert body.count(b".") == 4 or topic.endswith("up/status"), body
            site.deliver(0)
        site.tick(1.0)


# -- older gates and offices -------------------------------------------------------------------------------------------


class OldGate:
    """A gate of an older version.

    It sends its status unencrypted, and reads unencrypted messages that concern no person.
    """

    def __init__(self, gate):
        self.gate, self.peer, self.heard, self.challenges = gate, gate.peer, 0, 0

    def status(self, site):
        self.challenges += 1
        can = [each for each in FUNCTIONS if each != SEALED]
        status = Status(
            site="court", gate=self.gate.name, version="0.0.9", at=site.wall.isoformat(), heard=self.heard,
            challenge=f"old-{self.challenges}", can=can,
        )  # fmt: skip
        return self.peer.write(status, is_to_old=True)

    def receive(self, payload):
        """Return the JSON of an unencrypted message; an old gate understands only such messages."""
        body = base64.urlsafe_b64decode(payload.split(b".")[1] + b"===")
        said = json.loads(body)
        self.heard = max(self.heard, said.get("beat", 0))
        return said


def test_an_older_gate_is_understood_and_gets_readable_answers(site):
    gate = site.gates["east"]
    old = OldGate(gate)
    for _ in range(3):
        payload = old.status(site)
        assert payload.split(b".")[1].startswith(base64.urlsafe_b64encode(b'{"v"')[:4])
        (out,) = [
            o for o in site.side.handle_message(gate.topics.status, payload, site.now, site.wall) if "/ack" in o.topic
        ]
        assert old.receive(out.payload)["challenge"] == f"old-{old.challenges}"
        site.tick(60.0)
    assert site.store.gate("east").status.version == "0.0.9"
    assert LIVE in site.store.gate("east").status.can
    assert site.store.gate("east").echoed == 2


def test_a_gate_that_returns_to_an_older_version_is_understood(site):
    gate, old = site.gates["east"], None
    for _ in range(3):
        gate.speak()
        while site.flying:
            site.deliver(0)
        site.tick(10.0)
    assert SEALED in site.store.gate("east").status.can
    old = OldGate(gate)
    for _ in range(3):
        said = site.side.handle_message(gate.topics.status, old.status(site), site.now, site.wall)
        old.receive(next(out.payload for out in said if "/ack" in out.topic))
        site.tick(60.0)
    assert site.store.gate("east").status.version == "0.0.9"


def test_an_older_office_is_shown_as_needing_an_update(site):
    """An old office skips `sealed`, and shows the rest of a shell like any status."""
    gate = site.gates["east"]
    gate.speak()
    payload = next(payload for _, topic, payload in site.flying if topic == gate.topics.status)
    shown = json.loads(base64.urlsafe_b64decode(payload.split(b".")[1] + b"==="))
    assert shown["version"] == "update this office to read it"


def test_fields_that_were_once_unsealed_are_read_in_both_forms(site):
    assert {"status", "ack", "word", "request"} == ONCE_OPEN
    gate = site.gates["east"]
    status = replace(gate.side._reports.status(gate.vitals), challenge="x")
    office = site.side._open_session("east", site.store.gate_table.keys()["east"], site.now, site.wall).peer
    assert kind_of(Status) == "status"
    for is_to_old in (True, False):
        assert office.read(gate.peer.write(status, is_to_old=is_to_old), Status) == status

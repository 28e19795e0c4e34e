"""Tests with the gate's real processes, a real broker and an office: started, cut off, and killed."""

import asyncio
import json
import signal
import socket
import time
from datetime import UTC, datetime

import pytest

from gated.door.latch_messages import DriveLine, FromLatch, Hello, LatchHeartbeat, Welcome
from gated.events import DoorReleased
from gated.journal.journal import Journal
from gated.protocol.command_messages import AnswerCall, Diagnose, SwitchLockdown
from gated.runtime.channel import BlockingChannel

pytestmark = pytest.mark.slow

SITE, GATE = "market-south", "gate-2"
SYNC = ("url", "ca", "cert", "key", "gate_keys", "office_keys", "ack_timeout_s", "backoff_max_s", "status_s")


@pytest.fixture
def running(whole_gate, broker):
    """A running gate that is linked to the broker and has no models. It only starts and reports."""
    settings = broker.settings()
    sync = {key: getattr(settings, key) for key in SYNC}
    whole_gate.write(site={"id": SITE}, gate={"id": GATE}, models={"dir": "nowhere"}, sync=sync)
    whole_gate.brain = whole_gate.start("run")
    return whole_gate


def held_as_written(gate, receiver):
    """Return whether the office holds every row of the journal once, in order, and unchanged."""
    journal = Journal.open(gate.state, SITE, GATE)
    rows = [(entry.seq, entry.hash) for entry in journal.entries(limit=10_000)]
    journal.close()
    return bool(rows) and rows == [(event.seq, event.hash) for event in receiver.server.events.values()]


async def test_every_event_arrives_once_though_the_broker_is_killed_and_forgets(running, broker, receiver, until):
    await until(lambda: any(s.state == "online" and s.degraded == ["vision"] for s in receiver.statuses), "the status")
    await until(lambda: held_as_written(running, receiver), "the first events")
    broker.kill()
    journal = Journal.open(running.state, SITE, GATE)
    for number in range(700):
        journal.append(DoorReleased("grant", 8.0, f"while-cut-off-{number}"), datetime.now(UTC))
    journal.close()
    await asyncio.sleep(1)
    broker.start()
    await until(lambda: held_as_written(running, receiver), "what happened meanwhile")
    assert (receiver.server.lost, receiver.server.altered) == (set(), [])
    assert running.brain.poll() is None


async def test_a_killed_gate_is_offline_and_a_stopped_gate_reports_it_itself(running, receiver, until):
    await until(lambda: "online" in receiver.states, "online")
    running.brain.kill()
    await until(lambda: receiver.states[-1] == "offline", "the last will")
    again = running.start("run")
    await until(lambda: receiver.states[-1] == "online", "online again")
    await until(lambda: held_as_written(running, receiver), "the events of both starts")
    again.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(again.wait, 20) == 0
    await until(lambda: receiver.states[-1] == "offline", "the goodbye")


async def test_the_whole_gate_executes_a_command(running, receiver, until):
    await until(lambda: "online" in receiver.states, "online")
    await receiver.order(1, SwitchLockdown(on=True))
    await until(lambda: receiver.replies, "the answer")
    assert receiver.replies[0].outcome == "done"
    await until(lambda: {"lockdown", "commanded"} <= {event.kind for event in receiver.server.events.values()}, "facts")
    await receiver.order(2, Diagnose())
    await until(lambda: len(receiver.replies) == 2, "what the doctor says")
    assert {finding.part for finding in receiver.replies[1].findings} >= {"latch", "lockdown"}


def press(gate):
    """Press the call button; a mock latch accepts this from an observer."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(str(gate.state / "latch.sock"))
        channel = BlockingChannel[FromLatch](sock, FromLatch)
        channel.send(Hello(observer=True))
        assert channel.receive() == Welcome()
        for is_active in (True, False):
            channel.send(DriveLine("call", is_active))
            channel.send(LatchHeartbeat())
            channel.receive()
            time.sleep(0.2)


async def test_a_caller_reaches_the_office_is_answered_and_let_in_once(whole_gate, broker, receiver, until):
    settings = broker.settings()
    sync = {key: getattr(settings, key) for key in SYNC}
    whole_gate.write(site={"id": SITE}, gate={"id": GATE}, models={"dir": "nowhere"}, sync=sync, door={"call_pin": 6})
    whole_gate.start("run")

    def events_of(kind):
        return [json.loads(event.body) for event in receiver.server.events.values() if event.kind == kind]

    await until(lambda: "online" in receiver.states and events_of("worker_ready"), "the gate")
    await asyncio.to_thread(press, whole_gate)
    await until(lambda: events_of("call_pressed"), "the call")
    await receiver.order(1, AnswerCall("wait"))
    await until(lambda: events_of("call_answered"), "the first answer")
    for number in (2, 3):
        await receiver.order(number, AnswerCall("opening"))
    await until(lambda: len(receiver.replies) == 3, "what became of three answers")
    assert [reply.outcome for reply in receiver.replies] == ["done", "done", "refused"]
    await until(lambda: events_of("door_released"), "the release")
    assert [fact.get("answer", "wait") for fact in events_of("call_answered")] == ["wait", "opening"]
    assert [fact["cause"] for fact in events_of("door_released")] == ["grant"]
    assert events_of("call_ended") == []


async def test_a_caller_learns_at_once_that_the_link_is_lost(whole_gate, broker, receiver, until):
    settings = broker.settings()
    sync = {key: getattr(settings, key) for key in SYNC}
    whole_gate.write(site={"id": SITE}, gate={"id": GATE}, models={"dir": "nowhere"}, sync=sync, door={"call_pin": 6})
    whole_gate.start("run")
    await until(lambda: "online" in receiver.states and whole_gate.events("worker_ready"), "the gate")
    await asyncio.to_thread(press, whole_gate)
    await until(lambda: whole_gate.events("call_pressed"), "the call")
    broker.kill()
    await until(lambda: [e["outcome"] for e in whole_gate.events("call_ended")] == ["unreachable"], "that nobody hears")
    await asyncio.to_thread(press, whole_gate)
    await until(lambda: len(whole_gate.events("call_ended")) == 2, "the same of the next call")


async def test_a_caller_learns_that_the_office_does_not_answer(whole_gate, broker, receiver, until):
    receiver.is_acking = False
    settings = broker.settings()
    sync = {key: getattr(settings, key) for key in SYNC}
    whole_gate.write(site={"id": SITE}, gate={"id": GATE}, models={"dir": "nowhere"}, sync=sync, door={"call_pin": 6})
    whole_gate.start("run")
    await until(lambda: "online" in receiver.states and whole_gate.events("worker_ready"), "the gate")
    for ended in (1, 2):
        await asyncio.to_thread(press, whole_gate)
        await until(lambda ended=ended: len(whole_gate.events("call_ended")) == ended, "that nobody hears")
    assert {e["outcome"] for e in whole_gate.events("call_ended")} == {"unreachable"}
    pressed, over = (whole_gate.events(kind)[-1]["at"] for kind in ("call_pressed", "call_ended"))
    assert (datetime.fromisoformat(over) - datetime.fromisoformat(pressed)).total_seconds() < 3, "the second is at once"


async def test_a_silent_office_is_recorded_and_its_next_message_too(whole_gate, broker, receiver, until):
    receiver.is_acking = False
    settings = broker.settings()
    sync = {key: getattr(settings, key) for key in SYNC} | {"silent_h": 1 / 3600, "status_s": 1.0}
    whole_gate.write(site={"id": SITE}, gate={"id": GATE}, models={"dir": "nowhere"}, sync=sync)
    whole_gate.start("run")
    await until(lambda: any("server" in status.degraded for status in receiver.statuses), "the silence")
    receiver.is_acking = True
    await until(lambda: "server" not in receiver.statuses[-1].degraded, "its end")
    silences = [e for e in whole_gate.events("server_silent") if e.get("is_over")]
    assert silences


async def test_nothing_personal_is_on_the_wire(running, receiver, until):
    await until(lambda: held_as_written(running, receiver), "events")
    sent = json.dumps([event.body for event in receiver.server.events.values()]) + str(receiver.statuses)
    assert str(running.state) not in str(receiver.statuses)
    for word in ("name", "household", "embedding", "template_", "photo"):
        assert f'"{word}"' not in sent


def test_a_broker_that_swallows_the_connection_does_not_hold_up_the_stop(whole_gate, broker, wait_for):
    """No broker accepts, and the listener's queue is full, so that a connect hangs in the kernel for minutes."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        settings = broker.settings(url=f"mqtts://localhost:{hole.getsockname()[1]}")
        sync = {key: getattr(settings, key) for key in SYNC}
        whole_gate.write(site={"id": SITE}, gate={"id": GATE}, models={"dir": "nowhere"}, sync=sync)
        brain = whole_gate.start("run")
        wait_for(lambda: "on duty" in whole_gate.log())
        time.sleep(1)
        began = time.monotonic()
        brain.terminate()
        assert brain.wait(30) == 0  # the connect itself hangs for seconds, and the stop does not wait for it
        print(f"stopped in {time.monotonic() - began:.2f} s")
        assert whole_gate.events("stopped")
        for filler in fillers:
            filler.close()

"""The gate's real processes, a real broker and a server: started, cut off, and killed."""

import asyncio
import json
import signal
import socket
import time
from datetime import UTC, datetime

import pytest

from gated.events import DoorReleased
from gated.journal.journal import Journal
from gated.sync.messages import Command, Diagnose, SetLockdown

pytestmark = pytest.mark.slow

SITE, GATE = "market-south", "gate-2"
SYNC = ("url", "ca", "cert", "key", "gate_keys", "office_keys", "ack_timeout_s", "backoff_max_s")


@pytest.fixture
def running(whole_gate, broker):
    """A gate that is linked to the broker, and has no models: what it does is start, and say so."""
    settings = broker.settings()
    sync = {key: getattr(settings, key) for key in SYNC}
    whole_gate.write(site={"id": SITE}, gate={"id": GATE}, models={"dir": "nowhere"}, sync=sync)
    whole_gate.brain = whole_gate.start("run")
    return whole_gate


def held_as_written(gate, receiver):
    """Whether the server holds every row of the journal, once, in order, and unchanged."""
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


async def test_a_killed_gate_is_offline_and_a_stopped_one_says_so_itself(running, receiver, until):
    await until(lambda: "online" in receiver.states, "online")
    running.brain.kill()
    await until(lambda: receiver.states[-1] == "offline", "the last will")
    again = running.start("run")
    await until(lambda: receiver.states[-1] == "online", "online again")
    await until(lambda: held_as_written(running, receiver), "the events of both starts")
    again.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(again.wait, 20) == 0
    await until(lambda: receiver.states[-1] == "offline", "the goodbye")


async def test_an_order_is_carried_out_by_the_whole_gate(running, receiver, until):
    await until(lambda: "online" in receiver.states, "online")
    order = {"site": SITE, "gate": GATE, "operator": "li", "at": datetime.now(UTC).isoformat(), "reason": "a drill"}
    await receiver.say(Command(id="1" * 32, number=1, action=SetLockdown(on=True), **order))
    await until(lambda: receiver.replies, "the answer")
    assert receiver.replies[0].outcome == "done"
    await until(lambda: {"lockdown", "commanded"} <= {event.kind for event in receiver.server.events.values()}, "facts")
    await receiver.say(Command(id="2" * 32, number=2, action=Diagnose(), **order))
    await until(lambda: len(receiver.replies) == 2, "what the doctor says")
    assert {finding.part for finding in receiver.replies[1].findings} >= {"latch", "lockdown"}


async def test_an_office_that_is_silent_is_noted_and_heard_of_when_it_speaks(whole_gate, broker, receiver, until):
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
    """Nobody accepts, and the queue of the listener is full: a connect hangs in the kernel for minutes."""
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
        assert brain.wait(30) == 0  # the connect itself hangs for seconds, and nobody waits for it
        print(f"stopped in {time.monotonic() - began:.2f} s")
        assert whole_gate.events("stopped")
        for filler in fillers:
            filler.close()

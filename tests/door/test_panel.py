"""The latch as a real process with every part: two doors, fire, lockdown, readers and lamps."""

import asyncio
import contextlib
import statistics
import subprocess
import sys
import textwrap
import time

import pytest

from gated.door.latch_messages import DriveLine, FromLatch, Hello, Welcome
from gated.events import (
    SECOND,
    CallPressed,
    DoorClosed,
    DoorForcedOpen,
    DoorHeldOpen,
    DoorOpened,
    DoorReleased,
    DoorSecured,
    FireRelease,
    FireReset,
    LineImplausible,
    LinePlausible,
    ReleaseRefused,
    Tampered,
)
from gated.runtime.channel import Channel

pytestmark = pytest.mark.slow

PINS = {
    "contact_pin": 22,
    "rex_pin": 23,
    "fire_pin": 24,
    "fire_reset_pin": 25,
    "tamper_pin": 5,
    "call_pin": 6,
    "feedback_pin": 27,
    "wiegand_pins": [12, 13],
}


@pytest.fixture
def panel(gate, wait_for):
    """Return a function that starts the latch of a fully wired gate, with changes to its door, and returns the process.

    It may be called again.
    """

    def start(**door):
        gate.write(
            door={**PINS, **door},
            second_door={"lock_pin": 11, "contact_pin": 4, "rex_pin": 14, "wiegand_pins": [15, 8], "release_s": 3.0},
            cues={"open_pin": 16, "fault_pin": 26, "buzzer_pin": 18},
            readers={"keypad_rows": [19, 20, 21, 7], "keypad_columns": [9, 10, 17 + 0, 2]}
            if door.get("lock_pin")
            else {"keypad_rows": [19, 20, 21, 7], "keypad_columns": [9, 10, 2]},
        )
        process = gate.start("latch")
        wait_for((gate.state / "latch.sock").exists)
        return process

    return start


def is_on(gate, line="lock"):
    """Return whether an output has power now."""
    levels = [each["on"] for each in gate.trace() if each["line"] == line]
    return bool(levels) and levels[-1]


async def drive_and_disconnect(gate, *lines):
    """Make lines active and disconnect before they are accepted, so that the latch acts without a brain."""
    reader, writer = await asyncio.open_unix_connection(gate.state / "latch.sock")
    channel = Channel[FromLatch](reader, writer, FromLatch)
    channel.send(Hello())
    assert isinstance(await channel.receive(), Welcome)
    for line, active in lines:
        channel.send(DriveLine(line, active))
    await channel.close()


class TestWithoutABrain:
    """The inputs are accepted after half a second. By then no brain is connected."""

    @pytest.fixture
    def latch(self, panel):
        return panel(debounce_s=0.5)

    async def test_the_exit_button_releases(self, gate, latch, link, until):
        await drive_and_disconnect(gate, ("rex", True))
        assert not is_on(gate)
        await until(lambda: is_on(gate))
        await until(lambda: not is_on(gate))
        async with link() as brain:
            await brain.receives(DoorSecured("lease"))
        assert brain.events.index(DoorReleased("rex", 2.0)) < brain.events.index(DoorSecured("lease"))

    async def test_a_fire_releases_every_door_for_good(self, gate, latch, link, until):
        await drive_and_disconnect(gate, ("fire", True))
        await until(lambda: is_on(gate) and is_on(gate, "second.lock"))
        async with link() as brain:
            await brain.receives(FireRelease(SECOND))
            assert FireRelease() in brain.events
            brain.door.drive("fire", False)
            await until(lambda: brain.door.is_on_fire and not brain.door.lines["main.fire"])
        await asyncio.sleep(1.0)
        assert is_on(gate)
        assert is_on(gate, "second.lock")

    async def test_the_fault_lamp_shows_a_missing_brain(self, gate, latch, link, until):
        await until(lambda: is_on(gate, "fault"))
        async with link() as brain:
            await until(lambda: not is_on(gate, "fault"))
            brain.door.play("open", (1.0,))
            await until(lambda: is_on(gate, "open"))
        await until(lambda: is_on(gate, "fault") and not is_on(gate, "open"))


DYING = """
    import asyncio, sys, time
    from gated.door.latch_messages import FromLatch, Hello, ReleaseLock, LatchHeartbeat
    from gated.runtime.channel import Channel

    async def main():
        channel = Channel(*await asyncio.open_unix_connection(sys.argv[1]), FromLatch)
        channel.send(Hello())
        for cause in ("grant", "schedule"):
            channel.send(ReleaseLock("v", 30.0, time.monotonic(), cause=cause))
        while True:
            channel.send(LatchHeartbeat())
            await asyncio.sleep(0.3)

    asyncio.run(main())
"""


async def test_the_leases_of_a_killed_brain_end(gate, panel, link, until):
    panel()
    dying = subprocess.Popen(  # noqa: ASYNC220 - the test kills it and reads nothing from it
        [sys.executable, "-c", textwrap.dedent(DYING), str(gate.state / "latch.sock")]
    )
    try:
        await until(lambda: is_on(gate))
        assert not is_on(gate, "second.lock")
    finally:
        dying.kill()
        dying.wait()
    await until(lambda: not is_on(gate))
    await until(lambda: is_on(gate, "fault"))
    async with link() as successor:
        await successor.receives(DoorSecured("disconnect"))


class TestFire:
    async def test_a_fire_release_lasts_until_the_key_is_turned(self, gate, panel, link, until):
        panel()
        async with link() as brain:
            brain.door.lockdown(True)
            brain.door.drive("fire", True)
            await brain.receives(FireRelease())
            assert is_on(gate)
            brain.door.drive("contact", True)
            await brain.receives(DoorOpened("fire"))
            brain.door.drive("contact", False)
            brain.door.drive("fire_reset", True)
            await brain.receives(DoorClosed())
            await until(lambda: brain.door.lines.get("main.fire") and brain.door.lines["main.fire_reset"])
            assert is_on(gate)
            brain.door.drive("fire_reset", False)
            brain.door.drive("fire", False)
            await until(lambda: not (brain.door.lines["main.fire"] or brain.door.lines["main.fire_reset"]))
            assert is_on(gate)
            brain.door.drive("fire_reset", True)
            await brain.receives(FireReset())
            await brain.receives(DoorSecured("fire_reset"))
            await brain.receives(DoorSecured("fire_reset", SECOND))
            assert not is_on(gate)
            assert not is_on(gate, "second.lock")
            await until(lambda: not brain.door.is_on_fire)

    @pytest.mark.parametrize(("lock", "fail", "is_held"), [("strike", "secure", False), ("maglock", "safe", True)])
    async def test_a_fire_release_outlives_the_latch(self, gate, panel, link, until, lock, fail, is_held):
        """Between two latches a maglock stays released. A fail-secure strike cannot."""
        released = lock == "strike"  # the coil's level while people may pass
        first = panel(lock=lock, fail=fail)
        async with link() as brain:
            brain.door.drive("fire", True)
            await brain.receives(FireRelease())
            await until(lambda: is_on(gate) == released)
        first.terminate()
        assert first.wait(10) == 0
        assert (is_on(gate) == released) == is_held
        count = len(gate.trace())
        second = panel(lock=lock, fail=fail)
        async with link() as brain:
            await brain.receives(FireRelease())
            await until(lambda: brain.door.is_on_fire)
        locks = [each["on"] for each in gate.trace()[count:] if each["line"] == "lock"]
        assert locks == [released]
        second.kill()
        second.wait()
        count = len(gate.trace())
        panel(lock=lock, fail=fail)
        async with link() as brain:
            await until(lambda: brain.door.is_on_fire)
            brain.door.drive("fire_reset", True)
            await brain.receives(FireReset())
        assert not (gate.state / "latch.fire").exists()

    async def test_a_fire_release_flashes_and_sounds(self, gate, panel, link, until):
        panel()
        async with link() as brain:
            brain.door.drive("fire", True)
            await brain.receives(FireRelease())
            brain.door.play("buzzer")
            await until(lambda: sum(e["line"] == "open" and e["on"] for e in gate.trace()) > 2)
            assert any(e["line"] == "buzzer" and e["on"] for e in gate.trace())


class TestTwoDoors:
    async def test_each_door_has_its_own_lease_leaf_and_button(self, gate, panel, link, until):
        panel()
        async with link() as brain:
            brain.release(lease_s=20, door=SECOND)
            await brain.receives(DoorReleased("grant", 20.0, "visit", SECOND))
            assert not is_on(gate)
            brain.door.drive("contact", True, SECOND)
            await brain.receives(DoorOpened("grant", SECOND))
            await until(lambda: brain.door.doors == {"main": "secured", "second": "open"})
            assert brain.door.state == "secured"
            brain.door.drive("rex", True)
            await brain.receives(DoorReleased("rex", 2.0))
            brain.door.drive("contact", False, SECOND)
            await brain.receives(DoorSecured("closed", SECOND))
            assert DoorSecured("closed") not in brain.events
            brain.door.drive("rex", True, SECOND)
            await brain.receives(DoorReleased("rex", 3.0, door=SECOND))

    async def test_a_forced_door_alarms_for_itself_only(self, gate, panel, link, until):
        panel(rex_grace_s=0.0)
        await asyncio.sleep(0.1)
        async with link() as brain:
            brain.door.drive("contact", True)
            await brain.receives(DoorForcedOpen())
            assert DoorForcedOpen(SECOND) not in brain.events
            assert brain.door.doors.get("second") != "open"

    async def test_a_release_of_an_unknown_door_is_refused_and_the_link_stays(self, gate, panel, link, until):
        panel()
        async with link() as brain:
            brain.release(door="third")
            await brain.receives(ReleaseRefused("visit", "there is no such door", "third"))
            brain.release()
            await brain.receives(DoorReleased("grant", 2.0, "visit"))


class TestLockdown:
    async def test_a_lockdown_ends_a_release_refuses_the_next_and_lets_people_leave(self, gate, panel, link, until):
        panel()
        async with link() as brain:
            brain.release(lease_s=20)
            await until(lambda: is_on(gate))
            brain.door.lockdown(True)
            await brain.receives(DoorSecured("lockdown"))
            brain.release()
            await brain.receives(ReleaseRefused("visit", "lockdown"))
            brain.door.drive("rex", True)
            await brain.receives(DoorReleased("rex", 2.0))
            brain.door.lockdown(False)
            brain.release()
            await brain.receives(DoorReleased("grant", 2.0, "visit"))

    async def test_a_lockdown_is_sent_again_to_a_restarted_latch(self, gate, panel, link, until):
        first = panel()
        async with link() as brain:
            brain.door.lockdown(True)
            first.kill()
            first.wait()
            await until(lambda: not brain.door.is_linked)
            panel()
            await until(lambda: brain.door.is_linked)
            brain.release()
            await brain.receives(ReleaseRefused("visit", "lockdown"))
        assert not is_on(gate)

    async def test_a_lockdown_lasts_while_no_brain_is_connected(self, gate, panel, link, until):
        panel()
        async with link() as brain:
            brain.door.lockdown(True)
        async with link() as successor:  # it knows nothing of the lockdown
            successor.release()
            await successor.receives(ReleaseRefused("visit", "lockdown"))


async def test_a_schedule_release_lasts_as_long_as_it_is_renewed(gate, panel, link, until):
    panel()
    async with link() as brain:
        for _ in range(6):
            brain.release(lease_s=0.8, cause="schedule")
            await asyncio.sleep(0.2)
        assert is_on(gate)
        await brain.receives(DoorSecured("lease"))
    assert brain.events.count(DoorReleased("schedule", 0.8, "visit")) == 1


async def test_a_real_latch_raises_every_alarm(gate, panel, link, until):
    panel(held_open_s=5.0, held_open_alarm_s=10.0)
    async with link() as brain:
        brain.door.drive("tamper", True)
        await brain.receives(Tampered())
        brain.door.drive("tamper", False)
        await brain.receives(Tampered(is_over=True))
        brain.door.drive("call", True)
        await brain.receives(CallPressed())
        brain.release(lease_s=20)
        await until(lambda: is_on(gate))
        brain.door.drive("feedback", False)
        await until(lambda: any(isinstance(event, LineImplausible) for event in brain.events))
        brain.door.drive("feedback", True)
        await brain.receives(LinePlausible("lock"))
        brain.door.drive("contact", True)
        await until(lambda: any(isinstance(event, DoorHeldOpen) for event in brain.events))
        assert not next(event for event in brain.events if isinstance(event, DoorHeldOpen)).is_alarm
        await until(lambda: any(isinstance(e, DoorHeldOpen) and e.is_alarm for e in brain.events))


async def test_a_chattering_contact_is_reported(gate, panel, link, until):
    panel()
    async with link() as brain:
        for number in range(40):
            brain.door.drive("contact", number % 2 == 0)
            await asyncio.sleep(0.06)
        await until(lambda: any(isinstance(e, LineImplausible) and e.line == "contact" for e in brain.events))


class TestReaders:
    async def test_a_card_carries_the_door_of_its_reader(self, gate, panel, link, until):
        panel()
        async with link() as brain:
            brain.door.drive("wiegand:" + "01" * 13, True)
            await until(lambda: brain.cards)
            brain.door.drive("wiegand:" + "1" * 34, True, SECOND)
            await until(lambda: len(brain.cards) == 2)
        assert brain.cards == [("01" * 13, "main"), ("1" * 34, "second")]

    async def test_keys_arrive_in_order(self, gate, panel, link, until):
        panel()
        async with link() as brain:
            for key in "1102*#":
                brain.door.drive(f"key:{key}", True)
            await until(lambda: len(brain.keys) == 6)
        assert brain.keys == [(key, "main") for key in "1102*#"]

    async def test_cards_and_keys_are_not_logged_and_not_kept_for_the_next_brain(self, gate, panel, link, until):
        panel()
        bits = "0110" * 7
        await drive_and_disconnect(gate, ("wiegand:" + bits, True), ("key:7", True), ("rex", True))
        await until(lambda: is_on(gate))
        async with link() as brain:
            await brain.receives(DoorReleased("rex", 2.0))
            await asyncio.sleep(0.3)
        assert brain.cards == brain.keys == []
        assert "rex" in gate.log("latch")
        assert bits not in gate.log("latch")
        assert "key_pressed" not in gate.log("latch").lower()


@pytest.mark.parametrize("line", ["nonsense", "wiegand:01", "key:x", "wiegand:", "lock", ""])
async def test_an_unknown_line_ends_the_connection_and_not_the_latch(gate, latch, link, until, line):
    reader, writer = await asyncio.open_unix_connection(gate.state / "latch.sock")
    channel = Channel[FromLatch](reader, writer, FromLatch)
    channel.send(Hello())
    channel.send(DriveLine(line, True))
    with contextlib.suppress(EOFError):
        async with asyncio.timeout(10):
            while True:
                await channel.receive()
    async with link() as brain:
        assert brain.door.is_linked


async def test_the_brain_receives_the_state_of_every_line(gate, panel, link, until):
    process = panel()
    async with link() as brain:
        await until(lambda: brain.door.lines)
        lines = {"contact", "rex", "fire", "fire_reset", "tamper", "call", "feedback"}
        assert set(brain.door.lines) == {f"main.{line}" for line in lines} | {"second.contact", "second.rex"}
        brain.door.drive("tamper", True)
        await until(lambda: brain.door.lines["main.tamper"])
        process.kill()
        await until(lambda: brain.door.state == "unknown")
        assert brain.door.lines == brain.door.doors == {}


async def test_the_latencies_of_contact_and_relay_are_within_the_budget(gate, panel, link, until):
    """Measure and print both latencies. The goal of each is 50 ms; a busy machine may take longer."""
    panel(relock_on_close=False)
    edges, relays = [], []
    async with link() as brain:
        for number in range(100):
            began, seen = time.monotonic(), len(brain.events)
            brain.door.drive("contact", number % 2 == 0)
            await until(lambda n=seen: any(isinstance(e, DoorOpened | DoorClosed) for e in brain.events[n:]))
            kinds = [isinstance(event, DoorOpened | DoorClosed) for event in brain.events[seen:]]
            edges.append(brain.received_at[seen + kinds.index(True)] - began)
        for _ in range(50):
            began, count = time.monotonic(), len(gate.trace())
            brain.release(lease_s=0.05)
            await until(lambda n=count: sum(e["line"] == "lock" for e in gate.trace()[n:]) == 2)
            relays.append(next(e["t"] for e in gate.trace()[count:] if e["line"] == "lock") - began)
    for what, taken in (("contact edge to event", edges), ("grant to relay edge", relays)):
        p95 = statistics.quantiles(taken, n=20)[-1]
        print(f"{what}: median {1e3 * statistics.median(taken):.1f} ms, p95 {1e3 * p95:.1f} ms, n={len(taken)}")
        assert 0 < p95 < 5

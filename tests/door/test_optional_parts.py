"""A missing optional part never stops a vital one: busy pins, a latch that still serves, and its reports."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.config import load_own
from gated.door.latch_messages import LatchState
from gated.door.latch_observer import read_latch_state
from gated.door.mock_pins import HeldLines
from gated.door.optional_parts import FIRST_CLAIM_RETRY_S, LONGEST_CLAIM_RETRY_S, OptionalParts, part_of
from gated.door.wiring_sheet import sheet
from gated.errors import LatchError
from gated.events import SECOND, DoorOpened, DoorReleased, DoorSecured, LineImplausible, ReleaseRefused

LAMPS = {"ready_pin": 5, "open_pin": 16, "fault_pin": 26, "buzzer_pin": 18, "vibration_pin": 8}
OPTIONAL = {
    5: "lamps", 16: "lamps", 26: "lamps", 18: "buzzer", 8: "vibration",
    22: "contact", 27: "feedback", 6: "tamper", 25: "call", 24: "fire_reset", 12: "reader", 13: "reader",
    19: "keypad", 2: "keypad", 4: "second.contact", 15: "second.reader", 11: "second", 14: "second",
}  # fmt: skip
"""Every optional line of the gate, and the part that it belongs to."""


class Part:
    """A part with pins that are busy for the first `busy_for` attempts."""

    def __init__(self, busy_for):
        self.busy_for, self.tries = busy_for, 0

    def claim(self):
        self.tries += 1
        if self.tries <= self.busy_for:
            raise LatchError(f"pin 5 cannot be claimed (GPIO busy, try {self.tries})")


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("cues.red", "lamps"), ("cues.buzzer", "buzzer"), ("cues.vibration", "vibration"), ("keypad", "keypad"),
        ("keypad.row_1", "keypad"), ("main.contact", "contact"), ("second.contact", "second.contact"),
        ("main.wiegand", "reader"), ("second.wiegand_d1", "second.reader"), ("second", "second"),
    ],
)  # fmt: skip
def test_each_line_belongs_to_its_part(line, part):
    assert part_of(line) == part


@given(st.integers(0, 12))
def test_a_missing_part_is_tried_with_growing_waits_until_it_works(busy_for):
    parts, part, now, waits = OptionalParts(), Part(busy_for), 0.0, []
    parts.claim("cues.ready", part.claim, now)
    while parts.missing:
        before, tries = now, part.tries
        while part.tries == tries and now - before <= LONGEST_CLAIM_RETRY_S:
            now += 0.1
            parts.try_again(now)
        waits.append(now - before)
        assert part.tries == tries + 1
    assert part.tries == busy_for + 1
    assert all(wait <= LONGEST_CLAIM_RETRY_S + 0.2 for wait in waits)
    assert all(later >= earlier / 2 - 0.2 for earlier, later in itertools.pairwise(waits))
    assert not waits or waits[0] >= FIRST_CLAIM_RETRY_S / 2


def test_the_log_has_one_line_for_a_missing_part_and_one_for_its_return(caplog):
    parts, part = OptionalParts(), Part(5)
    parts.claim("cues.ready", part.claim, 0.0)
    for now in range(1000):
        parts.try_again(float(now))
    logged = [record.getMessage() for record in caplog.records]
    assert len(logged) == 2
    assert logged[0].startswith("cues.ready is missing: pin 5 cannot be claimed")
    assert logged[1] == "cues.ready works again"


def test_several_lamps_are_one_part_with_every_reason():
    parts = OptionalParts()
    for line in ("cues.ready", "cues.open"):
        parts.claim(line, Part(9).claim, 0.0)
    assert parts.missing == {"lamps": "; ".join(["pin 5 cannot be claimed (GPIO busy, try 1)"] * 2)}


@pytest.fixture
def full_gate(gate):
    """A gate with every part that a latch can have."""
    gate.write(
        door={"contact_pin": 22, "rex_pin": 23, "fire_pin": 7, "fire_reset_pin": 24, "tamper_pin": 6, "call_pin": 25,
              "feedback_pin": 27, "wiegand_pins": [12, 13]},
        second_door={"lock_pin": 11, "contact_pin": 4, "rex_pin": 14, "wiegand_pins": [15, 0], "release_s": 3.0},
        cues=LAMPS,
        readers={"keypad_rows": [19, 20, 21, 3], "keypad_columns": [9, 10, 2]},
    )  # fmt: skip
    return gate


@pytest.fixture
def others(gate):
    """Another program, which holds lines of this gate."""
    held = HeldLines(gate.state / "latch.lines")
    yield held
    held.close()


@pytest.mark.slow
class TestALatchWithBusyPins:
    async def test_serves_lock_exit_button_and_fire_input_with_every_other_pin_busy(
        self, full_gate, others, link, until
    ):
        for pin in OPTIONAL:
            others.claim(pin)
        latch = full_gate.start("latch")
        await until((full_gate.state / "latch.sock").exists)
        async with link() as brain:
            await until(lambda: brain.door.missing)
            expected = {part for part in OPTIONAL.values() if not part.startswith("second.")}
            assert set(brain.door.missing) == expected, "a door that is missing has no parts of its own"
            brain.release(lease_s=0.5)
            await brain.receives(DoorReleased("grant", 0.5, "visit"))
            await brain.receives(DoorSecured("lease"))
            brain.door.drive("rex", True)
            await brain.receives(DoorReleased("rex", 2.0))
            brain.door.play("open", (1.0,))
            brain.release(door=SECOND)
            await until(lambda: any(isinstance(event, ReleaseRefused) for event in brain.events))
            brain.door.drive("fire", True)
            await until(lambda: brain.door.is_on_fire)
            assert brain.door.is_linked
            assert not any(isinstance(event, LineImplausible) for event in brain.events)
        assert latch.poll() is None
        log = full_gate.log("latch")
        assert log.count("cues.ready is missing") == 1
        assert "pin 5 cannot be claimed (GPIO busy" in log

    async def test_claims_the_busy_pins_once_they_are_free(self, full_gate, others, link, until):
        for pin in OPTIONAL:
            others.claim(pin)
        full_gate.start("latch")
        await until((full_gate.state / "latch.sock").exists)
        async with link() as brain:
            await until(lambda: brain.door.missing)
            brain.door.play("open", (1.0,))
            others.close()
            await until(lambda: not brain.door.missing, 30.0)
            assert set(brain.door.lines) > {"main.contact", "main.tamper", "second.contact", "second.rex"}
            assert [each["on"] for each in full_gate.trace() if each["line"] == "open"][-1], "asked for while missing"
            brain.door.drive("wiegand:" + "01" * 13, True)
            brain.door.drive("key:7", True)
            brain.release(lease_s=20.0, door=SECOND)
            await brain.receives(DoorReleased("grant", 20.0, "visit", SECOND))
            brain.door.drive("contact", True, SECOND)
            await brain.receives(DoorOpened("grant", SECOND))
            await until(lambda: brain.cards == [("01" * 13, "main")] and brain.keys == [("7", "main")])
        assert full_gate.log("latch").count("cues.ready works again") == 1

    @pytest.mark.parametrize("pin", [17, 23, 7])
    def test_does_not_drive_a_lock_without_its_exit_button_or_fire_input(self, gate, others, pin):
        gate.write(door={"rex_pin": 23, "fire_pin": 7})
        others.claim(pin)
        done = gate.run("latch", "--exit-when-idle", "1", check=3)
        assert f"pin {pin} cannot be claimed (GPIO busy" in done.stderr
        assert "Traceback" not in done.stderr
        assert not gate.lock_is_on()

    @pytest.mark.parametrize("pin", [17, 23, 7])
    async def test_serves_the_other_door_of_two(self, full_gate, others, link, until, pin):
        others.claim(pin)
        full_gate.start("latch")
        await until((full_gate.state / "latch.sock").exists)
        async with link() as brain:
            await until(lambda: "main" in brain.door.missing)
            assert brain.door.state == "unknown"
            brain.door.drive("rex", True, SECOND)
            await brain.receives(DoorReleased("rex", 3.0, door=SECOND))

    async def test_shows_missing_parts_to_an_observer_and_in_the_wiring_sheet(self, full_gate, others, until):
        for pin in (5, 22, 2):
            others.claim(pin)
        full_gate.start("latch")
        await until((full_gate.state / "latch.sock").exists)
        seen = await read_latch_state(full_gate.state / "latch.sock")
        assert set(seen.missing) == {"lamps", "contact", "keypad"}
        states = {line.name: line.state for line in sheet(load_own(full_gate.config), seen)}
        missing = {name for name, state in states.items() if state.startswith("missing: pin ")}
        assert missing == {"cues.ready", "main.contact", *(f"keypad.row_{n}" for n in (1, 2, 3, 4))} | {
            f"keypad.column_{n}" for n in (1, 2, 3)
        }


@pytest.mark.slow
class TestALatchWithoutUserOrSocket:
    """The exit button needs neither the brain's user nor the socket nor the lock file."""

    async def test_serves_its_own_user_when_the_brains_user_does_not_exist(self, gate, link, until):
        gate.write(door={"brain_user": "nobody-of-this-name"})
        gate.start("latch")
        await until((gate.state / "latch.sock").exists)
        async with link() as brain:
            brain.door.drive("rex", True)
            await brain.receives(DoorReleased("rex", 2.0))
        assert "there is no user 'nobody-of-this-name'" in gate.log("latch")

    async def test_claims_its_pins_without_a_socket_and_listens_later(self, gate, link, until):
        gate.state.write_text("a file where the folder should be")
        latch = gate.start("latch")
        await until(lambda: "cannot listen there" in gate.log("latch"))
        await until(lambda: [each["on"] for each in gate.trace()] == [False])
        assert latch.poll() is None
        gate.state.unlink()
        gate.state.mkdir()
        await until((gate.state / "latch.sock").exists, 60.0)
        async with link() as brain:
            brain.release(lease_s=0.3)
            await brain.receives(DoorSecured("lease"))
        latch.terminate()
        assert latch.wait(10) == 0
        assert not (gate.state / "latch.sock").exists()
        assert gate.log("latch").count("cannot listen there") == 1


async def test_a_missing_contact_raises_no_alarm_about_the_leaf(gate, others, link, until):
    others.claim(22)
    gate.start("latch")
    await until((gate.state / "latch.sock").exists)
    async with link() as brain:
        brain.release(lease_s=0.3)
        await brain.receives(DoorSecured("lease"))
        await asyncio.sleep(0.2)
    assert [type(event).__name__ for event in brain.events] == ["DoorReleased", "DoorSecured"]


def test_the_state_of_an_older_latch_has_no_missing_parts():
    assert LatchState("secured").missing == {}

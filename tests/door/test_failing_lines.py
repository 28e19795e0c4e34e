"""Lines that fail while the latch runs: an optional part is missing, comes back, and stops nothing else."""

import asyncio
import time

import pytest

from gated.config import load_own
from gated.door import panel as panels
from gated.door.door_state import EndLeases, ReleaseRequest
from gated.door.fire import FireFlag
from gated.door.gpio_errors import line_trouble
from gated.door.mock_pins import traced_factory
from gated.door.optional_parts import FIRST_CLAIM_RETRY_S, LONGEST_CLAIM_RETRY_S, WORKED_S, OptionalParts
from gated.door.outputs import FIRE
from gated.door.panel import LatchPanel
from gated.errors import LatchError
from gated.events import SECOND, DoorOpened, DoorReleased, DoorSecured, FireRelease

INPUTS = {"contact": 22, "feedback": 27, "tamper": 6, "call": 25, "fire_reset": 24}
CUES = {"ready": 5, "open": 16, "fault": 26, "buzzer": 18}
KEYPAD = {"keypad_rows": [19, 20, 21, 3], "keypad_columns": [9, 10, 2]}
VITAL = {"lock": 17, "rex": 23, "fire": 7}


class Board:
    """The panel of a gate with lines that a test can break. They fail below gpiozero, as lgpio's lines do."""

    def __init__(self, gate, monkeypatch):
        self.broken, self.reported = set(), []
        settings = load_own(gate.config)
        factory = traced_factory({})
        for name in ("_get_state", "_set_state", "output_with_state", "_set_function"):
            self._may_fail(factory.pin_class, name)
        self._never_fails_to_close(factory.pin_class)
        monkeypatch.setattr(panels, "pin_factory", lambda *_, **__: factory)
        monkeypatch.setattr("gated.door.optional_parts.FIRST_CLAIM_RETRY_S", 0.02)
        self.factory = factory
        self.panel = LatchPanel(
            settings, FireFlag(gate.folder / "fire"), self.reported.append, self._on_read, self._on_read
        )

    def _on_read(self, reading, _door):
        self.reported.append(reading)

    def _may_fail(self, pin_class, name):
        method = getattr(pin_class, name)

        def wrapped(pin, *given):
            if pin._number in self.broken:
                raise line_trouble(pin._number, "unknown handle", is_claimed=True)
            return method(pin, *given)

        setattr(pin_class, name, wrapped)

    def _never_fails_to_close(self, pin_class):
        """Make `close` never raise, as `SteadyPin` does."""
        close = pin_class.close

        def wrapped(pin):
            was = pin._number in self.broken
            self.broken.discard(pin._number)
            close(pin)
            self.broken |= {pin._number} if was else set()

        pin_class.close = wrapped

    def break_(self, *pins):
        self.broken.update(pins)

    def repair(self):
        self.broken.clear()

    def is_open(self, pin=17):
        return bool(self.factory.pin(pin).state)

    async def until(self, condition):
        async with asyncio.timeout(10):
            while not condition():
                self.panel.read()
                await asyncio.sleep(0.01)

    async def leaves(self):
        self.panel.drive("main", "rex", True)
        await self.until(self.is_open)
        self.panel.drive("main", "rex", False)
        await self.until(lambda: not self.is_open())


@pytest.fixture
async def board(gate, monkeypatch):
    gate.write(
        door={**{f"{line}_pin": pin for line, pin in INPUTS.items()}, "rex_pin": 23, "fire_pin": 7,
              "wiegand_pins": [12, 13], "release_s": 0.5, "debounce_s": 0.01},
        second_door={"lock_pin": 11, "contact_pin": 4, "rex_pin": 14, "wiegand_pins": [15, 8], "release_s": 0.5},
        cues={f"{line}_pin": pin for line, pin in CUES.items()},
        readers=KEYPAD,
    )  # fmt: skip
    board = Board(gate, monkeypatch)
    yield board
    board.repair()
    board.panel.close()


@pytest.mark.parametrize("line", INPUTS)
async def test_a_failed_input_is_missing_and_the_door_still_works(board, line):
    board.panel.drive("main", line, True)
    await board.until(lambda: board.panel.lines[f"main.{line}"])
    board.break_(INPUTS[line])
    await board.until(lambda: board.panel.missing)
    assert set(board.panel.missing) == {line}
    assert f"pin {INPUTS[line]} cannot be used" in board.panel.missing[line]
    assert f"main.{line}" not in board.panel.lines
    assert line not in board.panel.doors["main"].door.active
    await board.leaves()
    board.repair()
    await board.until(lambda: not board.panel.missing)
    assert f"main.{line}" in board.panel.lines
    await board.leaves()


async def test_a_contact_that_works_again_is_read(board):
    board.break_(INPUTS["contact"])
    await board.until(lambda: board.panel.missing)
    board.repair()
    await board.until(lambda: not board.panel.missing)
    board.panel.drive("main", "contact", True)
    await board.until(lambda: any(isinstance(event, DoorOpened) for event in board.reported))


@pytest.mark.parametrize("line", CUES)
async def test_a_lamp_that_fails_while_it_plays_stops_nothing_else(board, line, caplog):
    board.panel.outputs.show(is_fault=False)
    board.panel.outputs.play(line, (0.02, 0.02))
    board.break_(CUES[line])
    await board.until(lambda: board.panel.missing)
    board.panel.outputs.play(line, (1.0,))
    await board.leaves()
    board.repair()
    await board.until(lambda: not board.panel.missing and board.is_open(CUES[line]))
    assert not [record for record in caplog.records if record.name == "asyncio"]


async def test_in_a_fire_a_failed_lamp_keeps_no_lock_secured(board):
    board.break_(*(CUES[line] for line in FIRE if line in CUES))
    board.panel.drive("main", "fire", True)
    await board.until(lambda: board.is_open() and board.is_open(11))
    assert FireRelease("main") in board.reported
    assert set(board.panel.missing) == {"lamps", "buzzer"}


@pytest.mark.parametrize("pin", [19, 9])
async def test_a_failed_keypad_is_not_scanned_until_it_works_again(board, pin, caplog):
    board.break_(pin)
    await board.until(lambda: board.panel.missing)
    assert set(board.panel.missing) == {"keypad"}
    await board.leaves()
    board.repair()
    await board.until(lambda: not board.panel.missing)
    board.panel.drive("main", "key:7", True)
    await board.until(lambda: "7" in board.reported)
    assert not [record for record in caplog.records if record.name == "asyncio"]


@pytest.mark.parametrize("pin", VITAL.values())
async def test_a_door_with_a_failed_vital_line_is_missing_and_the_other_door_still_works(board, pin):
    board.break_(pin)
    await board.until(lambda: "main" in board.panel.missing)
    assert set(board.panel.doors) == {SECOND}
    board.panel.drive(SECOND, "rex", True)
    await board.until(lambda: board.is_open(11))
    board.repair()
    await board.until(lambda: not board.panel.missing)
    await board.leaves()


async def test_without_any_working_door_the_latch_ends_and_names_the_line(board):
    board.break_(23, 14)
    with pytest.raises(LatchError, match="pin (23|14) cannot be used"):
        await board.until(lambda: False)


@pytest.mark.parametrize("step", ["lease", "disconnect"])
async def test_a_lock_that_could_not_be_secured_is_secured_by_the_next_read(board, step):
    lease_s = 0.1 if step == "lease" else 20.0
    board.panel.release("main", ReleaseRequest("visit", lease_s, time.monotonic()))
    assert board.is_open()
    board.break_(17)
    if step == "lease":
        await asyncio.sleep(0.2)  # the line cannot be written at the end of the lease
    else:
        board.panel.step_all(EndLeases("disconnect"))
    board.repair()
    await board.until(lambda: not board.is_open())
    assert DoorReleased("grant", lease_s, "visit") in board.reported
    assert not any(isinstance(event, DoorSecured) and event.door == SECOND for event in board.reported)


def test_a_part_that_keeps_failing_is_tried_with_growing_waits():
    parts, claims, now = OptionalParts(), [], 0.0
    parts.claim("cues.ready", lambda: claims.append(now), now)
    while now < 600.0:
        parts.handle_failure("cues.ready", LatchError("pin 5 cannot be used (unknown handle)"), now)
        parts.try_again(now)
        now += 0.5
    assert len(claims) <= 2 + 600.0 / (LONGEST_CLAIM_RETRY_S / 2) + 6
    assert claims[-1] - claims[-2] >= LONGEST_CLAIM_RETRY_S / 2
    now += WORKED_S + 1.0
    parts.try_again(now + LONGEST_CLAIM_RETRY_S)
    parts.handle_failure("cues.ready", LatchError("again"), now + 2 * LONGEST_CLAIM_RETRY_S)
    parts.try_again(now + 2 * LONGEST_CLAIM_RETRY_S + FIRST_CLAIM_RETRY_S)
    assert not parts.missing

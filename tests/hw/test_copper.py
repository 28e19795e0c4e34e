"""The bench of a real Pi as far as it runs without one: on gpiozero's mock pins, with a person at a pseudo-terminal."""

import asyncio
import contextlib
import os
import pty
import threading
import time

import pytest
from gpiozero.pins.mock import MockFactory

from gated.config import parse
from gated.door.pin_source import claim_input, claim_row
from hw_tests.bench import CopperBench, Terminal, close_loop, tables_of, throttled_of
from hw_tests.wiring import Wiring

LOCK, PROBE, BUTTON, D0, D1 = 17, 27, 24, 14, 15


@pytest.fixture(params=[False, True], ids=["active high", "active low"])
def active_low(request):
    return request.param


@pytest.fixture
def factory():
    return MockFactory()


@pytest.fixture
def copper(tmp_path, factory, active_low):
    wiring = Wiring(
        lock_pin=LOCK, probe_pin=PROBE, button_pin=BUTTON, wiegand=(D0, D1), active_low=active_low, folder=tmp_path
    )
    notes = {}
    bench = CopperBench(wiring, factory, Terminal(), notes.__setitem__)
    bench.notes = notes
    yield bench
    with contextlib.suppress(KeyError):
        bench.close()


def energise(factory, active_low, is_on):
    pin = factory.pin(PROBE)
    (pin.drive_high if is_on != active_low else pin.drive_low)()


def test_the_probe_reads_on_and_off_in_both_polarities(copper, factory, active_low):
    for is_on in (True, False, True):
        energise(factory, active_low, is_on)
        assert copper.is_on() == is_on


def test_every_edge_is_recorded_with_its_time(copper, factory, active_low):
    energise(factory, active_low, False)
    since = time.monotonic()
    for is_on in (True, False, True):
        energise(factory, active_low, is_on)
    assert [edge.is_on for edge in copper.edges(since)] == [True, False, True]
    assert since <= copper.edges(since)[0].at <= time.monotonic()
    assert copper.edges(time.monotonic()) == []


def test_the_probe_has_no_pull_that_could_hide_a_missing_resistor(copper, factory):
    assert factory.pin(PROBE).function == "input"
    assert factory.pin(PROBE).pull == "floating"


async def test_the_button_drives_low_or_floats_and_never_high(copper, factory):
    pin = factory.pin(BUTTON)
    await copper.press(True)
    assert (pin.function, pin.state) == ("output", False)
    await copper.press(False)
    assert pin.function == "input"


def test_a_closed_loop_reads_as_pressed():
    factory = MockFactory()
    line, hand = claim_input(factory, 23), claim_row(factory, 24)
    close_loop(hand, True)
    factory.pin(23).drive_low()  # a wire between the two
    assert line.is_active
    assert not hand.pin.state


async def test_pulses_have_their_line_and_width(copper, factory):
    for number in (D0, D1):
        factory.pin(number).drive_high()
    async with copper.pulses() as pulses:
        for number in (D0, D1, D1):
            factory.pin(number).drive_low()
            await asyncio.sleep(0.001)
            factory.pin(number).drive_high()
    assert [pulse.line for pulse in pulses] == [0, 1, 1]
    assert all(pulse.width_s >= 0.001 for pulse in pulses)


def test_close_leaves_the_relay_off_and_its_pins_free(copper, factory, active_low):
    seen = []
    pin = factory.pin(LOCK)
    drive = pin.output_with_state
    pin.output_with_state = lambda state: (seen.append(state), drive(state))
    copper.close()
    assert seen == [active_low]
    assert not factory.pins


def test_the_settings_of_the_bench_are_valid(tmp_path):
    full = Wiring(
        lock_pin=LOCK, active_low=True, rex_pin=23, contact_pin=22, lamps={"ready": 5, "fault": 6}, wiegand=(D0, D1),
        keypad=((7, 8, 9, 10), (11, 12, 13)), models="/var/lib/gated/models",
    )  # fmt: skip
    settings = parse(tables_of(full), tmp_path)
    assert settings.door.pins == "gpio"
    assert not settings.door.lock_active_high
    assert (settings.door.lock_pin, settings.door.rex_pin, settings.door.wiegand_pins) == (LOCK, 23, (D0, D1))
    assert settings.readers.keypad_columns == (11, 12, 13)
    assert settings.cues.ready_pin == 5


def test_the_bits_of_vcgencmd_are_parsed():
    assert throttled_of("throttled=0x50005\n") == 0x50005
    with pytest.raises(ValueError, match="unexpected output of vcgencmd"):
        throttled_of("command not registered")


class Screen:
    """The other end of a terminal: answers line by line, and keeps the text shown."""

    def __init__(self, *answers):
        self._ours, theirs = pty.openpty()
        self.person = Terminal(os.ttyname(theirs))
        os.write(self._ours, "".join(f"{answer}\n" for answer in answers).encode())
        self.shown = b""
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self):
        with contextlib.suppress(OSError):
            while chunk := os.read(self._ours, 1024):
                self.shown += chunk


async def test_a_person_is_asked_until_the_answer_is_valid():
    screen = Screen("", "perhaps", "y", "n", "many", "42")
    await screen.person.please("cover the lens")
    assert await screen.person.sees("it is dark")
    assert not await screen.person.sees("it is light")
    assert await screen.person.number("how many") == 42
    screen.person.show("row 7")
    for words in (b"Please cover the lens", b"y or n?", b"a number, such as 42", b"row 7"):
        end = time.monotonic() + 10
        while words not in screen.shown and time.monotonic() < end:
            await asyncio.sleep(0.01)
        assert words in screen.shown

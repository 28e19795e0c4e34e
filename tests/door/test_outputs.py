"""Lamps, buzzer and pad: what they play, and that nothing makes a lamp flash faster than twice a second."""

import asyncio
import itertools
import math
import time

import pytest
from gpiozero.pins.mock import MockFactory
from hypothesis import given
from hypothesis import strategies as st

from gated.config import CueSettings
from gated.door.outputs import LAMPS, LEAST_LAMP_S, LEAST_S, MOST_S, Outputs, moments
from gated.door.pins import OUTPUTS, claim_output
from gated.errors import LatchError

CUES = CueSettings(ready_pin=16, open_pin=20, refused_pin=21, fault_pin=26, red_pin=7, buzzer_pin=18, vibration_pin=19)
PINS = {"ready": 16, "open": 20, "refused": 21, "fault": 26, "red": 7, "buzzer": 18, "vibration": 19}


def test_one_number_is_on_for_good_and_none_is_off():
    assert list(moments((1.0,), 0, 0.25)) == [(True, None)]
    assert list(moments((), 3, 0.25)) == [(False, None)]


def test_a_pattern_is_said_so_often_and_then_it_is_off():
    assert list(moments((0.5, 1.0), 2, 0.25)) == [(True, 0.5), (False, 1.0)] * 2 + [(False, None)]


def test_without_a_number_it_goes_on_for_ever():
    assert len(list(itertools.islice(moments((0.5, 1.0), 0, 0.25), 999))) == 999


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(numbers, max_size=8), st.integers(-3, 5), st.sampled_from([LEAST_S, LEAST_LAMP_S]))
def test_no_pattern_is_shorter_than_the_least_nor_endless(pattern, repeats, least_s):
    for _, seconds in itertools.islice(moments(pattern, repeats, least_s), 50):
        assert seconds is None or least_s <= seconds <= MOST_S


class Watched:
    """A device that remembers when it was turned on and off."""

    def __init__(self):
        self.turns, self._value = [], False

    @property
    def value(self):
        return self._value

    @value.setter
    def value(self, on):
        self._value = on
        self.turns.append((asyncio.get_running_loop().time(), on))

    def close(self):
        pass


@pytest.fixture
async def panel():
    factory = MockFactory()
    outputs = Outputs(CUES, factory)
    pins = {line: factory.pin(number) for line, number in PINS.items()}
    outputs.on = lambda: {line for line, pin in pins.items() if pin.function == "output" and pin.state}
    yield outputs
    outputs.close()
    assert outputs.on() == set()
    factory.close()


async def until(true, timeout_s=10.0):
    async with asyncio.timeout(timeout_s):
        while not true():
            await asyncio.sleep(0.005)


async def test_without_a_brain_the_fault_lamp_is_on_and_nothing_else(panel):
    assert panel.on() == {"fault"}


async def test_with_one_it_goes_off(panel):
    panel.show(is_fault=False)
    await until(lambda: panel.on() == set())


async def test_when_the_brain_goes_all_it_played_ends(panel):
    panel.show(is_fault=False)
    for line in PINS:
        panel.play(line, (5.0, 0.3))
    await until(lambda: panel.on() == set(PINS))
    panel.show(is_fault=True)
    await until(lambda: panel.on() == {"fault"})
    await asyncio.sleep(0.4)
    assert panel.on() == {"fault"}


async def test_lines_play_side_by_side(panel):
    panel.play("ready", (1.0,))
    panel.play("buzzer", (0.03, 0.03), 2)
    await until(lambda: "buzzer" in panel.on())
    await until(lambda: "buzzer" not in panel.on())
    assert {"ready", "fault"} <= panel.on()


@pytest.mark.parametrize("line", ["green", "siren", "", "lock", "main.contact", "\0"])
async def test_what_is_not_fitted_is_ignored(panel, line):
    panel.play(line, (1.0,))
    assert panel.on() == {"fault"}


async def test_a_pattern_replaces_the_one_before(panel):
    panel.play("buzzer", (0.02, 0.02))
    await until(lambda: "buzzer" in panel.on())
    panel.play("buzzer")
    await asyncio.sleep(0.1)
    assert "buzzer" not in panel.on()


class TestFire:
    async def test_it_flashes_and_sounds_whatever_else_is_played(self, panel):
        panel.fire(True)
        panel.play("open")
        panel.play("buzzer", (9.0,))
        panel.show(is_fault=True)
        for line in ("open", "red", "buzzer"):
            await until(lambda line=line: line not in panel.on())
            await until(lambda line=line: line in panel.on())
        assert ("open" in panel.on()) == ("red" in panel.on())

    async def test_the_other_lines_stay_the_brains(self, panel):
        panel.fire(True)
        panel.play("vibration", (1.0,))
        assert "vibration" in panel.on()

    async def test_told_twice_it_does_not_begin_anew(self, panel):
        panel.fire(True)
        await until(lambda: "open" not in panel.on())
        panel.fire(True)
        assert "open" not in panel.on()

    async def test_after_it_the_brain_may_play_again(self, panel):
        panel.fire(True)
        panel.fire(False)
        await until(lambda: panel.on() == {"fault"})
        panel.play("open", (1.0,))
        await until(lambda: "open" in panel.on())


async def turns_of(line, plays, for_s):
    """When a line was turned on and off, while a restless brain plays this and that on it every 10 ms."""
    outputs, device = Outputs(CueSettings(**{f"{line}_pin": 5}), MockFactory()), Watched()
    outputs._outputs[line]._device = device
    patterns = itertools.cycle(plays)
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        outputs.play(line, *next(patterns))
        await asyncio.sleep(0.01)
    outputs.close()
    return device.turns


RESTLESS = [((1.0,),), ((),), ((0.0, 0.0),), ((math.nan, -1.0), 3), ((0.01, 0.01, 0.01),)]


@pytest.mark.parametrize("line", LAMPS)
async def test_no_brain_makes_a_lamp_flash_faster_than_twice_a_second(line):
    turns = await turns_of(line, RESTLESS, for_s=0.8)
    assert turns
    for (before, _), (after, _) in itertools.pairwise(turns):
        assert after - before >= LEAST_LAMP_S - 0.002  # the loop's clock ticks in milliseconds at worst


async def test_the_buzzer_may_be_faster():
    turns = await turns_of("buzzer", [((1.0,),), ((),)], for_s=0.5)
    assert len(turns) > 5


async def test_a_pin_that_is_in_use_is_a_clear_error():
    factory = MockFactory()
    claimed = claim_output(factory, 16)
    with pytest.raises(LatchError, match="pin 16"):
        Outputs(CUES, factory)
    claimed.close()


def test_every_pin_of_the_cues_is_an_output():
    assert {f"{line}_pin" for line in OUTPUTS} == {f for f in CueSettings.__struct_fields__ if f.endswith("_pin")}

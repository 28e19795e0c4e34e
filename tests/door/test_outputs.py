"""The patterns of lamps, buzzer and pad, and the limit of two flashes per second for a lamp."""

import asyncio
import itertools
import math
import time

import pytest
from gpiozero.pins.mock import MockFactory
from hypothesis import given
from hypothesis import strategies as st

from gated.config import CueSettings
from gated.door.output_table import LEAST_LAMP_S, LEAST_S, OUTPUTS
from gated.door.outputs import LONGEST_SEGMENT_S, Outputs, segments
from gated.door.pin_source import claim_output, output_pins
from gated.errors import LatchError

CUES = CueSettings(ready_pin=16, open_pin=20, refused_pin=21, fault_pin=26, red_pin=7, buzzer_pin=18, vibration_pin=19)
PINS = {"ready": 16, "open": 20, "refused": 21, "fault": 26, "red": 7, "buzzer": 18, "vibration": 19}


def test_one_number_means_on_and_no_number_means_off():
    assert list(segments((1.0,), 0, 0.25)) == [(True, None)]
    assert list(segments((), 3, 0.25)) == [(False, None)]


def test_a_pattern_is_repeated_and_then_off():
    assert list(segments((0.5, 1.0), 2, 0.25)) == [(True, 0.5), (False, 1.0)] * 2 + [(False, None)]


def test_zero_repeats_play_for_ever():
    assert len(list(itertools.islice(segments((0.5, 1.0), 0, 0.25), 999))) == 999


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(numbers, max_size=8), st.integers(-3, 5), st.sampled_from([LEAST_S, LEAST_LAMP_S]))
def test_every_segment_lasts_between_the_least_and_the_most(pattern, repeats, least_s):
    for _, seconds in itertools.islice(segments(pattern, repeats, least_s), 50):
        assert seconds is None or least_s <= seconds <= LONGEST_SEGMENT_S


class Device:
    """A device that records when it was switched on and off."""

    def __init__(self):
        self.switches, self._value = [], False

    @property
    def value(self):
        return self._value

    @value.setter
    def value(self, on):
        self._value = on
        self.switches.append((asyncio.get_running_loop().time(), on))

    def close(self):
        pass


def fitted(cues, factory):
    """Claim every output that the settings name."""
    outputs = Outputs()
    for line, pin in output_pins(cues).items():
        outputs.fit(line, pin, factory)
    return outputs


@pytest.fixture
async def panel():
    factory = MockFactory()
    outputs = fitted(CUES, factory)
    pins = {line: factory.pin(number) for line, number in PINS.items()}
    outputs.on = lambda: {line for line, pin in pins.items() if pin.function == "output" and pin.state}
    yield outputs
    outputs.close()
    assert outputs.on() == set()
    factory.close()


async def until(condition, timeout_s=10.0):
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


async def test_without_a_brain_the_fault_lamp_is_on_and_nothing_else(panel):
    assert panel.on() == {"fault"}


async def test_with_a_brain_the_fault_lamp_goes_off(panel):
    panel.show(is_fault=False)
    await until(lambda: panel.on() == set())


async def test_when_the_brain_disconnects_its_patterns_end(panel):
    panel.show(is_fault=False)
    for line in PINS:
        panel.play(line, (5.0, 0.3))
    await until(lambda: panel.on() == set(PINS))
    panel.show(is_fault=True)
    await until(lambda: panel.on() == {"fault"})
    await asyncio.sleep(0.4)
    assert panel.on() == {"fault"}


async def test_outputs_play_independently(panel):
    panel.play("ready", (1.0,))
    panel.play("buzzer", (0.03, 0.03), 2)
    await until(lambda: "buzzer" in panel.on())
    await until(lambda: "buzzer" not in panel.on())
    assert {"ready", "fault"} <= panel.on()


@pytest.mark.parametrize("line", ["green", "siren", "", "lock", "main.contact", "\0"])
async def test_an_output_that_is_not_fitted_is_ignored(panel, line):
    panel.play(line, (1.0,))
    assert panel.on() == {"fault"}


async def test_a_pattern_replaces_the_previous_one(panel):
    panel.play("buzzer", (0.02, 0.02))
    await until(lambda: "buzzer" in panel.on())
    panel.play("buzzer")
    await asyncio.sleep(0.1)
    assert "buzzer" not in panel.on()


class TestFire:
    async def test_a_fire_flashes_and_sounds_over_every_other_request(self, panel):
        panel.fire(True)
        panel.play("open")
        panel.play("buzzer", (9.0,))
        panel.show(is_fault=True)
        for line in ("open", "red", "buzzer"):
            await until(lambda line=line: line not in panel.on())
            await until(lambda line=line: line in panel.on())
        assert ("open" in panel.on()) == ("red" in panel.on())

    async def test_the_brain_keeps_the_other_outputs(self, panel):
        panel.fire(True)
        panel.play("vibration", (1.0,))
        assert "vibration" in panel.on()

    async def test_a_second_fire_call_does_not_restart_the_pattern(self, panel):
        panel.fire(True)
        await until(lambda: "open" not in panel.on())
        panel.fire(True)
        assert "open" not in panel.on()

    async def test_after_a_fire_the_brain_may_play_again(self, panel):
        panel.fire(True)
        panel.fire(False)
        await until(lambda: panel.on() == {"fault"})
        panel.play("open", (1.0,))
        await until(lambda: "open" in panel.on())


async def switch_times(line, plays, for_s):
    """Return when an output was switched, while a brain plays another pattern on it every 10 ms."""
    outputs, device = fitted(CueSettings(**{f"{line}_pin": 5}), MockFactory()), Device()
    outputs._outputs[line]._device = device
    patterns = itertools.cycle(plays)
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        outputs.play(line, *next(patterns))
        await asyncio.sleep(0.01)
    outputs.close()
    return device.switches


HASTY = [((1.0,),), ((),), ((0.0, 0.0),), ((math.nan, -1.0), 3), ((0.01, 0.01, 0.01),)]


@pytest.mark.parametrize("line", [line for line, row in OUTPUTS.items() if row.is_lamp])
async def test_no_request_makes_a_lamp_flash_faster_than_twice_a_second(line):
    switches = await switch_times(line, HASTY, for_s=0.8)
    assert switches
    for (before, _), (after, _) in itertools.pairwise(switches):
        assert after - before >= LEAST_LAMP_S - 0.002  # the loop's clock ticks in milliseconds at worst


async def test_the_buzzer_may_switch_faster():
    switches = await switch_times("buzzer", [((1.0,),), ((),)], for_s=0.5)
    assert len(switches) > 5


async def test_a_pin_that_is_in_use_is_a_clear_error():
    factory = MockFactory()
    claimed = claim_output(factory, 16)
    outputs = Outputs()
    with pytest.raises(LatchError, match="pin 16"):
        outputs.fit("ready", 16, factory)
    claimed.close()


async def test_a_lamp_claimed_late_plays_its_last_request():
    factory, outputs = MockFactory(), Outputs()
    outputs.play("open", (0.5, 0.5))
    outputs.play("buzzer", (0.5, 0.5), 3)
    for line in ("fault", "open", "buzzer", "ready"):
        outputs.fit(line, PINS[line], factory)
    on = {line for line in PINS if factory.pin(PINS[line]).state}
    assert on == {"fault", "open"}, "a pattern with an end is over; the fault lamp is on until a brain connects"
    outputs.close()


async def test_a_lamp_claimed_late_in_a_fire_plays_the_fire():
    factory, outputs = MockFactory(), Outputs()
    outputs.play("open", ())
    outputs.fire(True)
    outputs.fit("open", PINS["open"], factory)
    assert factory.pin(PINS["open"]).state
    outputs.close()


def test_every_pin_of_the_cues_is_an_output():
    assert {f"{line}_pin" for line in OUTPUTS} == {f for f in CueSettings.__struct_fields__ if f.endswith("_pin")}

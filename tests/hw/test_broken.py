"""Each promise of `hw_tests` fails when its cause fails. A test that cannot fail proves nothing."""

import asyncio
import contextlib
import json
import time
from dataclasses import replace

import pytest
from contracts.bench import Edge, Pulse, Vitals
from contracts.endurance import EnduranceContract, flags_of
from contracts.hands import HandsContract, wiegand_faults
from contracts.relay import LeavingContract, RelayContract
from contracts.sight import SightContract, settling_s
from hypothesis import given
from hypothesis import strategies as st

from gated.door.wired_readers import LEAST_BITS


@pytest.fixture
def hasty(bench):
    """A bench without waiting times and with single tries."""
    bench.pace = replace(bench.pace, slack_s=0.3, presses=1, light_s=1.0, soak_s=0.4, look_s=0.2)
    return bench


def impatient(bench):
    """The same bench for events that never come: it waits only a fraction of two seconds."""
    bench.pace = replace(bench.pace, slack_s=-1.6)
    return bench


@pytest.fixture
def lax(desk, tmp_path):
    """A board without strict_gpiod: a line keeps its level after its process has died."""
    (tmp_path / "lax").mkdir()
    bench = desk.DeskBench(tmp_path / "lax", is_strict=False)
    bench.pace = replace(bench.pace, slack_s=0.3)
    yield bench
    bench.close()


@contextlib.contextmanager
def broken(because):
    with pytest.raises(AssertionError, match=because):
        yield


def drive(bench, is_on):
    """Another process drives the line of the relay."""
    with bench.trace.open("a") as trace:
        trace.write(json.dumps({"t": time.monotonic(), "line": "lock", "on": is_on}) + "\n")


class Idle:
    """A gate that only runs."""

    pid, is_running = 1 << 30, True

    def __init__(self, on_start=lambda: None):
        self._on_start = on_start

    def start(self, timeout_s):
        self._on_start()
        return 0.5

    def stop(self):
        pass

    def lost(self):
        return frozenset()

    close = stop


def test_a_line_that_floats_to_on_fails(lax):
    drive(lax, True)
    with broken("pull resistor"):
        RelayContract().test_the_line_is_off_without_a_driver(lax)


def test_a_relay_driven_for_an_instant_at_start_fails(bench):
    start = bench.latch.start

    def blip(timeout_s):
        start(timeout_s)
        drive(bench, True)
        drive(bench, False)

    bench.latch.start = blip
    with broken("driven 2 times in 2 starts"):
        RelayContract().test_starting_never_drives_the_relay_for_an_instant(bench)


async def test_a_line_that_keeps_its_level_after_a_kill_fails(lax):
    with broken("strict_gpiod"):
        await RelayContract().test_killing_the_latch_secures_the_lock_and_the_next_start_releases_nothing(lax)


async def test_a_relay_on_for_longer_than_its_lease_fails(hasty):
    edges = hasty.edges
    hasty.edges = lambda since: [Edge(edge.at + (0 if edge.is_on else 2), edge.is_on) for edge in edges(since)]
    with broken("<="):
        await RelayContract().test_the_line_follows_a_lease_and_no_longer(hasty)


async def test_a_slow_button_fails(hasty):
    press = hasty.press

    async def late(is_pressed):
        await asyncio.sleep(0.6 if is_pressed else 0)
        await press(is_pressed)

    hasty.press = late
    with broken("<="):
        await LeavingContract().test_the_button_releases_at_once_while_every_core_is_busy(hasty)


async def test_an_unwired_button_fails(hasty):
    async def nothing(is_pressed):
        pass

    hasty.press = nothing
    with broken("releases nothing"):
        await LeavingContract().test_the_button_releases_at_once_while_every_core_is_busy(impatient(hasty))


@pytest.fixture
def street(hasty):
    hasty.street.open()
    return hasty.street


def test_old_frames_fail(hasty, street):
    street.late_s = 30.0
    with broken("too old when they arrive"):
        SightContract().test_frames_have_the_configured_rate_and_are_recent(hasty, street)


async def test_an_uncovered_lens_fails(hasty, street):
    street.cover = lambda: None
    with broken("was not covered"):
        await SightContract().test_exposure_is_stable_soon_after_the_light_changes(hasty, street)


async def test_a_street_that_stays_dark_fails(hasty, street):
    street.uncover = lambda: None
    with broken("min_luminance"):
        await SightContract().test_exposure_is_stable_soon_after_the_light_changes(hasty, street)


async def test_a_lens_focused_too_far_fails(hasty, street):
    street.focus_m = 30.0
    with broken("turn the lens"):
        await SightContract().test_a_face_at_arms_length_is_in_focus(hasty, street)


@given(st.floats(0.1, 5.0), st.floats(20, 60), st.floats(60, 200))
def test_the_exposure_is_stable_after_the_last_wrong_frame(settles_s, dark, last):
    hidden = [(i / 10, dark) for i in range(5)]
    glare = [(0.5 + i / 10, 255.0) for i in range(round(settles_s * 10))]
    calm = [(0.5 + len(glare) / 10 + i / 10, last) for i in range(10)]
    assert settling_s(dark, hidden + glare + calm) == pytest.approx(max(0.0, (len(glare) - 1) / 10))


def test_unchanged_light_gives_a_stable_exposure():
    assert settling_s(50.0, [(0.0, 50.0), (0.1, 50.0)]) == 0.0


async def test_a_dead_key_fails(hasty):
    async def nothing(deed):
        pass

    hasty.person.please = nothing
    with broken("key 1 is not reported"):
        await HandsContract().test_every_key_is_reported_once(impatient(hasty))


async def test_a_bouncing_key_fails(hasty):
    please = hasty.person.please

    async def twice(deed):
        await please(deed)
        await please(deed)

    hasty.person.please = twice
    with broken("one twice"):
        await HandsContract().test_every_key_is_reported_once(hasty)


async def test_a_reader_with_long_pulses_fails(hasty):
    hasty.bit_s = 500e-6
    with broken("26 of 26 pulses are not 20 to 100 us long"):
        await HandsContract().test_a_card_readers_pulses_follow_the_standard(hasty)


async def test_an_unwired_reader_fails(hasty):
    async def nothing():
        pass

    hasty.show_card = nothing
    with broken("level shifter"):
        await HandsContract().test_a_card_readers_pulses_follow_the_standard(impatient(hasty))


@pytest.mark.parametrize(("bits", "because"), [("1" * 26, "wrong parity"), ("1" + "0" * 31, "different numbers")])
async def test_a_misread_card_fails(hasty, bits, because):
    """Lost bits give a wrong parity. A card with another number at every reading is of no use."""
    drive = hasty.drive
    held = iter((f"{0xA5A5A5A5:032b}", f"{0xA5A5A5A5:032b}", bits))
    hasty.show_card = lambda: drive(f"wiegand:{next(held)}")
    with broken(because):
        await HandsContract().test_the_same_card_reads_the_same_each_time(hasty)


async def test_no_note_contains_a_card_number(bench, desk):
    await HandsContract().test_the_same_card_reads_the_same_each_time(bench)
    assert bench.notes["card"] == "26 bits, read 3 times"
    assert "3456" not in str(bench.notes)
    assert desk.BITS not in str(bench.notes)


@given(
    st.lists(st.tuples(st.floats(25e-6, 95e-6), st.floats(0.3e-3, 19e-3)), min_size=LEAST_BITS, max_size=64),
    st.integers(0, 63),
)
def test_only_pulses_outside_the_standard_are_faults(bits, place):
    at, pulses = 0.0, []
    for width_s, gap_s in bits:
        pulses.append(Pulse(0, at, width_s))
        at += gap_s
    assert wiegand_faults(pulses) == []
    place %= len(pulses)
    pulses[place] = replace(pulses[place], width_s=1e-3)
    assert wiegand_faults(pulses) == [f"1 of {len(pulses)} pulses are not 20 to 100 us long"]


def test_a_pause_splits_a_card_into_two():
    pulses = [Pulse(1, at, 50e-6) for at in (0.0, 0.002, 0.04)]
    assert wiegand_faults(pulses) == ["bits are not 0.2 to 20 ms apart", "the latch would take one card for two"]


async def test_a_wrong_lamp_fails(hasty):
    async def no(claim):
        return False

    hasty.person.sees = no
    with broken("ready: another lamp is on, or none"):
        await HandsContract().test_each_lamp_has_its_name(hasty)


async def test_a_missing_loudspeaker_fails(hasty):
    hasty.sound = "no-such-device"
    with broken("aplay cannot play"):
        await HandsContract().test_a_person_hears_the_tone(hasty)


async def test_an_unplugged_reader_fails(hasty):
    hasty.reader = str(hasty.folder / "nowhere")
    with broken("group input"):
        await HandsContract().test_the_usb_reader_types_the_same_card_each_time(impatient(hasty))


def test_a_slow_start_fails(hasty):
    hasty.gate = Idle()
    hasty.gate.start = lambda timeout_s: 3.0
    with broken("<="):
        EnduranceContract().test_a_cold_gate_is_ready_soon(hasty)


def test_a_ready_gate_without_vision_fails(bench):
    bench.gate.tables["camera"]["path"] = str(bench.folder / "no frames")
    with broken("ready without vision"):
        EnduranceContract().test_a_cold_gate_is_ready_soon(bench)


@pytest.mark.parametrize(
    ("vitals", "because"),
    [(Vitals(50.0, 0x50000), "low voltage, throttled"), (Vitals(85.0, 0), "85")],
    ids=["power supply", "sun"],
)
async def test_a_throttled_or_hot_board_fails(hasty, vitals, because):
    hasty.gate, hasty.board = Idle(), vitals
    with broken(because):
        await EnduranceContract().test_an_idle_gate_stays_cool_small_and_secured(hasty)


async def test_a_release_without_cause_fails(hasty):
    hasty.gate = Idle(lambda: asyncio.get_running_loop().call_later(0.1, drive, hasty, True))
    with broken("released without a cause"):
        await EnduranceContract().test_an_idle_gate_stays_cool_small_and_secured(hasty)


async def test_a_gate_that_ends_fails(hasty):
    hasty.gate = Idle()
    hasty.gate.is_running = False
    with broken("the gate has ended"):
        await EnduranceContract().test_an_idle_gate_stays_cool_small_and_secured(hasty)


def test_throttling_flags_are_named_once():
    assert flags_of(0) == []
    assert flags_of(0x10001) == ["low voltage"]
    assert flags_of(0xF000F) == ["low voltage", "clock capped", "throttled", "too hot"]

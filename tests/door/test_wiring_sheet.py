"""The wiring sheet: every wire of the settings is on it once, with true texts."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.config import CueSettings, DoorSettings, Settings, Wires
from gated.config.reading import parse
from gated.door.door_state import INPUTS
from gated.door.latch_messages import LatchState
from gated.door.output_table import OUTPUTS
from gated.door.wiring_sheet import INPUT_STATES, STATE_UNKNOWN, UNWATCHED, sheet

EVERY_INPUT = {f"{line}_pin": pin for pin, line in enumerate(INPUTS)}


def settings(door=None, *, second=None, **tables) -> Settings:
    door = {"pins": "mock", "lock_pin": 17} | (door or {})
    more = {} if second is None else {"second_door": second}
    return parse({"site": {"id": "s"}, "gate": {"id": "g"}, "door": door} | more | tables, Path("/"))


def by_name(lines):
    return {line.name: line for line in lines}


def test_a_bare_gate_has_one_line():
    (line,) = sheet(settings(), None)
    assert (line.name, line.pin, line.direction, line.state) == ("main.lock", 17, "out", STATE_UNKNOWN)
    assert line.wiring == "strike, fail-secure; relay active high"
    assert line.effect == "energises the strike for 8 s; in a power cut it is shut to the street"


def test_every_pin_of_the_settings_is_on_the_sheet_once():
    everything = settings(
        EVERY_INPUT | {"wiegand_pins": [12, 13]},
        second={"lock_pin": 11, "rex_pin": 10},
        readers={"keypad_rows": [18, 19, 20, 21], "keypad_columns": [22, 23, 24]},
        cues={"ready_pin": 25, "buzzer_pin": 26},
    )
    lines = sheet(everything, None)
    assert sorted(line.pin for line in lines) == sorted([17, *range(7), 12, 13, 11, 10, *range(18, 27)])
    assert len({line.name for line in lines}) == len(lines)
    assert {line.direction for line in lines if line.name.startswith(("cues.", "keypad.row"))} == {"out"}
    assert {line.direction for line in lines if "rex" in line.name or "column" in line.name} == {"in"}


@given(st.sets(st.integers(0, 27), min_size=1, max_size=28).map(sorted), st.randoms(use_true_random=False))
def test_every_wired_pin_is_on_the_sheet(pins, random):
    """For any set of pins with any functions."""
    functions = [*INPUTS, *(f"cue_{line}" for line in OUTPUTS)]
    random.shuffle(functions)
    lock, *rest = pins
    given_ = dict(zip(functions, rest, strict=False))
    door = {f"{line}_pin": pin for line, pin in given_.items() if not line.startswith("cue_")}
    cues = {f"{line[4:]}_pin": pin for line, pin in given_.items() if line.startswith("cue_")}
    lines = sheet(settings(door | {"lock_pin": lock}, cues=cues), None)
    assert sorted(line.pin for line in lines) == sorted([lock, *given_.values()])


def test_without_a_latch_no_state_is_known():
    lines = sheet(settings(EVERY_INPUT, cues={"ready_pin": 9}), None)
    assert {line.state for line in lines} == {STATE_UNKNOWN}


def test_every_input_shows_the_state_that_the_latch_reports():
    door = settings(EVERY_INPUT)
    for is_active in (False, True):
        seen = LatchState("secured", {"main": "secured"}, {f"main.{line}": is_active for line in INPUTS})
        lines = by_name(sheet(door, seen))
        for line in INPUTS:
            assert lines[f"main.{line}"].state == INPUT_STATES[line][is_active]
        assert lines["main.lock"].state == "secured"


def test_inactive_and_active_have_different_texts():
    assert set(INPUT_STATES) == set(INPUTS)
    assert all(rest != active for rest, active in INPUT_STATES.values())


@pytest.mark.parametrize(
    ("state", "shown"), [("secured", "secured"), ("released", "released"), ("open", "the leaf is open")]
)
def test_each_door_has_its_own_state(state, shown):
    seen = LatchState("secured", {"main": "secured", "second": state})
    lines = by_name(sheet(settings(second={"lock_pin": 11}), seen))
    assert (lines["main.lock"].state, lines["second.lock"].state) == ("secured", shown)


def test_a_fire_release_is_shown_at_every_lock():
    seen = LatchState("released", {"main": "released", "second": "released"}, is_on_fire=True)
    lines = by_name(sheet(settings(second={"lock_pin": 11}), seen))
    assert all("fire release is active" in lines[name].state for name in ("main.lock", "second.lock"))


def test_a_line_that_the_latch_does_not_report_is_unknown():
    """The settings are newer than the running latch."""
    lines = by_name(
        sheet(settings({"rex_pin": 5}, second={"lock_pin": 11}), LatchState("secured", {"main": "secured"}))
    )
    assert lines["main.rex"].state == lines["second.lock"].state == STATE_UNKNOWN


def test_outputs_and_readers_are_shown_as_not_watched():
    seen = LatchState("secured", {"main": "secured"})
    lines = sheet(settings({"wiegand_pins": [2, 3]}, cues={"ready_pin": 9}), seen)
    assert {line.state for line in lines if line.name != "main.lock"} == {UNWATCHED}


@pytest.mark.parametrize(
    ("lock", "fail", "text"),
    [
        ("strike", "secure", "energises the strike for 5 s; in a power cut it is shut to the street"),
        ("reverse_strike", "safe", "takes the power from the reverse strike for 5 s; in a power cut it stands open"),
        ("maglock", "safe", "takes the power from the maglock for 5 s; in a power cut it stands open"),
    ],
)
def test_the_effect_of_a_lock_depends_on_its_kind(lock, fail, text):
    (line,) = sheet(settings({"lock": lock, "fail": fail, "release_s": 5.0}), None)
    assert line.effect == text


@pytest.mark.parametrize(("active_high", "text"), [(True, "relay active high"), (False, "relay active low")])
def test_the_relay_polarity_is_shown(active_high, text):
    (line,) = sheet(settings({"lock_active_high": active_high}), None)
    assert line.wiring.endswith(text)


def test_an_unlock_schedule_is_shown_at_the_lock():
    tables = {"schedules": {"daytime": {}}}
    (line,) = sheet(settings({"free_passage": "daytime"}, **tables), None)
    assert "as long as schedule daytime lasts" in line.effect


@pytest.mark.parametrize("line", ["rex", "fire", "tamper", "call"])
def test_normally_open_and_normally_closed_are_shown(line):
    for is_closed, word in ((True, "normally closed"), (False, "normally open")):
        lines = by_name(sheet(settings({f"{line}_pin": 4, f"{line}_normally_closed": is_closed}), None))
        assert word in lines[f"main.{line}"].wiring


def test_the_wiring_of_a_contact_names_ground_or_high():
    for is_high, word in ((True, "to high"), (False, "to ground")):
        lines = by_name(sheet(settings({"contact_pin": 4, "contact_closed_is_high": is_high}), None))
        assert word in lines["main.contact"].wiring


def test_the_times_of_the_settings_are_shown():
    door = {"contact_pin": 4, "rex_pin": 5, "release_s": 12.5, "held_open_s": 20.0, "held_open_alarm_s": 90.0}
    lines = by_name(sheet(settings(door), None))
    assert "after 20 s, is an alarm after 90 s" in lines["main.contact"].effect
    assert "12.5 s" in lines["main.rex"].effect


@pytest.mark.parametrize("second", [None, {"lock_pin": 11}])
def test_the_sheet_shows_a_missing_reset_key(second):
    lines = by_name(sheet(settings({"fire_pin": 4}, second=second), None))
    assert "no key is wired" in lines["main.fire"].effect


def test_one_reset_key_serves_every_door():
    lines = by_name(sheet(settings({"fire_pin": 4}, second={"lock_pin": 11, "fire_reset_pin": 5}), None))
    assert lines["main.fire"].effect == "releases every door until the key is turned"


def test_every_output_has_an_effect_text():
    pins = {name.removesuffix("_pin") for name in CueSettings.__struct_fields__ if name.endswith("_pin")}
    assert set(OUTPUTS) == pins


def test_every_input_has_state_texts():
    pins = {name.removesuffix("_pin") for name in Wires.__struct_fields__ if name.endswith("_pin")}
    assert pins == {*INPUT_STATES, "lock"}
    assert {name for name in DoorSettings.__struct_fields__ if name.endswith("_pins")} == {"wiegand_pins"}


def test_a_sheet_encodes_as_json():
    lines = sheet(settings(EVERY_INPUT), None)
    assert msgspec.json.decode(msgspec.json.encode(lines))[0]["name"] == "main.lock"


def test_the_exit_button_uses_the_local_release_time_and_a_card_the_offices():
    """The latch reads only the local settings. The brain's releases use the settings of the office."""
    door = {"rex_pin": 5, "wiegand_pins": [2, 3]}
    own, in_force = settings(door | {"release_s": 4.0}), settings(door | {"release_s": 12.0})
    lines = by_name(sheet(in_force, None, own))
    assert "for 4 s" in lines["main.rex"].effect
    assert "for 12 s" in lines["main.lock"].effect
    assert "for 12 s" in lines["main.wiegand_d0"].effect


def test_the_second_doors_exit_button_uses_its_own_local_release_time():
    second = {"lock_pin": 11, "rex_pin": 6}
    own = settings(second=second | {"release_s": 3.0})
    lines = by_name(sheet(settings(second=second | {"release_s": 9.0}), None, own))
    assert "for 3 s" in lines["second.rex"].effect

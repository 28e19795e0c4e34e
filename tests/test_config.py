"""Tests the settings: all problems are told at once, unknown keys get a hint, and defaults are safe."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gated.config import DoorSettings, Settings, Wires, load, parse, unsafe_wiring
from gated.errors import ConfigError

GOOD = {"site": {"id": "courtyard-2"}, "gate": {"id": "front"}}


def problems(**tables):
    with pytest.raises(ConfigError) as caught:
        parse({**GOOD, **tables}, Path("/etc/gated"))
    return caught.value.problems


def test_a_site_and_a_gate_are_enough():
    settings = parse(GOOD, Path("/etc/gated"))
    assert settings.door.pins == "gpio"
    assert settings.sync.url == ""
    assert settings.door.release_s == 8.0


def test_a_missing_setting_is_named():
    with pytest.raises(ConfigError) as caught:
        parse({}, Path("/"))
    assert caught.value.problems == ["site.id: is required", "gate.id: is required"]


def test_a_misspelt_key_is_an_error_with_a_hint():
    (problem,) = problems(door={"realease_s": 3})
    assert problem == "door.realease_s: unknown key; did you mean 'release_s'?"


def test_a_misspelt_table_is_an_error_with_a_hint():
    assert "did you mean 'camera'" in problems(camra={"kind": "replay"})[0]


def test_the_error_for_an_unknown_key_lists_the_known_keys():
    assert "known here: threshold" in problems(access={"zzz": 1})[0]


def test_every_problem_is_reported_at_once():
    found = problems(
        door={"release_s": 99, "pinz": "mock"}, camera={"kind": "webcam", "fps": "ten"}, access={"frames": 0}
    )
    assert [p.split(":")[0] for p in found] == [
        "camera.kind",
        "camera.fps",
        "access.frames",
        "door.pinz",
        "door.release_s",
    ] or (
        {p.split(":")[0] for p in found}
        == {"camera.kind", "camera.fps", "access.frames", "door.pinz", "door.release_s"}
    )


def test_the_message_names_the_field_the_value_and_the_problem():
    (problem,) = problems(door={"release_s": 99})
    assert "door.release_s" in problem
    assert "99" in problem
    assert "30" in problem


def test_a_value_in_place_of_a_table_is_reported():
    assert "expected a table [door]" in problems(door=3)[0]


def test_a_replay_needs_a_path():
    assert problems(camera={"kind": "replay"}) == ['camera.path: is required when camera.kind is "replay"']


def test_a_pin_is_used_once():
    assert problems(door={"lock_pin": 5, "rex_pin": 5}) == [
        "door.lock_pin: pin 5 is used twice",
        "door.rex_pin: pin 5 is used twice",
    ]


def test_a_server_needs_tls_and_certificates():
    assert "mqtts" in problems(sync={"url": "mqtt://host"})[0]
    assert len(problems(sync={"url": "mqtts://host"})) == 5


def test_paths_are_taken_from_the_folder_of_the_file(tmp_path):
    file = tmp_path / "gated.toml"
    file.write_text('state_dir = "state"\n[site]\nid = "a"\n[gate]\nid = "b"\n[models]\ndir = "/models"\n')
    settings = load(file)
    assert settings.state == tmp_path / "state"
    assert settings.latch_socket == tmp_path / "state" / "latch.sock"
    assert settings.models.dir == "/models"


def test_a_file_that_is_not_there_says_how_to_make_one(tmp_path):
    with pytest.raises(ConfigError, match="config new"):
        load(tmp_path / "nothing.toml")


@pytest.mark.parametrize("content", [b"[site", b"\xff\xfea\x00", b"a = 1\na = 2"])
def test_a_file_that_is_no_toml_says_where(tmp_path, content):
    file = tmp_path / "gated.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(file)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
tables = st.dictionaries(
    st.sampled_from([f.name for f in msgspec.structs.fields(Settings)]) | st.text(max_size=8),
    st.dictionaries(st.sampled_from(["id", "pins", "release_s", "path", "kind", "url", "threshold"]), json) | json,
)


@example({"state_dir": "~nobody-of-that-name/state"})
@given(tables)
def test_no_settings_however_odd_are_more_than_a_config_error(data):
    try:
        settings = parse(data, Path("/etc/gated"))
    except ConfigError as error:
        assert error.problems
    else:
        assert 0.5 <= settings.door.release_s <= 30


@pytest.mark.parametrize("name", ["", "前门", "a b", "a/b", "+", "#", "-a", "a" * 64])
def test_a_name_that_could_be_a_topic_of_its_own_is_refused(name):
    assert "gate.id" in problems(gate={"id": name})[0]
    assert "such as gate-2" in problems(site={"id": name})[0]


@pytest.mark.parametrize("name", ["gate-2", "Gate-2", " GATE-2\n", "ｇａｔｅ-2", "gate–2", "gate - 2"])
def test_an_id_is_taken_in_its_normal_form_however_it_is_typed(name):
    settings = parse({"site": {"id": name}, "gate": {"id": name}}, Path())
    assert (settings.site.id, settings.gate.id) == ("gate-2", "gate-2")


def test_an_id_that_was_always_taken_stays_as_it_is():
    assert parse({**GOOD, "gate": {"id": "gate--2-"}}, Path()).gate.id == "gate--2-"


@pytest.mark.parametrize("typed", ["7:00", "７：００", " 07:00 "])
def test_a_time_of_day_is_read_however_it_is_typed(typed):
    settings = parse({**GOOD, "cues": {"quiet_to": typed}, "schedules": {"a": {"start": typed}}}, Path())
    assert (settings.cues.quiet_to, settings.schedules["a"].start) == ("07:00", "07:00")


def test_the_end_of_the_day_is_understood_wherever_hours_end():
    cues = {"quiet_from": "22:00", "quiet_to": "24:00"}
    settings = parse({**GOOD, "cues": cues, "schedules": {"a": {"end": "24：00"}}}, Path())
    assert (settings.cues.quiet_to, settings.schedules["a"].end) == ("00:00", "00:00")
    assert "24:00" in problems(cues={"quiet_to": "24:01"})[0]


def test_two_functions_on_a_pin_are_named_both():
    assert problems(door={"rex_pin": 4, "contact_pin": 5}, second_door={"lock_pin": 4}) == [
        "door.rex_pin: pin 4 is used twice",
        "second_door.lock_pin: pin 4 is used twice",
    ]


def test_a_wiegand_reader_a_keypad_and_a_lamp_need_pins_of_their_own():
    found = problems(
        door={"wiegand_pins": [4, 5]},
        readers={"keypad_rows": [5, 6, 7, 8], "keypad_columns": [9, 10, 11]},
        cues={"open_pin": 11},
    )
    assert {problem.split(":")[0] for problem in found} == {
        "door.wiegand_pins", "readers.keypad_rows", "readers.keypad_columns", "cues.open_pin"
    }  # fmt: skip


@pytest.mark.parametrize(("lock", "fail"), [("strike", "safe"), ("maglock", "secure"), ("reverse_strike", "secure")])
def test_a_lock_that_cannot_do_what_was_promised_is_refused(lock, fail):
    (problem,) = problems(door={"lock": lock, "fail": fail})
    assert problem.startswith("door.fail: ")


@pytest.mark.parametrize(("lock", "fail"), [("strike", "secure"), ("maglock", "safe"), ("reverse_strike", "safe")])
def test_a_lock_that_does_what_was_promised_is_fine(lock, fail):
    assert parse({**GOOD, "door": {"lock": lock, "fail": fail}}, Path("/")).door.lock == lock


def test_a_door_that_nobody_can_leave_by_is_unsafe_until_somebody_has_signed_for_it():
    bare, waived = DoorSettings(), DoorSettings(rex_waiver="2026-11-02, fire officer: a handle opens it from inside")
    assert [p.split(":")[0] for p in unsafe_wiring(bare, None)] == ["door.rex_pin"]
    assert unsafe_wiring(waived, None) == []
    assert unsafe_wiring(DoorSettings(rex_pin=3), Wires()) != []


def test_free_passage_needs_its_schedule():
    assert "there is no [schedules.day]" in problems(door={"free_passage": "day"})[0]
    settings = parse({**GOOD, "door": {"free_passage": "day"}, "schedules": {"day": {"start": "06:00"}}}, Path("/"))
    assert settings.schedules["day"].end == "00:00"


def test_people_are_asked_to_shut_the_door_before_it_is_an_alarm():
    assert "longer than held_open_s" in problems(door={"held_open_s": 60, "held_open_alarm_s": 60})[0]


def test_a_time_zone_that_is_none_is_refused():
    assert "is not a time zone" in problems(site={"id": "a", "timezone": "Mars/Olympus"})[0]


def test_a_second_door_is_checked_key_by_key():
    assert problems(second_door={"lock_pin": 99, "lokc": 1})[0].startswith("second_door.lokc: unknown key")

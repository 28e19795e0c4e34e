"""The commented settings keep every explanation and hold the installer's values."""

import tomllib
from importlib.resources import files

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gated.config import parse
from gated.provision.filling import filled

EXAMPLE = files("gated").joinpath("example.toml").read_text("utf-8")


def test_without_values_it_is_the_example():
    assert filled(EXAMPLE, {}) == EXAMPLE


def test_a_value_takes_the_place_of_the_default_and_its_comment_stays():
    text = filled(EXAMPLE, {"door": {"lock_pin": 5}, "gate": {"id": "gate-2"}, "": {"state_dir": "/data"}})
    assert "lock_pin = 5             # BCM numbers" in text
    assert "# lock_pin" not in text.replace("# lock_pin = 11", "")
    read = tomllib.loads(text)
    assert (read["door"]["lock_pin"], read["gate"]["id"], read["state_dir"]) == (5, "gate-2", "/data")


def test_every_line_but_those_of_the_values_is_as_it_was():
    changed = {"door": {"lock_pin": 5, "pins": "mock"}, "sync": {"url": "mqtts://x"}}
    before, after = EXAMPLE.splitlines(), filled(EXAMPLE, changed).splitlines()
    assert len(before) == len(after)
    different = [line for line, other in zip(before, after, strict=True) if line != other]
    assert [line.split()[1] for line in different] == ["pins", "lock_pin", "url"]


def test_a_table_that_was_commented_out_begins():
    read = tomllib.loads(filled(EXAMPLE, {"second_door": {"lock_pin": 11, "rex_pin": 12}}))
    assert read["second_door"] == {"lock_pin": 11, "rex_pin": 12}


def test_a_key_and_a_table_that_the_example_has_not_are_added():
    text = filled(EXAMPLE, {"schedules.night": {"days": ["mon"], "start": "22:00"}, "door": {"none_such": 1}})
    read = tomllib.loads(text)
    assert read["schedules"]["night"] == {"days": ["mon"], "start": "22:00"}
    assert read["door"]["none_such"] == 1


VALUES = st.one_of(
    st.integers(-5, 10**6), st.booleans(), st.text(max_size=20), st.lists(st.integers(0, 27), max_size=4)
)


@given(st.dictionaries(st.sampled_from(["lock_pin", "socket", "trace", "rex_waiver", "lock_active_high"]), VALUES))
@example({"trace": "\x7f"})  # JSON allows this character, TOML does not
def test_whatever_the_value_it_is_read_back(values):
    read = tomllib.loads(filled(EXAMPLE, {"door": values}))
    assert {key: read["door"][key] for key in values} == values


def test_what_was_filled_is_good_settings(tmp_path):
    tables = {"site": {"id": "s"}, "gate": {"id": "g"}, "door": {"pins": "mock", "rex_pin": 23}}
    settings = parse(tomllib.loads(filled(EXAMPLE, tables)), tmp_path)
    assert (settings.site.id, settings.gate.id, settings.door.rex_pin) == ("s", "g", 23)


@pytest.mark.parametrize("table", ["models", "camera", "face", "access", "readers", "cues", "sync"])
def test_every_default_of_the_example_can_be_given(table):
    defaults = {}
    header = ""
    for line in EXAMPLE.splitlines():
        if line.startswith("["):
            header = line[1:].partition("]")[0]
        elif header == table and line.startswith("# ") and " = " in line:
            key, value = line[2:].split(" = ", 1)
            defaults[key] = tomllib.loads(f"v = {value}")["v"]
    assert defaults
    assert tomllib.loads(filled(EXAMPLE, {table: defaults}))[table] == defaults

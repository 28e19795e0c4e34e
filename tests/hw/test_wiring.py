"""The wiring of the bench, from the environment: nothing by default, and every error at once."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.errors import ConfigError
from hw_tests.wiring import FIELDS, UNARMED, Wiring, variable

FULL = {
    "GATED_HW": "1",
    "GATED_HW_LOCK_PIN": "17",
    "GATED_HW_PROBE_PIN": "27",
    "GATED_HW_ACTIVE_LOW": "1",
    "GATED_HW_REX_PIN": "23",
    "GATED_HW_BUTTON_PIN": "24",
    "GATED_HW_CONTACT_PIN": "22",
    "GATED_HW_LEAF_PIN": "25",
    "GATED_HW_LAMPS": "ready=5,open=6",
    "GATED_HW_KEYPAD": "7,8,9,10:11,12,13",
    "GATED_HW_WIEGAND": "14,15",
    "GATED_HW_READER": "/dev/input/by-id/reader",
    "GATED_HW_SOUND": "default",
    "GATED_HW_CAMERA": "1",
    "GATED_HW_MODELS": "/var/lib/gated/models",
    "GATED_HW_MODEL_SET": "site",
    "GATED_HW_SOAK_S": "3600",
    "GATED_HW_PERSON": "1",
    "GATED_HW_FOLDER": "/var/lib/bench",
}


def problems(**environment):
    with pytest.raises(ConfigError) as refused:
        Wiring.read({name.replace("HW_HW", "HW"): value for name, value in environment.items()})
    return refused.value.problems


def test_without_variables_nothing_is_wired_or_driven():
    bare = Wiring.read({"PATH": "/bin", "GATED_CONFIG": "x"})
    assert not bare.armed
    assert bare.pins == {}
    for want in ("lock", "camera", "person", "soak", "lamps", "keypad", "wiegand", "reader", "sound", "models"):
        assert bare.missing([want]) == [UNARMED, variable(FIELDS[want])]


def test_pins_alone_drive_nothing():
    named = Wiring.read({**FULL, "GATED_HW": "0"})
    assert named.missing(["lock", "probe"]) == [UNARMED]


def test_a_complete_bench_lacks_only_a_phase():
    full = Wiring.read(FULL)
    wants = [name for name in FIELDS if name not in ("armed", "active_low", "model_set", "folder")]
    assert full.missing(wants) == []
    assert full.missing(["lock", "before"]) == ["--phase before"]
    assert full.missing(["lock", "before"], "before") == []
    assert full.missing(["after"], "before") == ["--phase after"]


def test_every_field_is_read_with_its_type():
    full = Wiring.read(FULL)
    assert full.active_low
    assert full.lamps == {"ready": 5, "open": 6}
    assert full.keypad == ((7, 8, 9, 10), (11, 12, 13))
    assert full.wiegand == (14, 15)
    assert full.soak_s == 3600.0
    assert full.folder == Path("/var/lib/bench")
    assert {variable(name) for name in FIELDS.values()} == set(FULL)


def test_pin_0_is_a_pin():
    assert Wiring.read({"GATED_HW": "1", "GATED_HW_LOCK_PIN": "0"}).missing(["lock"]) == []


def test_the_parts_of_a_promise_are_listed_with_their_pins():
    full = Wiring.read(FULL)
    assert full.uses(["lock", "probe", "person"]) == "lock_pin 17, probe_pin 27, person"
    assert full.uses(["keypad", "after"]) == "keypad 7 8 9 10 11 12 13"


def test_a_pin_named_twice_is_refused():
    assert problems(GATED_HW_LOCK_PIN="17", GATED_HW_LAMPS="ready=17") == [
        "GATED_HW_LOCK_PIN: pin 17 is named twice",
        "GATED_HW_LAMPS: pin 17 is named twice",
    ]


def test_every_error_is_reported_at_once():
    found = problems(
        GATED_HW="yes",
        GATED_HW_LOCK_PIN="28",
        GATED_HW_PROBE="27",
        GATED_HW_LAMPS="blinker=5",
        GATED_HW_KEYPAD="1,2:3",
        GATED_HW_WIEGAND="14",
        GATED_HW_SOAK_S="an hour",
    )
    assert [problem.partition(":")[0] for problem in found] == [
        "GATED_HW",
        "GATED_HW_KEYPAD",
        "GATED_HW_LAMPS",
        "GATED_HW_LOCK_PIN",
        "GATED_HW_PROBE",
        "GATED_HW_SOAK_S",
        "GATED_HW_WIEGAND",
    ]
    assert "did you mean GATED_HW_PROBE_PIN?" in found[4]


@given(st.text(alphabet="0123456789,:=-+. e²abc", max_size=20), st.sampled_from(sorted(FULL)))
def test_any_text_is_read_or_refused(text, name):
    try:
        wiring = Wiring.read({name: text})
    except ConfigError as error:
        assert all(problem.startswith(name) for problem in error.problems)
    else:
        assert all(0 <= pin <= 27 for pins in wiring.pins.values() for pin in pins)

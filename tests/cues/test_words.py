"""The texts name only the fitted credential kinds. Without any, they name the telephone number or the warden."""

from itertools import product

import pytest

from gated.config import parse
from gated.cues.cue import Situation
from gated.cues.plan import PLAN
from gated.cues.words import (
    EVERYTHING,
    Fitted,
    cue_phone,
    cue_pictogram,
    cue_sentence,
    cue_word,
    fitted_of,
    spoken_phone,
)
from gated.errors import ConfigError

NUMBER = "0371-6555 1234"
GATES = [Fitted(*has, number) for has in product((True, False), repeat=4) for number in ("", NUMBER)]
NAMES = {"card": ("卡", "card", "CARD"), "code": ("密码", "code", "CODE"), "call": ("呼叫键", "press call", "RING")}


def texts(situation, fitted):
    """Return every text and pictogram of a situation."""
    cue = PLAN[Situation(situation)]
    all_texts = [text for of in ("zh", "en") for text in (cue_word(cue, of, fitted), cue_sentence(cue, of, fitted))]
    return " ".join([*all_texts, cue_pictogram(cue, fitted)])


@pytest.mark.parametrize("fitted", GATES)
def test_no_text_names_a_credential_that_the_gate_lacks(fitted):
    for situation in Situation:
        for kind in {"card", "code", "call"} - set(fitted.credentials):
            assert not any(name in texts(situation, fitted) for name in NAMES[kind]), (situation, kind)


@pytest.mark.parametrize("situation", ["refused", "fault", "idle"])
def test_every_fitted_credential_is_named(situation):
    for fitted in GATES:
        zh, en = (cue_sentence(PLAN[Situation(situation)], of, fitted) for of in ("zh", "en"))
        for kind in fitted.credentials:
            assert NAMES[kind][0] in zh, fitted
            assert NAMES[kind][1] in en, fitted


@pytest.mark.parametrize("situation", ["declined", "unanswered", "unreachable"])
def test_after_an_unanswered_call_the_call_button_is_not_named(situation):
    cue = PLAN[Situation(situation)]
    for fitted in GATES:
        assert "呼叫" not in cue_sentence(cue, "zh", fitted), fitted
        assert "press call" not in cue_sentence(cue, "en", fitted), fitted
        assert cue_phone(cue, fitted) == fitted.phone


@pytest.mark.parametrize("situation", ["fault", "lockdown", "out_of_order", "declined", "unanswered", "unreachable"])
def test_a_cue_without_help_at_the_gate_shows_the_telephone_number(situation):
    assert cue_phone(PLAN[Situation(situation)], Fitted(phone=NUMBER)) == NUMBER
    assert cue_phone(PLAN[Situation(situation)], EVERYTHING) == ""


def test_no_pictogram_shows_a_credential_that_the_gate_lacks():
    assert cue_pictogram(PLAN[Situation.RESTING], EVERYTHING) == "ways"
    assert cue_pictogram(PLAN[Situation.RESTING], Fitted(card=False)) == "later"
    assert cue_pictogram(PLAN[Situation.FAULT], Fitted(card=False)) == "triangle-keypad"
    assert cue_pictogram(PLAN[Situation.REFUSED], Fitted(card=False, code=False)) == "press"


def test_a_gate_without_credentials_names_the_telephone_or_the_warden():
    bare, called = Fitted(False, False, False), Fitted(False, False, False, phone=NUMBER)
    assert cue_sentence(PLAN[Situation.REFUSED], "zh", bare) == "请找值班人员"
    assert cue_sentence(PLAN[Situation.REFUSED], "en", called) == "Please telephone."
    assert cue_phone(PLAN[Situation.REFUSED], called) == cue_phone(PLAN[Situation.IDLE], called) == NUMBER
    assert cue_phone(PLAN[Situation.REFUSED], Fitted(phone=NUMBER)) == "", "another credential is enough"


def test_without_an_exit_button_no_text_names_it():
    assert "button" in cue_sentence(PLAN[Situation.LOCKDOWN], "en", EVERYTHING)
    assert cue_sentence(PLAN[Situation.LOCKDOWN], "en", Fitted(exit_button=False)) == "No entry now."
    assert cue_sentence(PLAN[Situation.LOCKDOWN], "zh", Fitted(exit_button=False)) == "现在不能进入"


@pytest.mark.parametrize("fitted", GATES)
def test_at_every_gate_all_situations_differ(fitted):
    cues = list(PLAN.values())
    for of in (
        lambda c: cue_word(c, "zh", fitted),
        lambda c: cue_word(c, "en", fitted),
        lambda c: cue_pictogram(c, fitted),
    ):
        assert len({of(cue) for cue in cues}) == len(cues)
    spoken = [cue_sentence(cue, "zh", fitted) for cue in cues if cue.is_spoken]
    assert len(set(spoken)) == len(spoken)


@pytest.mark.parametrize(
    ("tables", "ways"),
    [
        ({}, ()),
        ({"door": {"wiegand_pins": [12, 13]}}, ("card",)),
        ({"readers": {"devices": ["/dev/input/by-id/usb-x-event-kbd"]}}, ("card", "code")),
        ({"readers": {"keypad_rows": [1, 2, 3, 4], "keypad_columns": [5, 6, 7]}}, ("code",)),
        ({"door": {"call_pin": 6}}, ("call",)),
        ({"second_door": {"lock_pin": 11, "call_pin": 6}}, ("call",)),
        ({"readers": {"devices": ["/dev/input/x"]}, "cues": {"ways": ["card"]}}, ("card",)),
        ({"door": {"call_pin": 6}, "cues": {"ways": []}}, ()),
    ],
)
def test_the_named_credentials_follow_the_wiring_or_the_settings(tmp_path, tables, ways):
    camera = {"kind": "replay", "path": "x"}
    settings = parse({"site": {"id": "a"}, "gate": {"id": "b"}, "camera": camera, **tables}, tmp_path)
    assert fitted_of(settings).credentials == ways


@pytest.mark.parametrize("number", ["0371-6555 1234", "110", "+86 371 65551234", "0371 (6555) 1234"])
def test_a_telephone_number_may_have_the_usual_separators(tmp_path, number):
    settings = parse({"site": {"id": "a"}, "gate": {"id": "b"}, "cues": {"phone": number}}, tmp_path)
    assert fitted_of(settings).phone == number


@pytest.mark.parametrize("number", ["call Wang", "1", "0371-6555-1234-5555-66666-7777", "110\n", "<b>1</b>"])
def test_an_invalid_telephone_number_is_refused(tmp_path, number):
    with pytest.raises(ConfigError, match="phone"):
        parse({"site": {"id": "a"}, "gate": {"id": "b"}, "cues": {"phone": number}}, tmp_path)


def test_a_telephone_number_is_spoken_digit_by_digit_with_yao_for_one():
    assert spoken_phone("0371-61", "zh") == "电话，零三七幺六幺"
    assert spoken_phone("+86 10", "en") == "Telephone: eight, six, one, zero."
    assert spoken_phone("", "zh") == ""

"""The doctor says how long a stranger at the keypad must guess, and what to do below one year."""

from contextlib import closing
from datetime import UTC, datetime

import pytest

from gated.config import parse
from gated.doctor.guess_time import keypads, of_cards, of_pins, pin_budget, sentence, weak_pin_holders
from gated.gallery.register import Register
from gated.people.credential import Credential, new_id
from gated.people.credential_store import Credentials
from gated.people.issuing import issue_card
from gated.people.pin_verifiers import NOBODYS
from gated.people.store import Person
from gated.types import SubjectId

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def site(tmp_path):
    """Return a function that makes a gate's settings with `count` residents in separate flats, each with a PIN."""

    def make(count, **readers):
        tables = {"readers": {"keypad_rows": [5, 6, 13, 19], "keypad_columns": [16, 20, 21], **readers}}
        settings = parse(
            {"site": {"id": "yard"}, "gate": {"id": "front"}, "state_dir": str(tmp_path), **tables}, tmp_path
        )
        register = Register.open(tmp_path, "yard")
        for number in range(count):
            register.admit(Person(SubjectId(f"{number:016x}"), f"N{number}", f"2-{number}", "active", NOON, ()))
        register.close()
        store = Credentials.open(tmp_path, "yard")
        with store.changing():
            for number in range(count):
                store.add(Credential(new_id(), "pin", SubjectId(f"{number:016x}"), b"\x00\x01", str(NOBODYS)))
        store.close()
        return settings

    return make


def test_a_small_site_is_green_with_a_text(site):
    [finding] = of_pins(site(72))
    assert (finding.light, finding.figures["pins"]) == ("green", 72)


def test_a_budget_below_a_year_is_a_warning_with_the_fix(site):
    settings = site(400)
    [finding] = of_pins(settings)
    assert finding.light == "amber"
    assert "pin_by_household" in finding.next_step
    assert "below a year; set [readers] pin_by_household" in sentence(settings, pin_budget(settings))


def test_with_flat_numbers_the_same_site_has_a_budget_of_a_year(site):
    [finding] = of_pins(site(400, pin_by_household=True))
    assert finding.light == "green"


def test_a_pin_without_a_flat_number_that_opens_nothing_is_reported(site, tmp_path):
    settings = site(3, pin_by_household=True)
    register = Register.open(tmp_path, "yard")
    register.admit(Person(SubjectId("f" * 16), "Guard", "office", "active", NOON, ()))
    register.close()
    store = Credentials.open(tmp_path, "yard")
    with store.changing():
        store.add(Credential(new_id(), "pin", SubjectId("f" * 16), b"\x00\x01", str(NOBODYS)))
    store.close()
    assert [(each.part, each.light) for each in of_pins(settings)] == [("PINs", "amber"), ("PIN budget", "green")]
    assert "1 PINs cannot be used" in sentence(settings, pin_budget(settings))


def test_people_with_weak_pins_are_listed_with_the_fix(site, tmp_path):
    settings = site(3)
    with closing(Credentials.open(tmp_path, "yard")) as store:
        store.record_weak_pin(SubjectId(f"{1:016x}"), NOON)
    assert weak_pin_holders(settings) == [f"{1:016x}"]
    first, _ = of_pins(settings)
    assert (first.part, first.light, first.figures) == ("PINs", "amber", {"weak": 1})
    assert f"{1:016x}" in sentence(settings, pin_budget(settings))


def test_without_a_keypad_or_a_pin_there_is_no_finding(site, tmp_path):
    assert list(of_pins(site(0))) == []
    bare = parse({"site": {"id": "yard"}, "gate": {"id": "front"}, "state_dir": str(tmp_path)}, tmp_path)
    assert pin_budget(bare) is None


def test_the_guessing_time_for_cards_depends_on_the_bits_of_the_reader(site, tmp_path):
    settings = site(0, devices=["/dev/input/a"])
    assert list(of_cards(settings)) == []
    store = Credentials.open(tmp_path, "yard")
    for number in range(9):
        issue_card(store, f"w34:17-{number}", None)
    store.close()
    [finding] = of_cards(settings)
    assert (finding.light, finding.figures["cards"]) == ("green", 9)
    assert 365 < finding.figures["days_26_bits"] < finding.figures["days_34_bits"]


def test_a_card_budget_below_a_year_at_a_26_bit_reader_is_a_warning(site, tmp_path, monkeypatch):
    """The attack: a site has 3,600 cards, and a device on the wire sends number after number for two days."""
    settings = site(0, devices=["/dev/input/a"])
    monkeypatch.setattr("gated.doctor.guess_time._cards", lambda _: (3600, 3))
    [finding] = of_cards(settings)
    assert (finding.light, finding.figures["days_26_bits"]) == ("amber", 74)
    assert "34-bit" in finding.next_step


@pytest.mark.parametrize(
    ("tables", "doors"),
    [({}, 0), ({"readers": {"devices": ["/dev/input/a"]}}, 1), ({"door": {"wiegand_pins": [2, 3]}}, 1),
     ({"readers": {"devices": ["/dev/input/a"], "usb": {"/dev/input/a": {"kind": "card"}}}}, 0),
     ({"door": {"wiegand_pins": [2, 3]}, "second_door": {"lock_pin": 27, "wiegand_pins": [5, 6]}}, 2)],
)  # fmt: skip
def test_every_door_with_a_keypad_counts(tables, doors, tmp_path):
    assert keypads(parse({"site": {"id": "yard"}, "gate": {"id": "front"}, **tables}, tmp_path)) == doors

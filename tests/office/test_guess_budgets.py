"""The PIN budget of a site, computed from the limits its gates report. The result is never better than the truth."""

from types import SimpleNamespace

import msgspec
import pytest

from gated.cli.office.pins import card_lines, in_figures, lines
from gated.config import ReaderSettings, parse
from gated.config.wiring import ReaderSettings as Wiring
from gated.doctor import guess_time
from gated.office.guess_budgets import LOOSEST, as_it_comes, site_budget
from gated.office.office_person import OfficeCard, OfficePerson, OfficePin
from gated.pin.budget import GuessLimits, guess_days
from gated.protocol.status_messages import GuessingLimits, Status

OWN = as_it_comes()


def gate(name, said):
    status = None if said is None else Status(site="yard", gate=name, version="1", guessing=said)
    return SimpleNamespace(gate=name, status=status)


def people(count, cards=(), pins=1):
    pin = OfficePin(bytes(16), bytes(32))
    return [
        OfficePerson(n=n + 1, subject=f"{n:016x}", name="N", household=f"2-{n + 101}", added_at="", pins=[pin] * pins,
                   cards=[OfficeCard(f"c{n}", cards[n], "")] if n < len(cards) else [])
        for n in range(count)
    ]  # fmt: skip


def changed(said, **values):
    return msgspec.structs.replace(said, **values)


def test_the_budget_uses_the_limits_that_the_gates_reported():
    """The attack: an installer raises the limit at a gate, and the office still reports years."""
    mine, loose = changed(OWN), changed(OWN, pins_day=200, keypads=2)
    found = site_budget(people(144), [gate("gate-1", mine), gate("gate-2", loose)])
    expected = guess_days([1] * 144, 0, 6, GuessLimits(200, OWN.household_day, by_household=False, doors=2)).days
    assert found.days == pytest.approx(expected)
    assert found.is_short
    assert "gate-2" in lines(found)[0]


def test_a_gate_without_reported_limits_counts_with_the_loosest_and_is_named():
    for said in (None, Status(site="yard", gate="gate-1", version="1")):
        other = SimpleNamespace(gate="gate-1", status=said)
        found = site_budget(people(9), [other, gate("gate-2", OWN)])
        assert found.untold == ["gate-1"]
        assert found.days == pytest.approx(
            guess_days([1] * 9, 0, 6, GuessLimits(1000, 1000, by_household=False, doors=2)).days
        )
        assert any("loosest" in line and "gate-1" in line for line in lines(found))


def test_no_settings_are_looser_than_the_loosest_limits():
    bounds = msgspec.json.schema(Wiring)["$defs"]["ReaderSettings"]["properties"]
    keys = {"pins_day": "attempts_day", "household_day": "household_day", "cards_hour": "cards_hour",
            "cards_day": "cards_day", "short_cards_day": "short_cards_day"}  # fmt: skip
    assert {name: getattr(LOOSEST, name) for name in keys} == {
        name: bounds[key]["maximum"] for name, key in keys.items()
    }


def test_guessing_at_every_gate_is_faster_than_at_the_weakest_one():
    found = site_budget(people(144), [gate(f"gate-{n}", OWN) for n in range(4)])
    assert found.together(lambda each: each.pins.days) == pytest.approx(found.days / 4)
    assert any("all 4" in line for line in lines(found))


def test_a_gate_without_keypad_and_reader_adds_no_guesses():
    bare = changed(OWN, keypads=0, readers=0)
    found = site_budget(people(9, ["w26:1-1"]), [gate("gate-1", bare)])
    assert (found.days, lines(found), card_lines(found)) == (None, ["no gate has a keypad"], [])


def test_with_required_flat_numbers_the_budget_includes_them():
    asks = changed(OWN, by_household=True)
    found = site_budget(people(2400, pins=2), [gate("gate-1", asks)])
    assert not found.is_short
    assert site_budget(people(2400, pins=2), [gate("gate-1", OWN)]).is_short


def test_a_longer_minimum_at_a_gate_lengthens_no_pin_of_the_office():
    """The attack on the figure: the gate asks for eight digits, but every PIN the office issued has six."""
    eight = changed(OWN, pin_digits=8)
    assert site_budget(people(144), [gate("gate-1", eight)]).days == site_budget(people(144), [gate("g", OWN)]).days
    fewer = changed(OWN, pin_digits=4)
    assert site_budget(people(144), [gate("gate-1", fewer)]).days < site_budget(people(144), [gate("g", OWN)]).days


def test_cards_of_one_delivery_have_a_smaller_budget_after_one_was_seen():
    alike = site_budget(people(144, [f"w26:12-{n + 1}" for n in range(144)]), [gate("gate-1", OWN)]).gates[0]
    mixed = site_budget(
        people(144, [f"04:{n:02X}:{n * 7 % 256:02X}:{n:02X}" for n in range(144)]), [gate("gate-1", OWN)]
    ).gates[0]
    assert alike.known_cards < 10
    assert 365 < alike.short_cards < alike.long_cards
    assert alike.known_cards < mixed.known_cards
    assert alike.short_cards == mixed.short_cards


def test_cards_are_listed_by_format_with_the_fix_below_a_year():
    found = site_budget(people(144, [f"w26:12-{n + 1}" for n in range(144)]), [gate("gate-1", OWN)])
    (line,) = card_lines(found)
    assert "144 cards" in line
    assert "26 bits" in line
    assert "34 bits" in line
    assert "below a year: fit readers of 34 bits" in line


def test_json_has_the_same_budget():
    found = site_budget(people(9, ["w26:1-1"]), [gate("gate-1", OWN), gate("gate-2", None)])
    figures = in_figures(found)
    assert figures["untold"] == ["gate-2"]
    assert [each["gate"] for each in figures["gates"]] == ["gate-1", "gate-2"]
    assert figures["days"] == found.days


def test_a_gate_reports_the_limits_that_it_applies(tmp_path):
    tables = {
        "site": {"id": "yard"}, "gate": {"id": "front"}, "door": {"wiegand_pins": [2, 3]},
        "readers": {"attempts_day": 30, "short_cards_day": 7, "pin_by_household": True, "devices": ["/dev/input/a"]},
    }  # fmt: skip
    said = guess_time.guess_limits(parse(tables, tmp_path))
    own = ReaderSettings()
    assert said == GuessingLimits(1, 2, by_household=True, pins_day=30, household_day=own.household_day,
                            cards_hour=own.cards_hour, cards_day=own.cards_day, short_cards_day=7,
                            pin_digits=own.pin_digits)  # fmt: skip

"""Tests how the office gives and takes cards, PINs, access rules and wishes."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.pin.rule import is_weak

ZONE = ZoneInfo("Asia/Shanghai")
NOBODY = "0123456789abcdef"


def day(plus: int = 0) -> str:
    return (datetime.now(ZONE) + timedelta(days=plus)).date().isoformat()


@pytest.fixture
def office(gate):
    """Return a gate whose people commands run in this process."""

    def run(*arguments, check=0, typed=None):
        done = CliRunner().invoke(main, ["--config", str(gate.config), "people", *arguments], input=typed)
        assert done.exit_code == check, done.output
        assert "Traceback" not in done.output
        return done

    gate.office = run
    return gate


@pytest.fixture
def ann(office):
    return office.office("add", "--name", "Ann", "--household", "2-401").output.split()[-1]


def has(office, subject):
    import json

    return json.loads(office.office("show", subject, "--json").output)


def cards(office):
    import json

    return json.loads(office.office("card", "list", "--json").output)


def test_a_person_without_a_face_is_added_and_shown(office, ann):
    shown = has(office, ann)
    assert (shown["name"], shown["templates"], shown["consents"]) == ("Ann", 0, [])
    assert (shown["ways"], shown["rights"], shown["household_rights"]) == ([], [], [])
    assert shown["preferences"] == {"release_s": None, "search_s": None, "first": None}
    assert [event["subject"] for event in office.events("person_added")] == [ann]


def test_a_card_is_added_shown_without_its_number_and_removed(office, ann):
    office.office("card", "add", ann, "--number", "9081726354", "--label", "grey", "--uses", "3")
    (way,) = has(office, ann)["ways"]
    assert (way["way"], way["label"], way["uses_left"], way["subject"]) == ("card", "grey", 3, ann)
    assert [card["credential"] for card in cards(office)] == [way["credential"]]
    for arguments in (["show", ann], ["show", ann, "--json"], ["card", "list"], ["card", "list", "--json"]):
        assert "9081726354" not in office.office(*arguments).output
    assert "removed" in office.office("card", "remove", way["credential"]).output
    assert cards(office) == []
    facts = office.events("credential_added", "credential_removed")
    assert [(fact["kind"], fact["way"], fact["credential"], fact["subject"]) for fact in facts] == [
        ("credential_added", "card", way["credential"], ann),
        ("credential_removed", "card", way["credential"], ann),
    ]
    assert "9081726354" not in str(facts)


def test_a_card_is_valid_until_the_end_of_its_last_day_at_the_site(office, ann):
    office.office("card", "add", ann, "--number", "12345678", "--from", day(1), "--until", day(2))
    (card,) = cards(office)
    assert card["valid_from"] == f"{day(1)}T00:00:00+08:00"
    assert card["valid_until"] == f"{day(3)}T00:00:00+08:00"


def test_a_guests_card_is_valid_today_only(office):
    office.office("guest", "--number", "12345678", "--label", "the plumber")
    (card,) = cards(office)
    assert (card["subject"], card["label"]) == (None, "the plumber")
    assert (card["valid_from"][:10], card["valid_until"][:10]) in {(day(), day(1)), (day(-1), day())}
    assert "the plumber" not in str(office.events("credential_added"))


@pytest.mark.parametrize(
    "wrong",
    [
        ["--until", "tomorrow"],
        ["--until", "2026-13-01"],
        ["--until", day(-2)],
        ["--from", day(3), "--until", day(1)],
        ["--uses", "0"],
        ["--uses", "-1"],
    ],
)
def test_a_wrong_day_or_number_of_uses_is_a_usage_error(office, ann, wrong):
    office.office("card", "add", ann, "--number", "12345678", *wrong, check=2)
    assert cards(office) == []


def test_the_last_day_of_the_calendar_is_accepted(office, ann):
    office.office("card", "add", ann, "--number", "12345678", "--until", "9999-12-31")
    assert len(cards(office)) == 1


@pytest.mark.parametrize("number", ["", "123", "0000", "' OR 1=1 --", "x'; DROP TABLE credentials; --"])
def test_an_invalid_number_is_refused(office, ann, number):
    message = office.office("card", "add", ann, "--number", number, check=1).output
    assert message.startswith("gated: a card's number has 4 to 40")
    assert cards(office) == []


def test_a_card_of_another_person_is_refused(office, ann):
    office.office("card", "add", ann, "--number", "12345678")
    message = office.office("guest", "--number", "0012345678", check=1).output
    assert cards(office)[0]["credential"] in message
    assert "12345678" not in message


def test_a_label_with_control_characters_is_refused(office, ann):
    assert "label" in office.office("guest", "--number", "12345678", "--label", "a\x1b[31m", check=1).output


def test_a_pin_is_read_from_standard_input_and_never_shown(office, ann):
    output = office.office("pin", "set", ann, typed="492716\n").output
    assert "492716" not in output + office.office("show", ann).output
    assert [way["way"] for way in has(office, ann)["ways"]] == ["pin"]


def test_a_strong_pin_is_made_by_default_and_shown_once(office, ann):
    output = office.office("pin", "set", ann, typed="").output
    shown = re.search(r"the PIN is ([0-9 ]+);", output)[1].replace(" ", "")
    assert not is_weak(shown, 6)
    assert shown not in office.office("show", ann).output
    duress = office.office("pin", "set", ann, "--duress", typed="\n").output
    assert re.search(r"the PIN is ([0-9 ]+);", duress)[1].replace(" ", "") != shown


def test_choosing_a_pin_and_typing_nothing_stores_no_pin(office, ann):
    assert "will not do" in office.office("pin", "set", ann, "--choose", typed="", check=1).output
    assert has(office, ann)["ways"] == []


def test_no_option_accepts_a_pin(office, ann):
    office.office("pin", "set", ann, "492716", check=2)
    assert "--pin" not in office.office("pin", "set", "--help").output


@pytest.mark.parametrize(
    "typed", ["12345\n", "123456\n", "777777\n", "147258\n", "900512\n", "49271x\n", "' OR 1=1 --\n"]
)
def test_a_weak_pin_is_refused(office, ann, typed):
    assert "will not do" in office.office("pin", "set", ann, typed=typed, check=1).output
    assert has(office, ann)["ways"] == []


def test_the_minimum_number_of_digits_is_a_setting(office, ann):
    office.write(readers={"pin_digits": 8})
    assert "8 to 12 digits" in office.office("pin", "set", ann, typed="492716\n", check=1).output
    office.office("pin", "set", ann, typed="49271603\n")


def test_a_new_pin_replaces_the_old_one_and_both_changes_are_in_the_journal(office, ann):
    for typed in ("492716\n", "318205\n"):
        office.office("pin", "set", ann, typed=typed)
    facts = office.events("credential_added", "credential_removed")
    assert [fact["kind"] for fact in facts] == ["credential_added", "credential_removed", "credential_added"]
    assert facts[0]["credential"] == facts[1]["credential"]
    assert len(has(office, ann)["ways"]) == 1


def test_a_duress_pin_needs_a_pin_and_can_be_removed_alone_or_with_it(office, ann):
    assert "first" in office.office("pin", "set", ann, "--duress", typed="318205\n", check=1).output
    office.office("pin", "set", ann, typed="492716\n")
    office.office("pin", "set", ann, "--duress", typed="318205\n")
    one, other = has(office, ann)["ways"]
    assert one == other, "nothing that is stored tells which of the two calls for help"
    assert "no duress PIN" in office.office("pin", "remove", ann, "--duress", typed="492716\n", check=1).output
    office.office("pin", "remove", ann, "--duress", typed="318205\n")
    assert len(has(office, ann)["ways"]) == 1
    assert "no such PIN" in office.office("pin", "remove", ann, "--duress", typed="492716\n", check=1).output
    office.office("pin", "set", ann, "--duress", typed="318205\n")
    office.office("pin", "remove", ann)
    assert has(office, ann)["ways"] == []
    assert "no such PIN" in office.office("pin", "remove", ann, check=1).output


def test_card_and_pin_commands_remove_only_their_own_kind(office, ann):
    office.office("card", "add", ann, "--number", "12345678")
    office.office("pin", "remove", ann, check=1)
    office.office("pin", "set", ann, typed="492716\n")
    pin = next(way["credential"] for way in has(office, ann)["ways"] if way["way"] == "pin")
    office.office("card", "remove", pin, check=1)
    assert len(has(office, ann)["ways"]) == 2


@pytest.mark.parametrize(
    ("arguments", "typed"),
    [
        (["card", "add", NOBODY, "--number", "12345678"], None),
        (["card", "remove", NOBODY], None),
        (["pin", "set", NOBODY], "492716\n"),
        (["pin", "remove", NOBODY], None),
        (["rights", NOBODY, "--door", "main"], None),
        (["rights", NOBODY, "--door", "main", "--household"], None),
        (["prefer", NOBODY, "--first", "touch"], None),
    ],
)
def test_for_an_unknown_person_nothing_is_stored_or_journalled(office, arguments, typed):
    message = office.office(*arguments, check=1, typed=typed).output
    assert re.match(r"gated: .*0123456789abcdef", message)
    assert office.events() == []


def test_a_card_is_added_by_its_printed_number_and_its_readings_are_shown(office, ann):
    output = office.office("card", "add", ann, "--number", "0006729715 102,45043").output
    for reading in ("decimal: 0006729715", "hex: 0066AFF3", "w26:102-45043, printed 102,45043", "w34:102-45043"):
        assert reading in output
    assert "given out already" in office.office("guest", "--number", "w34:102-45043", check=1).output
    assert "lower 24 bits are the same" in office.office("guest", "--number", "w26:102-45043", check=1).output
    assert "do not belong together" in office.office("guest", "--number", "0006729715 1,00002", check=1).output
    assert "changes each time" in office.office("guest", "--number", "08:A1:B2:C3", check=1).output
    office.office("guest", "--number", "08:A1:B2:C3", "--same-each-time")
    assert "6729715" not in office.office("card", "list", "--json").output

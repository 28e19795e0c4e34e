from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gated.access.readers.wiegand import decode_frame
from gated.errors import CredentialError, SubjectNotFoundError
from gated.people import card_numbers
from gated.people.credential import Credential, new_id
from gated.people.issuing import issue_card, revoke_credential, set_pin
from gated.people.keyring import KeyRing
from gated.types import SubjectId

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
NOBODY = SubjectId("0123456789abcdef")

HOSTILE = [
    "' OR 1=1 --",
    "x'; DROP TABLE credentials; --",
    '"; DELETE FROM people; --',
    "%",
    "_",
    "12345678\x00",
    "12345678' UNION SELECT * FROM people --",
    "\udc80\udc80\udc80\udc80",
    "A" * 41,
    "",
    "000000",
    "123",
]


def test_a_card_is_stored_unchanged(store, live) -> None:
    ann = live("a")
    card = issue_card(store, "0012345678", ann, label="grey", valid_from=NOON, valid_until=NOON + timedelta(1), uses=3)
    assert store.all() == [card] == store.of(ann)
    assert (card.kind, card.subject, card.label, card.uses_left) == ("card", ann, "grey", 3)
    assert (card.valid_from, card.valid_until) == (NOON, NOON + timedelta(1))
    assert card.first_used_at is card.last_used_at is None


@pytest.mark.parametrize(
    "bits",
    ["0" + "00001100" + "0000110110000000" + "1", "0" * 17 + "1" * 17, "00000100101000011011001011000011"],
)
def test_a_number_of_a_wired_reader_can_be_registered_and_found(store, live, bits) -> None:
    number = decode_frame(bits).card
    card = issue_card(store, number, live("a"))
    assert KeyRing.of(store).card(number).id == card.id
    assert KeyRing.of(store).card(number.upper()).id == card.id


def test_a_guests_card_belongs_to_no_person(store) -> None:
    assert issue_card(store, "12345678", None).subject is None


def test_a_card_for_an_unknown_person_is_refused(store) -> None:
    with pytest.raises(SubjectNotFoundError):
        issue_card(store, "12345678", NOBODY)
    assert store.all() == []


@pytest.mark.parametrize("again", ["12345678", "0012345678", " 12345678\n"])
def test_no_card_is_registered_twice_by_any_reading(store, live, again: str) -> None:
    first = issue_card(store, "12345678", live("a"))
    with pytest.raises(CredentialError, match=first.id):
        issue_card(store, again, live("b"))
    assert store.all() == [first]


@pytest.mark.parametrize("number", HOSTILE)
def test_an_invalid_number_is_refused_and_opens_nothing(store, live, number: str) -> None:
    card = issue_card(store, "12345678", live("a"))
    with pytest.raises(CredentialError) as refused:
        issue_card(store, number, None)
    assert number not in str(refused.value) or not number
    assert KeyRing.of(store).card(number) is None
    assert store.all() == [card]


@pytest.mark.parametrize(
    ("printed", "again"),
    [
        ("0006729715", "102,45043"),
        ("0006729715", "w26:102-45043"),
        ("w26:102-45043", "0006729715"),
        ("04A1B2C3", "c3:b2:a1:04"),
        ("04A1B2C3", f"{0x04A1B2C3:010}"),
        ("04A1B2C3", f"{0xC3B2A104:010}"),
        ("04A1B2C3D4E5F6", "w58:F6E5D4C3B2A104"),
        ("w34:1185-45763", "w32:04A1B2C3"),
        ("\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18", "12345678"),
    ],
)
def test_two_numbers_of_one_card_cannot_belong_to_two_people(store, live, printed, again) -> None:
    first = issue_card(store, printed, live("a"))
    with pytest.raises(CredentialError, match=first.id):
        issue_card(store, again, live("b"))
    assert store.all() == [first]


def test_two_cards_that_a_26_bit_reader_cannot_distinguish_are_refused(store, live) -> None:
    first = issue_card(store, "w32:04A1B2C3", live("a"))
    bob = live("b")
    with pytest.raises(CredentialError, match=rf"26 bits cannot tell this card from {first.id}"):
        issue_card(store, "w32:77A1B2C3", bob)
    issue_card(store, "w32:77A1B2C4", bob)


@pytest.mark.parametrize("number", ["08A1B2C3", "w32:08123456", f"{0x08A1B2C3:010}"])
def test_a_random_uid_is_refused_unless_the_operator_confirms_it(store, live, number) -> None:
    ann = live("a")
    with pytest.raises(CredentialError, match="changes each time"):
        issue_card(store, number, ann)
    issue_card(store, number, ann, may_be_random=True)


def before_readings(store, number, subject):
    """Store a card in the old format, with one number only."""
    own = number.upper().lstrip("0") if number.isdigit() else number.upper()
    card = Credential(new_id(), "card", subject, store.vault.digest("card", own))
    with store.changing():
        store.add(card)
    return card


@pytest.mark.parametrize(
    ("stored", "reading"),
    [
        ("0012345678", "0012345678"),
        ("w26:12-3456", "w26:12-3456"),
        ("w34:1185-45763", "w34:1185-45763"),
        ("w37:7-99", "w37:7-99"),
        ("w32:04A1B2C3", "w32:04A1B2C3"),
        ("w56:04A1B2C3D4E5F6", "w56:04A1B2C3D4E5F6"),
        ("04A1B2C3", "04a1b2c3"),
        ("w34:1185-45763", "w32:04A1B2C3"),
        ("04A1B2C3", "w34:1185-45763"),
    ],
)
def test_a_card_registered_before_readings_existed_still_opens(store, live, stored, reading) -> None:
    card = before_readings(store, stored, live("a"))
    assert KeyRing.of(store).card(reading) == card
    with pytest.raises(CredentialError, match=card.id):
        issue_card(store, reading, live("b"))


def test_a_reading_shared_by_two_people_opens_for_neither(store, live) -> None:
    """An older version of the office may have issued both cards."""
    ann, bob = live("a"), live("b")
    before_readings(store, "w26:161-45763", ann)
    issue_card(store, "w32:77A1B2C4", bob)
    before_readings(store, "w34:30625-45764", ann)
    ring = KeyRing.of(store)
    assert ring.card("w26:161-45763") is not None
    assert len(ring.cards("w34:30625-45764")) == 2
    assert ring.card("w34:30625-45764") is None


@given(st.from_regex(r"[0-9]{5,10}|[0-9A-F]{8}", fullmatch=True), st.integers(0, 5))
def test_spaces_and_small_letters_do_not_matter(number: str, blanks: int) -> None:
    assume(number.strip("0"))
    assert card_numbers.plain(f"{' ' * blanks}{number.lower()}\r\n") == card_numbers.plain(number)


def test_no_file_and_no_repr_has_a_card_number_or_a_pin(state, store, live) -> None:
    ann = live("a")
    made = [issue_card(store, "9081726354", ann), *set_pin(store, "492716", ann, least=6)]
    store.use(made[0].id, NOON)
    contents = b"".join(file.read_bytes() for file in state.rglob("*") if file.is_file() and file.name != "site.key")
    for secret in ("9081726354", "492716"):
        assert secret.encode() not in contents
        assert secret not in repr(made)
        assert secret not in repr(store.all())
    assert "argon2" not in repr(made)


def test_a_second_pin_replaces_the_first(store, live) -> None:
    ann = live("a")
    _, none = set_pin(store, "492716", ann, least=6)
    second, replaced = set_pin(store, "318205", ann, least=6)
    assert (none, replaced) == (0, 1)
    assert len(store.of(ann)) == 1
    ring = KeyRing.of(store)
    assert ring.pin("492716") is None
    assert ring.pin("318205") == second


def test_a_pin_for_an_unknown_person_is_refused(store) -> None:
    with pytest.raises(SubjectNotFoundError):
        set_pin(store, "492716", NOBODY, least=6)
    assert store.all() == []


@pytest.mark.parametrize("digits", ["12345", "777777", "123456", "654321", "49271x", *HOSTILE])
def test_a_weak_pin_is_refused_without_being_repeated(store, live, digits: str) -> None:
    with pytest.raises(CredentialError, match="will not do") as refused:
        set_pin(store, digits, live("a"), least=6)
    assert not digits or digits not in str(refused.value)
    assert store.all() == []


@pytest.mark.parametrize("is_duress", [False, True])
def test_an_existing_pin_gets_the_refusal_of_a_weak_one(store, live, is_duress: bool) -> None:
    ann, bob = live("a"), live("b")
    set_pin(store, "492716", ann, least=6)
    set_pin(store, "318205", bob, least=6)
    set_pin(store, "771903", bob, least=6, is_duress=True)
    before, words = store.all(), set()
    for digits in ("318205", "771903", "492716", "111111"):
        with pytest.raises(CredentialError) as refused:
            set_pin(store, digits, ann, least=6, is_duress=is_duress)
        words.add(str(refused.value))
    assert len(words) == 1
    assert store.all() == before


def test_a_duress_pin_is_marked_only_in_its_own_record(store, live) -> None:
    ann = live("a")
    with pytest.raises(CredentialError, match="set their PIN first"):
        set_pin(store, "318205", ann, least=6, is_duress=True)
    plain, _ = set_pin(store, "492716", ann, least=6)
    duress, _ = set_pin(store, "318205", ann, least=6, is_duress=True)
    ring = KeyRing.of(store)
    assert (ring.pin("492716"), ring.pin("318205")) == (plain, duress)
    assert (plain.is_duress, duress.is_duress) == (False, True)


def test_a_removed_credential_opens_nothing_and_leaves_no_trace(state, store, live) -> None:
    card = issue_card(store, "12345678", live("a"), label="the grey one of the twins")
    assert revoke_credential(store, card.id) == card
    assert KeyRing.of(store).card("12345678") is None
    assert not any(b"the grey one" in file.read_bytes() for file in state.rglob("*") if file.is_file())


@pytest.mark.parametrize("which", ["", "nothing", "' OR 1=1 --"])
def test_a_missing_credential_cannot_be_removed(store, live, which: str) -> None:
    issue_card(store, "12345678", live("a"))
    with pytest.raises(CredentialError, match="card list"):
        revoke_credential(store, which)
    assert len(store.all()) == 1

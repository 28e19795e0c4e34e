from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.access.wiegand import card_number
from gated.errors import CredentialError, SubjectNotFoundError
from gated.gallery.issuing import NUMBER, give_card, plain_number, set_pin, take_away
from gated.gallery.keyring import KeyRing
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
    "\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18",
    "\udc80\udc80\udc80\udc80",
    "A" * 41,
    "",
    "000000",
    "123",
]


def test_a_card_is_kept_as_it_was_given(store, live) -> None:
    ann = live("a")
    card = give_card(store, "0012345678", ann, label="grey", valid_from=NOON, valid_until=NOON + timedelta(1), uses=3)
    assert store.all() == [card] == store.of(ann)
    assert (card.way, card.subject, card.label, card.uses_left) == ("card", ann, "grey", 3)
    assert (card.valid_from, card.valid_until) == (NOON, NOON + timedelta(1))
    assert card.first_used_at is card.last_used_at is None


@pytest.mark.parametrize(
    "bits",
    ["0" + "00001100" + "0000110110000000" + "1", "0" * 17 + "1" * 17, "00000100101000011011001011000011"],
)
def test_what_a_wired_reader_says_can_be_given_and_found(store, live, bits) -> None:
    number = card_number(bits)
    card = give_card(store, number, live("a"))
    assert KeyRing(store).card(number).id == card.id
    assert KeyRing(store).card(number.upper()).id == card.id


def test_a_guests_card_is_nobodys(store) -> None:
    assert give_card(store, "12345678", None).subject is None


def test_a_card_for_nobody_who_lives_here_is_refused(store) -> None:
    with pytest.raises(SubjectNotFoundError):
        give_card(store, "12345678", NOBODY)
    assert store.all() == []


@pytest.mark.parametrize("again", ["12345678", "0012345678", " 12345678\n"])
def test_no_card_is_given_out_twice_however_it_is_read(store, live, again: str) -> None:
    first = give_card(store, "12345678", live("a"))
    with pytest.raises(CredentialError, match=first.id):
        give_card(store, again, live("b"))
    assert store.all() == [first]


@pytest.mark.parametrize("number", HOSTILE)
def test_a_number_that_is_none_is_refused_and_opens_nothing(store, live, number: str) -> None:
    card = give_card(store, "12345678", live("a"))
    with pytest.raises(CredentialError) as refused:
        give_card(store, number, None)
    assert number not in str(refused.value) or not number
    assert KeyRing(store).card(number) is None
    assert store.all() == [card]


@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_however_a_number_is_read_it_has_one_plain_form(text: str) -> None:
    assert plain_number(plain_number(text)) == plain_number(text)


@given(st.from_regex(NUMBER, fullmatch=True), st.integers(0, 5))
def test_leading_zeros_blanks_and_small_letters_mean_nothing_to_a_reader(number: str, zeros: int) -> None:
    assert plain_number(f" {number.lower()}\r\n") == plain_number(number)
    if number.isdigit():
        assert plain_number("0" * zeros + number) == plain_number(number)


def test_neither_number_nor_pin_lies_in_any_file_or_repr(state, store, live) -> None:
    ann = live("a")
    made = [give_card(store, "9081726354", ann), *set_pin(store, "492716", ann, least=6)]
    store.use(made[0].id, NOON)
    contents = b"".join(file.read_bytes() for file in state.rglob("*") if file.is_file() and file.name != "site.key")
    for secret in ("9081726354", "492716"):
        assert secret.encode() not in contents
        assert secret not in repr(made)
        assert secret not in repr(store.all())
    assert "argon2" not in repr(made)


def test_a_second_pin_replaces_the_first(store, live) -> None:
    ann = live("a")
    first, none = set_pin(store, "492716", ann, least=6)
    second, replaced = set_pin(store, "318205", ann, least=6)
    assert none is None
    assert replaced is not None
    assert replaced.id == first.id
    assert [pin.id for pin in store.of(ann)] == [second.id]
    ring = KeyRing(store)
    assert ring.pin("492716") is None
    assert ring.pin("318205") == second


def test_a_pin_for_nobody_who_lives_here_is_refused(store) -> None:
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
def test_a_pin_that_exists_is_refused_in_the_words_for_a_weak_one(store, live, is_duress: bool) -> None:
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


def test_a_duress_pin_is_a_second_one_and_says_so_only_here(store, live) -> None:
    ann = live("a")
    with pytest.raises(CredentialError, match="set their PIN first"):
        set_pin(store, "318205", ann, least=6, is_duress=True)
    plain, _ = set_pin(store, "492716", ann, least=6)
    duress, _ = set_pin(store, "318205", ann, least=6, is_duress=True)
    ring = KeyRing(store)
    assert (ring.pin("492716"), ring.pin("318205")) == (plain, duress)
    assert (plain.is_duress, duress.is_duress) == (False, True)


def test_what_is_taken_away_opens_no_more_and_leaves_no_trace(state, store, live) -> None:
    card = give_card(store, "12345678", live("a"), label="the grey one of the twins")
    assert take_away(store, card.id) == card
    assert KeyRing(store).card("12345678") is None
    assert not any(b"the grey one" in file.read_bytes() for file in state.rglob("*") if file.is_file())


@pytest.mark.parametrize("which", ["", "nothing", "' OR 1=1 --"])
def test_what_is_not_there_cannot_be_taken_away(store, live, which: str) -> None:
    give_card(store, "12345678", live("a"))
    with pytest.raises(CredentialError, match="card list"):
        take_away(store, which)
    assert len(store.all()) == 1

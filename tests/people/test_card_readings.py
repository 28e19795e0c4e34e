"""One card has many numbers. A number printed on a card opens with every type of reader, and no other card does."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gated.errors import CredentialError
from gated.people import card_numbers, card_readings

four = st.binary(min_size=4, max_size=4).filter(lambda raw: raw[0] and raw[3] and any(raw[1:3]))
seven = (
    st.binary(min_size=6, max_size=6)
    .filter(lambda rest: rest[2] and rest[3] and rest[-1] != 4)
    .map(lambda rest: b"\x04" + rest)
)


def opens(printed, reading):
    return bool(card_readings.given(printed) & card_readings.numbers_in(reading))


def number_of(raw):
    return int.from_bytes(raw, "big")


def w26(three):
    return f"w26:{three[0]}-{number_of(three[1:])}"


def w34(raw):
    return f"w34:{number_of(raw[:2])}-{number_of(raw[2:])}"


def readings_of_four(raw):
    """Yield each reader type's output for four bytes. Written from the format specifications, independent of the code
    under test.
    """
    turned = raw[::-1]
    for each in (raw, turned):
        yield f"{number_of(each):010}"
        yield each.hex()
        yield each.hex().upper()
        yield w34(each)
        yield f"w32:{each.hex().upper()}"
        yield w26(each[1:])
        yield f"w24:{each[1:].hex()}"
        yield f"{each[1]:03}{number_of(each[2:]):05}"


def printed_of_four(raw):
    """Yield the numbers a card may have printed on it, or a telephone may show."""
    yield f"{number_of(raw):010}"
    yield f"{number_of(raw):010} {raw[1]:03},{number_of(raw[2:]):05}"
    yield raw.hex()
    yield raw.hex(":")
    yield raw.hex("-").upper()
    yield raw[::-1].hex(":")
    yield f"{number_of(raw[:2]):05},{number_of(raw[2:]):05}"
    yield f"uid: {raw.hex(':')}"
    yield w34(raw)


@given(four)
def test_a_four_byte_card_opens_at_every_reader_by_any_printed_number(raw):
    for printed in printed_of_four(raw):
        for reading in readings_of_four(raw):
            assert opens(printed, reading), (printed, reading)


@given(st.integers(1, 0xFFFFFF), st.integers(0, 255))
def test_a_printed_24_bit_number_opens_at_longer_readers(low, high):
    raw = bytes([high]) + low.to_bytes(3, "big")
    for printed in (f"{raw[1]:03},{number_of(raw[2:]):05}", w26(raw[1:]), f"{raw[1]},{number_of(raw[2:])}"):
        for reading in (w26(raw[1:]), f"{number_of(raw):010}", raw.hex(), w34(raw), f"w40:01{raw.hex()}"):
            assert opens(printed, reading), (printed, reading)


@given(seven)
def test_a_seven_byte_card_opens_at_readers_of_all_four_or_three_bytes(raw):
    turned = raw[::-1]
    for printed in (raw.hex(), raw.hex(":"), f"w56:{turned.hex()}", f"w58:{raw.hex()}"):
        for each in (raw, turned):
            assert opens(printed, each.hex())
            assert opens(printed, f"w56:{each.hex()}")
            assert opens(printed, f"w58:{each.hex()}")
            for part in (each[:4], each[-4:]):
                assert opens(printed, w34(part)), (printed, part.hex())
                assert opens(printed, f"{number_of(part):010}")
        assert opens(printed, w26(raw[4:]))


@given(seven)
def test_a_card_registered_by_four_bytes_opens_at_a_seven_byte_reader(raw):
    for part in (raw[:4], raw[-4:], raw[:4][::-1], raw[-4:][::-1]):
        assert opens(w34(part), f"w58:{raw.hex()}")
        assert opens(w34(part), raw[::-1].hex())


@given(st.binary(min_size=5, max_size=5).filter(lambda raw: raw[1] != 0))
def test_a_forty_bit_tag_opens_at_readers_of_32_or_24_bits(raw):
    for printed in (raw.hex(":"), f"w40:{raw.hex()}"):
        for reading in (f"w42:{raw.hex()}", f"{number_of(raw[1:]):010}", w34(raw[1:]), w26(raw[2:])):
            assert opens(printed, reading), (printed, reading)
    assert opens(f"{number_of(raw[1:]):010}", f"w40:{raw.hex()}")


@given(four, four)
def test_no_other_four_byte_card_opens_at_a_full_reader(mine, other):
    assume(other not in (mine, mine[::-1]))
    for printed in (mine.hex(":"), f"{number_of(mine):010}", w34(mine)):
        assert not opens(printed, f"w32:{other.hex()}")
        assert not opens(printed, w34(other))


@given(four, st.integers(0, 255))
def test_equal_lower_bits_do_not_open_at_a_longer_reader(raw, high):
    other = bytes([high]) + raw[1:]
    assume(other not in (raw, raw[::-1]))
    assert not opens(raw.hex(":"), f"w32:{other.hex()}")
    assert opens(raw.hex(":"), w26(other[1:]))  # 26 bits cannot tell the cards apart: only one may be issued


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("0006729715", "0006729715"),
        ("  0006729715\n", "0006729715"),
        ("\uff10\uff10\uff10\uff16\uff17\uff12\uff19\uff17\uff11\uff15", "0006729715"),
        ("0006729715 102,45043", "0006729715"),
        ("102,45043", "W26:102-45043"),
        ("012,00345", "W26:12-345"),
        ("01234,56789", "W34:1234-56789"),
        ("12-3456", "W26:12-3456"),
        ("1234 5678", "12345678"),
        ("1234-5678", "12345678"),
        ("04:a1:b2:c3", "W32:04A1B2C3"),
        ("04 A1 B2 C3 D4 E5 F6", "W56:04A1B2C3D4E5F6"),
        ("04a1b2c3", "04A1B2C3"),
        (";0012345678?", "0012345678"),
        ("%B0012345678?", "0012345678"),
        ("No. 0012345678", "0012345678"),
        ("\u5361\u53f7\uff1a0012345678", "0012345678"),
        ("w26:012-003456", "W26:12-3456"),
        ("W32:4a1b2c3", "W32:04A1B2C3"),
        ("w42:0100ab12cd", "W42:0100AB12CD"),
        ("0000123", "0000123"),
        ("GATE-1234", "GATE1234"),
    ],
)
def test_a_number_has_one_normal_form(written, plain):
    assert card_numbers.plain(written) == plain
    assert card_numbers.plain(plain) == plain


@pytest.mark.parametrize(
    "text",
    ["", "   ", "0000000000", "123", "A" * 41, "00:00:00:00", "000,00000", "\u0664" * 3, "w26:256-1", "w26:1-65536",
     "w26:ABC", "w32:1-2", "w24:1000000", "w32:1FFFFFFFF", "70000,1", "1,70000", "0006729715 102,45027",
     "'; DROP TABLE cards; --", "12345678\x00", "\udc80\udc80\udc80\udc80"],
)  # fmt: skip
def test_an_invalid_number_is_refused_with_the_next_step(text):
    with pytest.raises(CredentialError):
        card_numbers.plain(text)
    assert card_readings.numbers_in(text) == card_readings.names_before_readings(text) == frozenset()


def test_zeros_count_as_digits():
    """A printed number of seven digits is valid, even if six of them are zeros."""
    assert opens("0000012", "0000000012")
    assert opens("00000012", "12".zfill(10))


@pytest.mark.parametrize(
    ("text", "is_random"),
    [
        ("08A1B2C3", True),
        ("08:12:34:56", True),
        ("w32:08123456", True),
        ("w34:2209-45763", True),
        (f"{0x08A1B2C3:010}", True),
        ("08123456", False),
        ("04A1B2C3", False),
        ("C3B2A108", False),
        ("0812345678", False),
        ("w26:8-1", False),
        ("08A1B2C3D4E5F6", False),
    ],
)
def test_a_random_uid_is_recognised(text, is_random):
    assert card_readings.is_random(text) == is_random


def test_a_reading_shared_by_most_cards_is_not_used():
    """24-bit cards start with a zero byte and NXP cards start with 04. Otherwise every tenth card would match another
    card.
    """
    assert not {name for name in card_readings.given("0006729715") if name.startswith("3:") and name.endswith("00")}
    assert not {name for name in card_readings.given("04A1B2C3D4E5F6") if name.startswith("3:") and name.endswith("04")}


@given(st.text(max_size=50))
def test_any_text_is_a_number_or_refused(text):
    try:
        number = card_numbers.plain(text)
    except CredentialError:
        return
    assert card_numbers.plain(number) == number
    assert number.isascii()
    assert card_readings.given(number) == card_readings.given(text)
    assert card_readings.given(text) & card_readings.numbers_in(text)
    assert len(card_readings.given(text)) <= 16
    assert len(card_readings.numbers_in(text)) <= 16
    card_readings.is_random(text)
    assert all(reading for _, reading in card_readings.shown(text))


def test_the_readings_are_shown_in_readable_form():
    lines = dict(card_readings.shown("04A1B2C3"))
    assert lines["hex"] == "04A1B2C3"
    assert lines["decimal"] == "0077705923"
    assert "printed" in lines["26 bits"]

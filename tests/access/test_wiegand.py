"""Card numbers in Wiegand bits: right parity and right length, or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.access.wiegand import LAYOUTS, RAW, card_number

bits_of_any_length = st.text("01", max_size=80)


def frame(facility, number, facility_bits, number_bits, guarded):
    """As a reader would send it, written down from the format's definition and not from our own code."""
    data = f"{facility:0{facility_bits}b}{number:0{number_bits}b}"
    even = data[:guarded].count("1") % 2
    odd = 1 - data[-guarded:].count("1") % 2
    return f"{even}{data}{odd}"


FORMATS = {26: (8, 16, 12), 34: (16, 16, 16), 37: (16, 19, 18)}


@pytest.mark.parametrize(
    ("bits", "number"),
    [
        ("1" + "00000001" + "0000000000000001" + "0", "w26:1-1"),
        ("0" + "00001100" + "0000110110000000" + "1", "w26:12-3456"),
        ("00000100101000011011001011000011", "w32:04A1B2C3"),
        (f"{0x04A1B2C3D4E5F6:056b}", "w56:04A1B2C3D4E5F6"),
        (f"{0xE004015012345678:064b}", "w64:E004015012345678"),
    ],
)
def test_a_frame_written_by_hand_is_read(bits, number):
    assert card_number(bits) == number


@pytest.mark.parametrize("length", FORMATS)
@given(data=st.data())
def test_every_card_of_every_format_is_read_and_no_two_alike(length, data):
    facility_bits, number_bits, guarded = FORMATS[length]
    facility = data.draw(st.integers(0, 2**facility_bits - 1))
    number = data.draw(st.integers(0, 2**number_bits - 1))
    bits = frame(facility, number, facility_bits, number_bits, guarded)
    assert card_number(bits) == f"w{length}:{facility}-{number}"


@pytest.mark.parametrize("length", FORMATS)
@given(data=st.data())
def test_one_wrong_bit_is_no_card(length, data):
    facility_bits, number_bits, guarded = FORMATS[length]
    bits = frame(
        data.draw(st.integers(0, 2**facility_bits - 1)),
        data.draw(st.integers(0, 2**number_bits - 1)),
        facility_bits,
        number_bits,
        guarded,
    )
    wrong = data.draw(st.integers(0, length - 1))
    assert card_number(bits[:wrong] + str(1 - int(bits[wrong])) + bits[wrong + 1 :]) is None


@given(bits_of_any_length.filter(lambda bits: len(bits) not in {*LAYOUTS, *RAW}))
def test_another_length_is_no_card(bits):
    assert card_number(bits) is None


@pytest.mark.parametrize("length", [*LAYOUTS, *RAW])
@pytest.mark.parametrize("bit", "01")
def test_a_broken_wire_is_no_card(length, bit):
    assert card_number(bit * length) is None


@pytest.mark.parametrize("odd", ["2", " ", "-", "_", "+", "\u0661", "\uff11", "\n", "\0", "'"])
@pytest.mark.parametrize("length", [*LAYOUTS, *RAW])
def test_what_is_no_bit_is_no_card(length, odd):
    bits = "01" * (length // 2) + "0" * (length % 2)
    for at in (0, length // 2, length - 1):
        assert card_number((bits[:at] + odd + bits[at + 1 :])[:length]) is None


@given(bits_of_any_length | st.text(max_size=70))
def test_whatever_comes_a_number_is_plain_letters_and_digits(bits):
    number = card_number(bits)
    assert number is None or set(number) <= set("0123456789ABCDEFw:-")


@pytest.mark.parametrize("length", RAW)
@given(data=st.data())
def test_two_tags_never_share_a_number(length, data):
    one, other = (data.draw(st.integers(1, 2**length - 2)) for _ in range(2))
    numbers = [card_number(f"{uid:0{length}b}") for uid in (one, other)]
    assert None not in numbers
    assert (numbers[0] == numbers[1]) == (one == other)

"""Card numbers from Wiegand bits: correct parity and length give a number, anything else gives a hint for the
installer.
"""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gated.access.readers.wiegand import DATA, FIELDS, KEYPAD_KEYS, PARITIES, decode_frame, is_whole
from gated.people import card_numbers as numbers
from gated.people import card_readings

WITH_PARITY = (26, 34, 35, 36, 37, 42, 48, 58, 66)
RAW = (24, 32, 40, 56, 64, 80, 27, 50, 128)


def ones(bits, places):
    return sum(bits[place] == "1" for place in places)


def halves(data, first, last):
    """Return the bits with an even parity bit before and an odd one after. Written from the format specification."""
    return f"{data[:first].count('1') % 2}{data}{1 - data[len(data) - last :].count('1') % 2}"


def corporate(data, count):
    """Return a HID Corporate 1000 frame, encoded by its published masks. Bit 0 is the last bit."""
    masks = {
        35: (0x1_B6DB6DB6, 0x3_6DB6DB6C, 33, 34),
        48: (0x1B6D_B6DB6DB6, 0x36DB_6DB6DB6C, 46, 47),
    }
    even_mask, odd_mask, even_at, all_at = masks[count]
    word = int(data, 2) << 1
    word |= ((word & even_mask).bit_count() % 2) << even_at
    word |= 1 - (word & odd_mask).bit_count() % 2
    word |= (1 - word.bit_count() % 2) << all_at
    return f"{word:0{count}b}"


def encoded(count, value):
    """Return a frame of this format with this value between its parity bits."""
    width = {35: 32, 48: 45}.get(count, count - 2)
    data = f"{value % (1 << width):0{width}b}"
    if count in (35, 48):
        return corporate(data, count)
    guarded = {26: 12, 34: 16, 36: 17, 37: 18, 42: 20, 58: 28, 66: 32}[count]
    return halves(data, guarded, guarded)


def turned(bits):
    return bits.translate(str.maketrans("01", "10"))


values = st.integers(0, 2**64 - 1)


@pytest.mark.parametrize(
    ("bits", "number"),
    [
        ("1" + "00000001" + "0000000000000001" + "0", "w26:1-1"),
        ("0" + "00001100" + "0000110110000000" + "1", "w26:12-3456"),
        ("00000100101000011011001011000011", "w32:04A1B2C3"),
        (f"{0x04A1B2C3D4E5F6:056b}", "w56:04A1B2C3D4E5F6"),
        (f"{0xE004015012345678:064b}", "w64:E004015012345678"),
        (f"{0x0100AB12CD:040b}", "w40:0100AB12CD"),
        (f"{0xA1B2C3:024b}", "w24:A1B2C3"),
        (f"{5:050b}", "w50:0000000000005"),
    ],
)
def test_a_hand_written_frame_is_read(bits, number):
    assert decode_frame(bits).card == number


@pytest.mark.parametrize("count", FIELDS)
@given(value=values)
def test_facility_and_number_of_every_format_are_read(count, value):
    bits = encoded(count, value)
    assume(len(set(bits)) > 1)
    facility_bits, number_bits = FIELDS[count]
    value %= 1 << (facility_bits + number_bits)
    assert decode_frame(bits).card == f"w{count}:{value >> number_bits}-{value % (1 << number_bits)}"


@pytest.mark.parametrize("count", DATA)
@given(value=values)
def test_the_value_between_the_parity_bits_is_read(count, value):
    value %= 1 << DATA[count]
    bits = encoded(count, value)
    assume(len(set(bits)) > 1)
    prefix, _, digits = decode_frame(bits).card.partition(":")
    assert (prefix, int(digits, 16)) == (f"w{count}", value)


@pytest.mark.parametrize("count", RAW)
@given(value=values)
def test_frames_of_other_lengths_are_read_unchanged(count, value):
    value = value % ((1 << count) - 2) + 1
    prefix, _, digits = decode_frame(f"{value:0{count}b}").card.partition(":")
    assert (prefix, int(digits, 16)) == (f"w{count}", value)


@pytest.mark.parametrize("count", [*WITH_PARITY, *RAW])
@given(value=values)
def test_a_shown_number_can_be_registered_as_it_is(count, value):
    bits = encoded(count, value) if count in WITH_PARITY else f"{value % ((1 << count) - 2) + 1:0{count}b}"
    number = decode_frame(bits).card
    assume(number)
    if set(number.partition(":")[2]) - {"0", "-"}:
        assert numbers.plain(number) == number.upper()
        assert card_readings.given(number) & card_readings.numbers_in(number)


@pytest.mark.parametrize("count", WITH_PARITY)
@given(value=values, at=st.integers(0, 65))
def test_a_frame_with_one_wrong_bit_is_refused(count, value, at):
    bits, at = encoded(count, value), at % count
    wrong = bits[:at] + turned(bits[at]) + bits[at + 1 :]
    assume(len(set(wrong)) > 1)
    if count == 36:  # two makers use this length: a frame wrong for one format may be right for the other
        assert not all(parity.holds(wrong) for parity in PARITIES[36][0])
    else:
        assert decode_frame(wrong).card == ""
        assert "parity wrong" in decode_frame(wrong).odd


@pytest.mark.parametrize("count", [count for count in WITH_PARITY if count != 36])
@given(value=values)
def test_swapped_wires_give_no_card_and_are_reported(count, value):
    bits = turned(encoded(count, value))
    assume(len(set(bits)) > 1)
    heard = decode_frame(bits)
    assert heard.card == ""
    assert heard.odd == f"{count} bits, parity wrong: D0 and D1 swapped?"


def test_swapped_wires_are_reported_only_if_swapping_gives_a_valid_frame():
    bits = encoded(26, 0x123456)
    wrong = turned(bits[0]) + bits[1:]
    assert decode_frame(wrong).odd == "26 bits, parity wrong: noise on the wires, or a format that is not known"


@pytest.mark.parametrize("bit", "01")
def test_a_broken_wire_gives_no_card(bit):
    heard = {count: decode_frame(bit * count) for count in range(4, 129)}
    assert [count for count, each in heard.items() if each.card or not (each.key or each.odd)] == []
    named = f"D{1 - int(bit)} is not connected"
    assert [count for count, each in heard.items() if count >= 24 and named not in each.odd] == []


@pytest.mark.parametrize(("key", "value"), [(key, value) for value, key in enumerate(KEYPAD_KEYS)])
def test_a_key_of_a_keypad_comes_as_four_bits_or_eight(key, value):
    assert decode_frame(f"{value:04b}").key == key
    assert decode_frame(f"{15 - value:04b}{value:04b}").key == key


@given(st.text("01", min_size=4, max_size=23))
def test_a_short_frame_is_a_key_or_noise_and_never_a_card(bits):
    heard = decode_frame(bits)
    assert heard.card == ""
    assert bool(heard.key) != bool(heard.odd)
    if heard.key and len(bits) == 8:
        assert bits[:4] == turned(bits[4:])


@pytest.mark.parametrize("odd", ["2", " ", "-", "_", "+", "\u0661", "\uff11", "\n", "\0", "'"])
def test_an_invalid_bit_gives_no_card_and_no_key(odd):
    for count in (4, 8, *WITH_PARITY, *RAW):
        bits = "01" * (count // 2) + "0" * (count % 2)
        for at in (0, count // 2, count - 1):
            heard = decode_frame((bits[:at] + odd + bits[at + 1 :])[:count])
            assert (heard.card, heard.key) == ("", ""), (count, at)


@given(st.text("01", max_size=140) | st.text(max_size=70))
def test_any_frame_is_a_card_a_key_or_noise_and_its_repr_has_no_number(bits):
    heard = decode_frame(bits)
    assert sum(map(bool, (heard.card, heard.key, heard.odd))) == 1
    assert set(heard.card) <= set("0123456789ABCDEFw:-")
    assert not heard.card or heard.card not in repr(heard)
    assert not heard.card or is_whole(bits)


@pytest.mark.parametrize("count", RAW)
@given(data=st.data())
def test_two_tags_never_share_a_number(count, data):
    one, other = (data.draw(st.integers(1, 2**count - 2)) for _ in range(2))
    numbers = [decode_frame(f"{uid:0{count}b}").card for uid in (one, other)]
    assert "" not in numbers
    assert (numbers[0] == numbers[1]) == (one == other)

"""Decode a Wiegand frame: a card number, a key of a keypad, or an error for the installer.

A reader pulses D0 for a 0 and D1 for a 1. The number of bits selects the format, and parity bits detect a damaged
frame. Pure: one frame in, one result out.

Formats with parity, from their published layouts (bit 0 is sent first):
- 26 (HID H10301), 34 (HID H10306, N10002), 37 (HID H10302 and H10304: the same bits as one number or as two), and 42,
  58 and 66 for UIDs: an even parity bit over the first half of the data, the data, and an odd parity bit over the
  second half. The halves of 37 share the middle bit.
- 35 and 48 (HID Corporate 1000): an odd parity bit over all bits, an even parity bit over two of every three, facility,
  number, and an odd parity bit over another two of every three.
- 36 (Keyscan C15001, HID Simplex S12906): 34 data bits between two parity bits. The two makers use different parity.

Formats without parity: 24, 32, 40, 56, 64 and 80 bits are a plain UID (ISO/IEC 14443-3, ISO/IEC 15693-3). Any other
length from 24 bits on counts as a plain number. A keypad key has 4 bits, or 8: the complement of the key, then the key.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from gated.people.card_numbers import DATA, FIELDS

LEAST_CARD, MOST_CARD = 24, 128
"""The smallest and largest number of bits of a card. A stranger could try all shorter numbers within a minute, and most
short frames are noise.
"""
KEYPAD_KEYS = "0123456789*#"
"""The keys of a keypad, by their number."""


class Parity(Struct, frozen=True):
    """One parity rule: the bits at these places contain an even (or odd) number of 1 bits."""

    is_odd: bool
    places: frozenset[int]

    def holds(self, bits: str) -> bool:
        """Return whether these bits satisfy the rule."""
        return sum(bits[place] == "1" for place in self.places) % 2 == self.is_odd


@dataclass(frozen=True, slots=True)
class WiegandReading:
    """The result of a frame. One field is set: `card` (such as "w26:12-3456" or "w32:04A1B2C3"), `key`, or `odd`, an
    error text for the installer.
    """

    card: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    odd: str = ""


def decode_frame(bits: str) -> WiegandReading:
    """Return the result of a frame. `bits` is a text of 0 and 1."""
    count = len(bits)
    if set(bits) - {"0", "1"} or not bits:
        return WiegandReading(odd="data that is not bits")
    if count in (4, 8):
        return _key(bits)
    if not LEAST_CARD <= count <= MOST_CARD:
        return WiegandReading(odd=f"{count} bits, which no card has: a loose wire, a long cable, or noise")
    if len(set(bits)) == 1:
        return WiegandReading(odd=f"{count} bits, all of them {bits[0]}: D{1 - int(bits[0])} is not connected")
    if not is_whole(bits):
        turned = "".join("10"[int(bit)] for bit in bits)
        why = "D0 and D1 swapped?" if is_whole(turned) else "noise on the wires, or a format that is not known"
        return WiegandReading(odd=f"{count} bits, parity wrong: {why}")
    return WiegandReading(card=_number(bits))


def is_whole(bits: str) -> bool:
    """Return whether the parity of these bits is correct. Returns True for a length without parity."""
    sets = PARITIES.get(len(bits), ())
    return not sets or any(all(parity.holds(bits) for parity in each) for each in sets)


def _key(bits: str) -> WiegandReading:
    value = int(bits[-4:], 2)
    is_key = value < len(KEYPAD_KEYS) and (len(bits) == 4 or int(bits[:4], 2) == 15 - value)
    return (
        WiegandReading(key=KEYPAD_KEYS[value])
        if is_key
        else WiegandReading(odd=f"{len(bits)} bits that match no key of a keypad")
    )


def _number(bits: str) -> str:
    """Return the card number of a frame with correct parity."""
    count = len(bits)
    if count in FIELDS:
        facility, number = FIELDS[count]
        data = bits[-1 - facility - number : -1]
        return f"w{count}:{int(data[:facility], 2)}-{int(data[facility:], 2)}"
    data = bits[1:-1] if count in DATA else bits
    return f"w{count}:{int(data, 2):0{-(-len(data) // 4)}X}"


def _around(count: int, guarded: int) -> Sequence[Parity]:
    """Return two parity rules: an even bit at the start and an odd bit at the end. Each covers itself and the `guarded`
    bits next to it.
    """
    return Parity(False, frozenset(range(guarded + 1))), Parity(True, frozenset(range(count - guarded - 1, count)))


def _corporate(count: int) -> Sequence[Parity]:
    """Return the parity rules of HID Corporate 1000. Places count from the last bit, which is sent last."""
    even = {place for place in range(1, count - 2) if place % 3} | {count - 2}
    odd = {0} | {place for place in range(2, count - 1) if place % 3 != 1}
    return _from_last(count, False, even), _from_last(count, True, odd), _from_last(count, True, range(count))


def _from_last(count: int, is_odd: bool, places: Iterable[int]) -> Parity:
    return Parity(is_odd, frozenset(count - 1 - place for place in places))


PARITIES: dict[int, tuple[Sequence[Parity], ...]] = {
    **{count: (_around(count, count // 2 - 1),) for count in (26, 34, 42, 58, 66)},
    35: (_corporate(35),),
    36: (_around(36, 17), (Parity(True, frozenset(range(18))), Parity(True, frozenset(range(17, 36))))),
    37: (_around(37, 18),),
    48: (_corporate(48),),
}
"""The parity rules for each number of bits. Of several sets, one must hold completely."""

"""Card numbers in the bits of a Wiegand reader. Pure: a frame in, a number or nothing out.

A card reader pulls D0 for a 0 and D1 for a 1. How many bits come says which format it is; the formats here begin with
an even parity bit over the first half of what follows and end with an odd one over the second half. Layouts: HID's
"Card Format Definitions" for H10301 (26 bits) and H10304 (37 bits, whose halves share the middle bit); H10306 (34 bits)
is the same with 16 bits of facility. Readers for NFC tags send the tag's UID as it is, 32, 56 or 64 bits and no parity
(ISO/IEC 14443-3: four or seven bytes; ISO/IEC 15693: eight).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """Bits of a frame between its two parity bits, and how many of them each parity bit guards."""

    facility: int
    number: int
    guarded: int


LAYOUTS = {26: Layout(8, 16, 12), 34: Layout(16, 16, 16), 37: Layout(16, 19, 18)}
RAW = (32, 56, 64)


def card_number(bits: str) -> str | None:
    """The number in a frame, with its format: "w26:12-3456" is facility and card, "w32:04A1B2C3" a UID.

    None for another length, wrong parity, anything that is no bit, and a UID of one value throughout: that is a wire.
    """
    if len(bits) in LAYOUTS and set(bits) == {"0", "1"}:
        return _parted(bits, LAYOUTS[len(bits)])
    if len(bits) in RAW and set(bits) == {"0", "1"}:
        return f"w{len(bits)}:{int(bits, 2):0{len(bits) // 4}X}"
    return None


def _parted(bits: str, layout: Layout) -> str | None:
    """Facility and card number, where both parities are right."""
    first, last = bits[: layout.guarded + 1], bits[-layout.guarded - 1 :]
    if first.count("1") % 2 != 0 or last.count("1") % 2 != 1:
        return None
    facility, number = bits[1 : layout.facility + 1], bits[layout.facility + 1 : -1]
    return f"w{len(bits)}:{int(facility, 2)}-{int(number, 2)}"

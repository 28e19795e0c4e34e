"""Card numbers: convert a printed number or a reader's number to a plain number, and to its bytes.

Used by `card_readings`.
Pure functions. Sources: ISO/IEC 14443-3 (UIDs of 4, 7 and 10 bytes), ISO/IEC 15693-3 (8 bytes), EM4100 data sheet (40
bits; 32 or 24 of them are printed). Wiegand formats: see `access.wiegand`.
"""

import re
import unicodedata
from collections.abc import Iterator

from msgspec import Struct

from gated.errors import CredentialError

LEAST, MOST = 4, 40
"""Minimum and maximum number of digits or letters of a card number."""
THREE, FOUR = 3, 4
"""Numbers of bytes that readers send of a longer UID."""

FIELDS = {26: (8, 16), 34: (16, 16), 35: (12, 20), 37: (16, 19), 48: (22, 23)}
"""Wiegand formats with facility and number: total bits -> bits of facility and number."""
DATA = {36: 34, 42: 40, 58: 56, 66: 64}
"""Wiegand formats with one value between parity bits: total bits -> bits of the value. Other formats contain only a
value.
"""
SIZES = {24: 3, 32: 4, 40: 5, 42: 5, 56: 7, 58: 7, 64: 8, 66: 8, 80: 10}
"""Wiegand formats that contain a UID: total bits -> bytes of the UID."""

WIRED = re.compile(r"W([0-9]{2,3}):(?:([0-9]{1,12})-([0-9]{1,12})|([0-9A-F]{1,40}))")
LABEL = re.compile(r"(?:UID|CSN|ID|NO|NR|SN|卡号|编号)[.:№ ]+")
PRINTED = re.compile(r"([0-9]{8,10})[ /;]+([0-9]{1,3})[,. /-]([0-9]{5})")
PAIR = re.compile(
    r"([0-9]{1,3}) ?[,/-] ?([0-9]{1,5})|([0-9]{4,5}) ?[,/] ?([0-9]{1,5})|([0-9]{3}|[0-9]{5})[ .-]([0-9]{5})"
)
BYTES = re.compile(r"(?=.*[A-F:])[0-9A-F]{2}(?:[:. -][0-9A-F]{2}){2,19}")
SEPARATORS = re.compile(r"[\s:,._/-]")


class Known(Struct, frozen=True):
    """Known bytes of a card, highest byte first. `is_sure` is False if the number may also mean something else."""

    raw: bytes
    is_sure: bool = True

    @property
    def size(self) -> int:
        """Return the number of known bytes."""
        return len(self.raw)

    @property
    def turned(self) -> bytes:
        """Return the bytes in reverse order. Three bytes of a longer UID stay as they are, because their other order is
        unknown.
        """
        return self.raw[::-1] if self.size > THREE else self.raw


def plain(text: str) -> str:
    """Return the normal form of a card number, printed on the card or sent by a reader. The gate sends and digests this
    form.

    Zeros count as digits. A wired reader's number has its format first: "W26:12-3456". Raises `CredentialError`.
    """
    bare = unicodedata.normalize("NFKC", text).upper().strip().removeprefix("%B").strip(" ;%?\t\r\n")
    bare = LABEL.sub("", bare, count=1).strip() if LABEL.match(bare) else bare
    for form, read in ((WIRED, _wired), (PRINTED, _printed), (PAIR, _pair), (BYTES, _bytes)):
        if match := form.fullmatch(bare):
            return read(match)
    compact = SEPARATORS.sub("", bare)
    if not re.fullmatch(f"[0-9A-Z]{{{LEAST},{MOST}}}", compact) or not compact.strip("0"):
        raise CredentialError(
            f"a card's number has {LEAST} to {MOST} digits or letters A to Z, and not only zeros; for a "
            "wired reader, write the format first, as in w26:12-3456; `gated readers show` shows a "
            "reader's output"
        )
    return compact


def known(number: str, *, is_from_reader: bool = False) -> list[Known]:
    """Return the possible bytes of a plain number.

    `is_from_reader`: a reader sent it. Readers keep leading zeros, people drop them.
    """
    if match := WIRED.fullmatch(number):
        return _known_wired(match)
    if not number.isdigit():  # also for ""
        digits = number.zfill(len(number) + len(number) % 2)
        return [Known(bytes.fromhex(digits))] if re.fullmatch("[0-9A-F]{6,40}", digits) else []
    found = [*_decimal(number, is_from_reader=is_from_reader)]
    if len(number) in (8, 10, 14, 16, 20):  # a hex number may have decimal digits only
        found.append(Known(bytes.fromhex(number), is_sure=len(number) in (8, 14) or not found))
    return found


def _decimal(number: str, *, is_from_reader: bool) -> Iterator[Known]:
    """Yield the possible bytes of decimal digits.

    Up to ten digits: four bytes. Eight digits: also the padded lower three bytes. "3+5" and "5+5" digits: two numbers
    without a comma.
    """
    value, length = int(number), len(number)
    for most, size in ((10, 4), (14, 5), (17, 7), (20, 8)):
        if length <= most and (length != 14 or number[0] == "0") and value < 1 << 8 * size:
            yield Known(value.to_bytes(size, "big"))
            break
    if (length == 8 or (length < 8 and not is_from_reader)) and value < 1 << 24:
        yield Known(value.to_bytes(THREE, "big"), is_sure=False)
    high, low = number[:-5], number[-5:]
    if length == 8 and int(high) < 1 << 8 and int(low) < 1 << 16:
        yield Known(bytes([int(high)]) + int(low).to_bytes(2, "big"), is_sure=False)
    if length == 10 and int(high) < 1 << 16 and int(low) < 1 << 16:
        yield Known(int(high).to_bytes(2, "big") + int(low).to_bytes(2, "big"), is_sure=False)


def _known_wired(match: re.Match[str]) -> list[Known]:
    bits, digits = int(match[1]), match[4]
    if digits is not None:
        return [Known(bytes.fromhex(digits))] if bits in SIZES else []
    value = int(match[2]) << FIELDS[bits][1] | int(match[3])
    if bits in (26, 34):
        return [Known(value.to_bytes(bits // 8, "big"))]
    if bits == 37:  # in format H10302 this is one number of 35 bits, and cards show it as one
        return [Known(value.to_bytes(FOUR if value < 1 << 32 else 5, "big"), is_sure=False)]
    return []


def _wired(match: re.Match[str]) -> str:
    bits, facility, card, digits = int(match[1]), match[2], match[3], match[4]
    sizes = FIELDS.get(bits)
    if sizes is not None and digits is None and int(facility) < 1 << sizes[0] and int(card) < 1 << sizes[1]:
        return f"W{bits}:{int(facility)}-{int(card)}"
    value_bits = DATA.get(bits, bits)
    if sizes is None and 24 <= bits <= 128 and digits is not None and int(digits, 16) < 1 << value_bits:
        return f"W{bits}:{int(digits, 16):0{-(-value_bits // 4)}X}"
    raise CredentialError(
        f"no reader of {bits} bits sends this number; write w26:12-3456 or w32:04A1B2C3, as shown by "
        "`gated readers show`"
    )


def _printed(match: re.Match[str]) -> str:
    """Return the ten digits of a printed pair. The second part must repeat the lower 24 bits, as on most tags."""
    value, high, low = (int(group) for group in match.groups())
    if value & 0xFFFFFF != high << 16 | low:
        raise CredentialError("the two numbers do not belong together; read them again, or give only one")
    return match[1]


def _pair(match: re.Match[str]) -> str:
    """Return facility and number in wired form: three and five digits have 24 bits, five and five digits have 32."""
    first, second = (group for group in match.groups() if group is not None)
    high, low = int(first), int(second)
    if low >= 1 << 16 or high >= 1 << 16 or not (high or low):
        raise CredentialError("each part of a number in two parts is at most 65535; read the number again")
    return f"W26:{high}-{low}" if len(first) <= 3 and high < 1 << 8 else f"W34:{high}-{low}"


def _bytes(match: re.Match[str]) -> str:
    digits = SEPARATORS.sub("", match[0])
    if not digits.strip("0"):
        raise CredentialError("a card's number cannot consist of zeros only; read it again")
    return f"W{len(digits) * 4}:{digits}" if len(digits) * 4 in SIZES else digits

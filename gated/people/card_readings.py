"""Card readings: one card has several possible numbers, depending on the reader. Pure functions.

A card has an identity: UID bytes, or facility and number. Each kind of reader sends a part of the identity in its own
format: ten decimal digits of four bytes in either byte order, eight hex digits, "012,34567" of the lower three bytes,
26 or 34 Wiegand bits, or all bytes. `given` returns all readings of a card; the gate stores the card under each of
them. `said` returns the few names to look up for the number that a reader sends. Both return sets of short texts.
"4:04A1B2C3" stands for four bytes. "<3:A1B2C3" stands for a card with only three known bytes, at a reader that sends
more.

The known bytes decide the readings. A card stored by its lower 24 bits opens at a reader that sends 32 bits. A card
stored by 32 bits does not open for another card with the same lower 24 bits, if the reader sends all 32.

Sources: ISO/IEC 14443-3 (UIDs of 4, 7 and 10 bytes; a UID of 4 bytes that begins with 08 is random), ISO/IEC 15693-3 (8
bytes, the highest byte is E0), EM Microelectronic EM4100 (40 bits; 32 or 24 of them are printed). Wiegand formats: see
`access.wiegand`.
"""

from collections.abc import Iterable, Iterator

from gated.errors import CredentialError
from gated.people.card_numbers import FOUR, THREE, WIRED, Known, known, plain

RANDOM = 0x08
"""First byte of a random four-byte UID, which changes at every use (ISO/IEC 14443-3, random UID)."""
NXP, ISO_15693 = 0x04, 0xE0
"""First byte of most UIDs of seven bytes, and of all UIDs of eight bytes."""


def given(text: str) -> frozenset[str]:
    """Return all readings under which the gate stores a card with this number. Raises `CredentialError`."""
    number = plain(text)
    return frozenset({_older(number), *_coded(number), *(name for k in known(number) for name in _given(k))})


def numbers_in(text: str) -> frozenset[str]:
    """Return the names to look up for the number that a reader sends; empty for an invalid number."""
    number = _number(text)
    values = known(number, is_from_reader=True)
    return frozenset(filter(None, (_older(number), *_coded(number), *map(_name, _raws(values)), *_cut(values))))


def precise_names(text: str) -> frozenset[str]:
    """Return those names of a reader's number that compare more than 24 bits of a card."""
    values = known(_number(text), is_from_reader=True)
    if values and all(each.size <= THREE for each in values):
        return frozenset()
    return frozenset(name for name in numbers_in(text) if name.partition(":")[0] not in ("3", "<3"))


def names_before_readings(text: str) -> frozenset[str]:
    """Return the names of a reader's number for a card that was stored by one number, before readings existed."""
    return frozenset(_known_before(map(_name, _raws(known(_number(text), is_from_reader=True)))))


def readings_of_older_cards(text: str) -> frozenset[str]:
    """Return the names under which a card may have been stored before readings existed. Raises `CredentialError`."""
    return frozenset(_known_before(given(text)))


def weak(text: str) -> frozenset[str]:
    """Return the readings of a card that contain only 24 of its bits. Raises `CredentialError`."""
    return frozenset(name for name in given(text) if name.partition(":")[0] in ("3", "<3"))


def own_name(text: str) -> str:
    """Return the card's own name: its plain number without leading zeros. Raises `CredentialError`."""
    return _older(plain(text))


def is_random(text: str) -> bool:
    """Return whether the number looks like a random UID: it would change at every use. Raises `CredentialError`."""
    number = plain(text)
    if number.isdigit() and len(number) < 10:
        return False
    return any(k.is_sure and k.size == FOUR and k.raw[0] == RANDOM for k in known(number))


def shown(text: str) -> list[tuple[str, str]]:
    """Return the readings of a card for people, as pairs of reader format and number. Raises `CredentialError`."""
    number = plain(text)
    lines = [("as it was given", number)]
    for each in known(number):
        if each.is_sure:
            lines += _shown(each)
    return list(dict.fromkeys(lines))


def _number(text: str) -> str:
    """Return the plain number, or "" for invalid text."""
    try:
        return plain(text)
    except CredentialError:
        return ""


def _given(each: Known) -> Iterator[str]:
    """Yield the readings of a card with these known bytes."""
    yield _name(each.raw)
    yield _name(each.turned)
    if each.size <= FOUR and (each.is_sure or each.size == THREE):  # a reader may send more bytes than are known
        yield _name(each.raw, "<")
        yield _name(each.turned, "<")
    if each.is_sure:
        yield from (_name(part) for part in _parts(each.raw))


def _raws(values: Iterable[Known]) -> Iterator[bytes]:
    return (each.raw for each in values)


def _cut(values: Iterable[Known]) -> Iterator[str]:
    """Yield the names of cards with fewer known bytes than this reader sends."""
    for each in values:
        if each.is_sure:
            yield from (_name(part, "<") for part in _parts(each.raw))


def _parts(raw: bytes) -> set[bytes]:
    """Return the parts that other readers send: four bytes of a longer UID in both orders, and the lower three of any
    four.

    It omits three bytes that end with a maker's byte or a leading zero: too many cards share them.
    """
    is_turned = (len(raw) == 8 and raw[-1] == ISO_15693) or (len(raw) == 7 and raw[-1] == NXP != raw[0])
    uid = raw[::-1] if is_turned else raw
    fours = {uid[-FOUR:]} if len(uid) >= FOUR else set()
    if len(uid) == 7:
        fours.add(uid[:FOUR])
    threes = {four[1:] for four in fours}
    threes |= {four[::-1][1:] for four in fours if four[0] and (len(uid), four) != (7, uid[:FOUR])}
    return threes | (fours | {four[::-1] for four in fours} if len(uid) > FOUR else set())


def _coded(number: str) -> Iterator[str]:
    """Yield the number itself if a wired reader sends it."""
    if WIRED.fullmatch(number):
        yield number


def _known_before(names: Iterable[str]) -> Iterator[str]:
    """Yield the forms in which earlier versions read these bytes. Databases of these versions contain these forms."""
    for name in names:
        size, _, digits = name.partition(":")
        if size == "3":
            yield f"W26:{int(digits[:2], 16)}-{int(digits[2:], 16)}"
        if size in ("4", "7", "8"):
            yield f"W{int(size) * 8}:{digits}"
            yield digits.lstrip("0") if digits.isdigit() else digits
        if size == "4":
            yield f"W34:{int(digits[:4], 16)}-{int(digits[4:], 16)}"
            yield str(int(digits, 16))


def _older(number: str) -> str:
    """Return the number as it was digested before readings existed. The card's own name still uses this form."""
    return number.lstrip("0") if number.isdigit() else number


def _name(raw: bytes, less: str = "") -> str:
    return f"{less}{len(raw)}:{raw.hex().upper()}"


def _shown(each: Known) -> Iterator[tuple[str, str]]:
    for raw, order in ((each.raw, ""), (each.turned, ", bytes turned")):
        if each.size > THREE:
            yield f"hex{order}", raw.hex().upper()
        if each.size == FOUR:
            yield f"decimal{order}", f"{int.from_bytes(raw, 'big'):010}"
            yield f"34 bits{order}", f"w34:{int.from_bytes(raw[:2], 'big')}-{int.from_bytes(raw[2:], 'big')}"
        elif each.size == 5:
            yield f"decimal{order}", f"{int.from_bytes(raw, 'big'):013}"
    threes = [each.raw] if each.size == THREE else sorted(part for part in _parts(each.raw) if len(part) == THREE)
    for part in threes:
        high, low = part[0], int.from_bytes(part[1:], "big")
        yield "26 bits", f"w26:{high}-{low}, printed {high:03},{low:05}"
    if each.size == THREE:
        yield "where more is told", f"any number whose last three bytes are {each.raw.hex().upper()}"
    yield from ((f"{FOUR} bytes of it", part.hex().upper()) for part in sorted(_parts(each.raw)) if len(part) == FOUR)

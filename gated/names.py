"""One normal form for every name in access rules: households, roles, schedules, gates, doors. Pure.

Two spellings of one name must never be two names. Otherwise a person could avoid a rule with another spelling.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable
from functools import lru_cache

ID = re.compile(r"^[a-z0-9][a-z0-9_-]{0,62}\Z")
"""The form of the id of a site, a gate or a role. Ids stand in settings, topics and file names."""
MORE_DASHES = "\u2212\u02d7\u2043\u2796\u2500\u2501\u30fc"
"""Characters that people type for a hyphen, outside of Unicode's category Pd: minus, bullet, box drawing, the Japanese
long vowel.
"""
DASH = re.compile(r" ?-[- ]*")
UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800")
"""Invisible characters that Unicode classifies as letters or marks: joiners, fillers, an empty braille cell."""
SEPARATORS = re.compile(
    r"(?:(?<![a-z])(?:flat|apt|apartment|room|rm|unit|block|building|bldg|no)(?![a-z])"
    r"|单元|單元|[-\s/\\\u2044\u2215_.,:;~、。・•·#栋棟幢座楼樓号號室户戶房])+"
)
"""Words and characters between the numbers of a flat."""
NUMERALS = "零〇一二三四五六七八九"
CYRILLIC = dict(zip("авекмнорстухзіјѕӏԁԛԝё", "abekmh0pctyx31js1dqwe", strict=True))
GREEK = dict(zip("αβεζηικμνορτυχ", "abezh1kmn0ptyx", strict=True))
ALIKE = str.maketrans(
    CYRILLIC | GREEK | dict(zip("oil|\u0131", "01111", strict=True)) | dict(zip(NUMERALS, "00123456789", strict=True))
)
"""Characters that people confuse, in lower case: letters of other scripts with capitals like Latin capitals, and
Chinese numerals.
"""
DIGITS = str.maketrans(NUMERALS, "00123456789")
TEN = re.compile(r"([1-9]?)十([1-9]?)")
"""The character for ten in a Chinese number, after the other numerals became digits: 十 is 10, 十2
is 12, 2十 is 20.
"""
NUMBERS = re.compile(r"[0-9]+")
SLIP = 0.8
"""The least `difflib.SequenceMatcher.ratio` of two words that may differ by a typing error."""


@lru_cache(maxsize=20_000)
def plain(name: str) -> str:
    """Return the normal form: NFKC, lower case, one kind of dash, no invisible characters, single spaces.

    Two names are the same if their normal forms are equal. The normal form of a normal form is the same text.
    """
    before = ""
    while name != before:
        before, name = name, unicodedata.normalize("NFKC", tidy(name).casefold())
    return name


@lru_cache(maxsize=20_000)
def tidy(name: str) -> str:
    """Return the name in the form that is stored and shown: as `plain`, with its capital letters."""
    before = ""
    while name != before:
        before, name = name, _once(name)
    return name


def signs(text: str) -> str:
    """Return the text with each character as in `plain`. The number of spaces and dashes does not change."""
    before = ""
    while text != before:
        before, text = text, unicodedata.normalize("NFKC", _signs(text).casefold())
    return text


def id_of(text: str) -> str:
    """Return the id of a site, a gate or another thing in the settings. A text that is no valid id becomes its normal
    form.
    """
    return text if ID.fullmatch(text) else plain(text)


def is_same(name: str, other: str) -> bool:
    """Return whether two texts are the same name."""
    return plain(name) == plain(other)


def numbers(name: str) -> tuple[str, ...]:
    """Return the numbers in a name as digits, in order: "三号楼2-0502" has 3, 2 and 0502."""
    return tuple(NUMBERS.findall(TEN.sub(_tens, plain(name).translate(DIGITS))))


def _tens(ten: re.Match[str]) -> str:
    return f"{ten[1] or 1}{ten[2] or 0}"


def spellings(name: str, used: Iterable[str]) -> list[str]:
    """Return the normal form, and then every other spelling of this name in `used`."""
    normal = plain(name)
    return [normal, *sorted({each for each in used if each != normal and plain(each) == normal})]


def near(name: str, others: Iterable[str]) -> str | None:
    """Return a flat in `others` with a similar but different name: 3-5O2 or 3502 for 3-502. Return None if there is
    none.

    Similar names differ only in characters that look alike (0/O, 1/l/I, an A of another script), in a missing
    separator, in zeros before a number, in numerals (三 for 3), or in words such as 号楼, 室 and Room.

    A name with other digits is another flat.
    """
    normal, name_parts = plain(name), _parts(name)
    for other in others:
        if plain(other) != normal and (other_parts := _parts(other)) and _is_near(name_parts, other_parts):
            return other
    return None


def closest(word: str, known: Iterable[str], likeness: float = 0.6) -> str | None:
    """Return the known word that is most similar to a word.

    Return None if no `difflib.SequenceMatcher.ratio` is at least `likeness`.
    """
    from difflib import get_close_matches  # needed for typing errors only, and no start should wait for it

    return next(iter(get_close_matches(word, list(known), 1, likeness)), None)


def near_word(name: str, others: Iterable[str]) -> str | None:
    """Return a role or schedule in `others` with a similar but different name. Return None if there is none."""
    normal = plain(name)
    known = {plain(other): other for other in others}
    words = [each for each in known if each != normal and NUMBERS.findall(each) == NUMBERS.findall(normal)]
    found = closest(normal, words, SLIP)
    return near(name, known.values()) if found is None else known[found]


def did_you_mean(name: str, known: Collection[str]) -> str:
    """Return the end of a sentence about an unknown name: the most similar known name, or all known names."""
    if not known:
        return "there are none yet"
    found = near(name, known) or closest(plain(name), sorted(known))
    if found is not None:
        return f"did you mean {found!r}?"
    return f"known: {', '.join(sorted(known)[:20])}"


def _once(name: str) -> str:
    return DASH.sub("-", " ".join(_signs(name).split()))


def _signs(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text  # its normal form is the same text
    return "".join(map(_sign, unicodedata.normalize("NFKC", text)))


def _sign(sign: str) -> str:
    if sign in MORE_DASHES:
        return "-"
    match unicodedata.category(sign):
        case "Pd":
            return "-"
        case "Cc":
            return " "
        case "Cf":
            return ""
        case "Nd":  # digits of other scripts become ASCII digits
            return str(unicodedata.digit(sign))
    return "" if sign in UNSEEN or "\ufe00" <= sign <= "\ufe0f" or "\U000e0100" <= sign <= "\U000e01ef" else sign


@lru_cache(maxsize=20_000)
def _parts(name: str) -> tuple[str, ...]:
    """Return the name split at its separators.

    Similar characters are made equal, and zeros before numbers are removed.
    """
    parts = [TEN.sub(_tens, part.translate(ALIKE)) for part in SEPARATORS.split(plain(name))]
    return tuple(part.lstrip("0") or "0" for part in parts if part)


def _is_near(name: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Return whether the parts are equal. Separators that only one name has do not count."""
    if name == other:
        return True
    return "".join(name) == "".join(other) and (_ends(name) <= _ends(other) or _ends(other) <= _ends(name))


def _ends(parts: tuple[str, ...]) -> set[int]:
    """Return the positions where the parts end, in characters."""
    total, ends = 0, set()
    for part in parts:
        total += len(part)
        ends.add(total)
    return ends

"""One normal form for every name that rules are bound to: households, roles, schedules, gates, doors.

Two spellings of one name must never be two names: whoever a rule restricts would pass by the other spelling. Pure.
"""

import difflib
import re
import unicodedata
from collections.abc import Collection, Iterable
from functools import lru_cache

ID = re.compile(r"^[a-z0-9][a-z0-9_-]{0,62}\Z")
"""Of a site, a gate, a role: what stands in settings, topics and file names."""
MORE_DASHES = "\u2212\u02d7\u2043\u2796\u2500\u2501\u30fc"
"""Signs that people type for a hyphen and that Unicode does not call a dash: minus, bullet, box drawing, the Japanese
long vowel. Its own dashes are the category Pd.
"""
DASH = re.compile(r" ?-[- ]*")
UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800")
"""Signs that show nothing and that Unicode calls letters or marks: joiners, fillers, an empty braille cell."""
SEPARATORS = re.compile(
    r"(?:(?<![a-z])(?:flat|apt|apartment|room|rm|unit|block|building|bldg|no)(?![a-z])"
    r"|单元|單元|[-\s/\\\u2044\u2215_.,:;~、。・•·#栋棟幢座楼樓号號室户戶房])+"
)
"""What stands between the numbers of a flat, in the words of different people."""
NUMERALS = "零〇一二三四五六七八九"
CYRILLIC = dict(zip("авекмнорстухзіјѕӏԁԛԝё", "abekmh0pctyx31js1dqwe", strict=True))
GREEK = dict(zip("αβεζηικμνορτυχ", "abezh1kmn0ptyx", strict=True))
ALIKE = str.maketrans(
    CYRILLIC | GREEK | dict(zip("oil|\u0131", "01111", strict=True)) | dict(zip(NUMERALS, "00123456789", strict=True))
)
"""Signs that are taken for each other, or say the same number, in small letters: those of other scripts that look like
Latin ones as capitals, and Chinese numerals.
"""
DIGITS = str.maketrans(NUMERALS, "00123456789")
TEN = re.compile(r"([1-9]?)十([1-9]?)")
"""Ten in a number written in Chinese, once its other numerals are digits: 十 is 10, 十2 is 12, 2十 is 20."""
NUMBERS = re.compile(r"[0-9]+")
SLIP = 0.8
"""`difflib.SequenceMatcher.ratio` from which a word may be another one with a slip of the finger."""


@lru_cache(maxsize=20_000)
def plain(name: str) -> str:
    """The normal form: NFKC, small letters, one kind of dash, no signs that cannot be seen, single spaces.

    Two names are one if this is the same of both. Applied twice it changes nothing more.
    """
    before = ""
    while name != before:
        before, name = name, unicodedata.normalize("NFKC", tidy(name).casefold())
    return name


@lru_cache(maxsize=20_000)
def tidy(name: str) -> str:
    """The name as it is kept and shown: as `plain`, with the capitals that it was written with."""
    before = ""
    while name != before:
        before, name = name, _once(name)
    return name


def signs(text: str) -> str:
    """Each sign as in `plain`; spaces and dashes stay as many as they are."""
    before = ""
    while text != before:
        before, text = text, unicodedata.normalize("NFKC", _signs(text).casefold())
    return text


def id_of(text: str) -> str:
    """The id of a site, a gate or another thing in the settings: as it is where it is one, or else as in `plain`."""
    return text if ID.fullmatch(text) else plain(text)


def is_same(one: str, other: str) -> bool:
    """Whether two texts spell one name."""
    return plain(one) == plain(other)


def numbers(name: str) -> tuple[str, ...]:
    """The numbers in a name as digits, in their order: "三号楼2-0502" has 3, 2 and 0502."""
    return tuple(NUMBERS.findall(TEN.sub(_tens, plain(name).translate(DIGITS))))


def _tens(ten: re.Match[str]) -> str:
    return f"{ten[1] or 1}{ten[2] or 0}"


def spellings(name: str, used: Iterable[str]) -> list[str]:
    """The normal form first, then every other spelling of that name among those that are used."""
    normal = plain(name)
    return [normal, *sorted({each for each in used if each != normal and plain(each) == normal})]


def near(name: str, others: Iterable[str]) -> str | None:
    """A flat among `others` that may be meant, and is not the same name: 3-5O2 or 3502 for 3-502; None for none.

    Near are names that differ only in signs that look alike (0/O, 1/l/I, an A of another script), in a separator that
    one of them leaves out, in zeros before a number, in numerals (三 for 3), or in words such as 号楼, 室 and Room.
    Other digits are another flat.
    """
    normal, mine = plain(name), _parts(name)
    for other in others:
        if plain(other) != normal and (theirs := _parts(other)) and _is_near(mine, theirs):
            return other
    return None


def near_word(name: str, others: Iterable[str]) -> str | None:
    """A role or a schedule among `others` that may be meant, and is not the same name; None for none."""
    normal = plain(name)
    known = {plain(other): other for other in others}
    words = [each for each in known if each != normal and NUMBERS.findall(each) == NUMBERS.findall(normal)]
    found = difflib.get_close_matches(normal, words, 1, SLIP)
    return known[found[0]] if found else near(name, known.values())


def did_you_mean(name: str, known: Collection[str]) -> str:
    """The end of a sentence about a name that is not known: the one that may be meant, or all that there are."""
    if not known:
        return "there are none yet"
    found = near(name, known) or next(iter(difflib.get_close_matches(plain(name), sorted(known), 1, 0.6)), None)
    if found is not None:
        return f"did you mean {found!r}?"
    return f"known: {', '.join(sorted(known)[:20])}"


def _once(name: str) -> str:
    return DASH.sub("-", " ".join(_signs(name).split()))


def _signs(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text  # each sign is itself
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
        case "Nd":  # digits of other scripts are the same numbers
            return str(unicodedata.digit(sign))
    return "" if sign in UNSEEN or "\ufe00" <= sign <= "\ufe0f" or "\U000e0100" <= sign <= "\U000e01ef" else sign


@lru_cache(maxsize=20_000)
def _parts(name: str) -> tuple[str, ...]:
    """The name between its separators, with signs that look alike as one and no zeros before a number."""
    parts = [TEN.sub(_tens, part.translate(ALIKE)) for part in SEPARATORS.split(plain(name))]
    return tuple(part.lstrip("0") or "0" for part in parts if part)


def _is_near(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether both are the same parts, or one leaves out separators that the other has."""
    if one == other:
        return True
    return "".join(one) == "".join(other) and (_ends(one) <= _ends(other) or _ends(other) <= _ends(one))


def _ends(parts: tuple[str, ...]) -> set[int]:
    """Where the parts end, counted in signs."""
    total, ends = 0, set()
    for part in parts:
        total += len(part)
        ends.add(total)
    return ends

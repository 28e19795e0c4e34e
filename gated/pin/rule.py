"""Which PINs will do: one rule for every place where a readable PIN enters. Pure.

A stranger tries first what many people choose: repeats, runs, walks over the keys, dates, numbers that everybody knows,
and the number on the door. Sources for what people choose: DataGenetics' count of 3.4 million PINs (2012), and Wang et
al., "Understanding Human-Chosen PINs" (2017), whose Chinese users choose dates and 520, 1314, 168 and the like.
"""

from collections.abc import Collection
from itertools import pairwise

LEAST, MOST = 4, 12
"""So many digits a PIN has, whatever a site asks for beside that."""
LINE = 3
"""So many digits at equal steps are one easy piece: 147, 258, 888, 987."""
YEARS = range(1930, 2040)
"""Years that a PIN may not begin or end with."""
SHORTEST_FLAT = 3
"""A flat number of fewer digits is found in PINs by chance."""
PIECES = (
    "1314", "5201314", "10086", "10010", "10000", "12306", "12345", "520", "521", "168", "518", "110", "119", "120",
    "122", "114", "911", "007", "886", "163", "5683",
)  # fmt: skip
"""Numbers that everybody knows: telephones of the police and of carriers, and digits that sound like words."""
FAMOUS = (
    "52013145201314", "13145211314521", "314159265358", "271828182845", "141421356237", "161803398874", "24681012",
    "1357911", "510152025", "112358132134",
)  # fmt: skip
SHAPES = (frozenset("1379"), frozenset("2468"), frozenset("0258"))
"""The corners of a keypad, the keys between them, and its middle column."""
KEYS = {key: (row, column) for row, keys in enumerate(("123", "456", "789")) for column, key in enumerate(keys)}
ZEROS = ((3, 1), (-1, 1), (3, 0))
"""Where the zero is: below the 8 on a telephone, below the 2 and below the 1 on a keyboard's pad."""
DATES = ("ymd", "dmy", "mdy")


def weakness(digits: str, least: int, flat: str = "", flats: Collection[str] = ()) -> str:
    """Why a PIN will not do, in words that end a sentence; empty where it will.

    `least`: so many digits the site asks for. `flat`: the holder's flat number in digits. `flats`: those of the whole
    site, none of which may be a PIN, for the keypad takes it for a flat number.
    """
    if not (digits.isascii() and digits.isdigit() and max(least, LEAST) <= len(digits) <= MOST):
        return f"a PIN has {max(least, LEAST)} to {MOST} digits"
    if why := pattern(digits):
        return why
    if is_date(digits):
        return "it looks like a date or a year"
    if digits in flats or (flat and is_of_flat(digits, flat)):
        return "it is made of a flat number"
    return ""


def is_weak(digits: str, least: int, flat: str = "", flats: Collection[str] = ()) -> bool:
    """Whether a PIN will not do."""
    return bool(weakness(digits, least, flat, flats))


def will_not_do(least: int) -> str:
    """The sentence for a PIN that is refused, the same for each weakness and for one that somebody has."""
    return (
        f"this PIN will not do: choose another of {max(least, LEAST)} to {MOST} digits that is no pattern, no date, no "
        "walk over the keypad and no flat number, or have one made"
    )


def is_obvious(digits: str) -> bool:
    """Whether it opens nothing at any keypad, whoever set it and when: too short, or a pattern tried first."""
    return not (digits.isascii() and digits.isdigit() and LEAST <= len(digits) <= MOST) or bool(pattern(digits))


def pattern(digits: str) -> str:
    """What pattern a PIN of digits is, in words; empty for none."""
    if _is_repeated(digits):
        return "it repeats its digits"
    if _is_pieced(digits) or _is_woven(digits) or any(digits in famous for famous in FAMOUS):
        return "it is a run of numbers, or one that many people choose"
    is_shape = any(shape.issuperset(digits) for shape in SHAPES)
    return "it is a walk over the keypad" if is_shape or _is_walk(digits) else ""


def is_date(digits: str) -> bool:
    """Whether it reads as a date in any order, or begins or ends with a year."""
    if len(digits) == 4:  # a year, or a day of the year
        return int(digits) in YEARS or any(_is_day(*halves) for halves in _halves(digits))
    if any(int(year) in YEARS for year in (digits[:4], digits[-4:])):
        return len(digits) <= 8 or _has_date(digits, 8)
    return _has_date(digits, 6) if len(digits) <= 7 else _has_date(digits, 8)


def is_of_flat(digits: str, flat: str) -> bool:
    """Whether somebody who knows the flat number would try this soon."""
    bare = digits.strip("0")
    if bare in (flat.strip("0"), flat[::-1].strip("0")):
        return True
    parts = {part for whole in (flat, flat[::-1]) for part in (whole, whole[-SHORTEST_FLAT:], whole[:SHORTEST_FLAT])}
    return digits in flat or any(len(part) >= SHORTEST_FLAT and part in digits for part in parts)


def _is_repeated(digits: str) -> bool:
    """One or two digits alone, one digit that is most of it, a block again and again, pairs, or the same backwards."""
    length = len(digits)
    if len(set(digits)) <= 2 or 2 * max(map(digits.count, digits)) > length + 1 or digits == digits[::-1]:
        return True
    if any(digits == (digits[:block] * length)[:length] for block in range(1, length // 2 + 1)):
        return True
    runs = _runs(digits)
    return min(runs[:-1]) == max(runs[:-1]) > 1 and runs[-1] <= runs[0]


def _runs(digits: str) -> list[int]:
    """How long each row of one digit is: 112223 is 2, 3, 1."""
    runs = [1]
    for one, other in pairwise(digits):
        if one == other:
            runs[-1] += 1
        else:
            runs.append(1)
    return runs


def _is_pieced(digits: str) -> bool:
    """Whether it is made of easy pieces alone, or of one long one and a digit."""
    length = len(digits)
    if length > LEAST and (_is_line(digits[1:]) or _is_line(digits[:-1])):
        return True
    ends = {0}
    for end in range(1, length + 1):
        if any(_is_piece(digits[begin:end]) for begin in ends if end - begin >= LINE):
            ends.add(end)
    return length in ends


def _is_woven(digits: str) -> bool:
    """Whether it counts in numbers of two digits (111213), or every other digit does (192837)."""
    if len(digits) < 2 * LINE:
        return False
    numbers = [int(digits[at : at + 2]) for at in range(0, len(digits) - 1, 2)]
    return len({other - one for one, other in pairwise(numbers)}) == 1 or all(
        _is_line(digits[start::2]) for start in (0, 1)
    )


def _is_piece(digits: str) -> bool:
    return digits in PIECES or _is_line(digits)


def _is_line(digits: str) -> bool:
    """Whether all steps are equal: as numbers, or up and down by one past the end (890, 109), or round the ten."""
    if len(digits) < LINE:
        return False
    steps = {int(other) - int(one) for one, other in pairwise(digits)}
    around = {step % 10 for step in steps}
    return len(steps) == 1 or around in ({1}, {9}) or (len(digits) > LINE and len(around) == 1)


def _is_walk(digits: str) -> bool:
    """Whether each key is beside the one before it, on any of the keypads that there are."""
    return any(_is_walk_on({**KEYS, "0": zero}, digits) for zero in ZEROS)


def _is_walk_on(keys: dict[str, tuple[int, int]], digits: str) -> bool:
    return all(
        max(abs(keys[one][0] - keys[other][0]), abs(keys[one][1] - keys[other][1])) <= 1
        for one, other in pairwise(digits)
    )


def _has_date(digits: str, length: int) -> bool:
    """Whether it begins or ends with a date of so many digits; one of eight has its year in full."""
    if len(digits) < length:
        return False
    return any(_reads_as(part, order) for part in (digits[:length], digits[-length:]) for order in DATES)


def _reads_as(digits: str, order: str) -> bool:
    """Whether digits are year, month and day in that order."""
    sizes = {"y": len(digits) - 4, "m": 2, "d": 2}
    parts, at = {}, 0
    for part in order:
        parts[part], at = digits[at : at + sizes[part]], at + sizes[part]
    return _is_day(parts["m"], parts["d"]) and (len(parts["y"]) == 2 or int(parts["y"]) in YEARS)


def _halves(digits: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (digits[:2], digits[2:]), (digits[2:], digits[:2])


def _is_day(month: str, day: str) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31

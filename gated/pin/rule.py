"""The PIN rule: which PINs are allowed. Every place that accepts a readable PIN uses this rule. Pure functions.

A stranger first tries the PINs that many people choose: repeats, sequences, walks over the keypad, dates, well-known
numbers and the flat number. Sources for common choices: DataGenetics' count of 3.4 million PINs (2012), and Wang et
al., "Understanding Human-Chosen PINs" (2017). Its Chinese users choose dates and 520, 1314, 168 and similar numbers.
"""

from collections.abc import Collection
from itertools import pairwise

LEAST_DIGITS, MOST_DIGITS = 4, 12
"""Minimum and maximum number of digits of a PIN. A site may ask for more digits, never for fewer."""
LEAST_RUN = 3
"""Minimum number of digits with equal steps that count as an easy sequence: 147, 258, 888, 987."""
REFUSED_YEARS = range(1930, 2040)
"""Years that a PIN may not begin or end with."""
SHORTEST_FLAT = 3
"""Minimum number of digits of a flat number to search for in PINs. Shorter numbers appear in PINs by chance."""
KNOWN_NUMBERS = (
    "1314", "5201314", "10086", "10010", "10000", "12306", "12345", "520", "521", "168", "518", "110", "119", "120",
    "122", "114", "911", "007", "886", "163", "5683",
)  # fmt: skip
"""Well-known numbers: telephone numbers of the police and of carriers, and digits that sound like words."""
KNOWN_SEQUENCES = (
    "52013145201314", "13145211314521", "314159265358", "271828182845", "141421356237", "161803398874", "24681012",
    "1357911", "510152025", "112358132134",
)  # fmt: skip
KEY_SHAPES = (frozenset("1379"), frozenset("2468"), frozenset("0258"))
"""Sets of keys that form a shape: the corners of a keypad, the keys between the corners, and the middle column."""
KEY_PLACES = {key: (row, column) for row, keys in enumerate(("123", "456", "789")) for column, key in enumerate(keys)}
ZEROS = ((3, 1), (-1, 1), (3, 0))
"""Row and column of the zero key: below the 8 on a telephone, below the 2 or below the 1 on a keyboard's number pad."""
DATES = ("ymd", "dmy", "mdy")


def weakness(digits: str, least: int, flat: str = "", flats: Collection[str] = ()) -> str:
    """Return why a PIN is refused, as the end of a sentence; empty for an allowed PIN.

    `least`: minimum number of digits that the site asks for. `flat`: the holder's flat number in digits. `flats`: all
    flat numbers of the site. No PIN may equal one, because the keypad reads these digits as a flat number.
    """
    if not (digits.isascii() and digits.isdigit() and max(least, LEAST_DIGITS) <= len(digits) <= MOST_DIGITS):
        return f"a PIN has {max(least, LEAST_DIGITS)} to {MOST_DIGITS} digits"
    if why := pattern(digits):
        return why
    if is_date(digits):
        return "it looks like a date or a year"
    if digits in flats or (flat and is_of_flat(digits, flat)):
        return "it is made of a flat number"
    return ""


def is_weak(digits: str, least: int, flat: str = "", flats: Collection[str] = ()) -> bool:
    """Return whether the PIN rule refuses a PIN (parameters as in `weakness`)."""
    return bool(weakness(digits, least, flat, flats))


def will_not_do(least: int) -> str:
    """Return the message for a refused PIN. A weak PIN and a PIN that another person has get the same message."""
    return (
        f"this PIN will not do: choose another of {max(least, LEAST_DIGITS)} to {MOST_DIGITS} digits that is "
        "no pattern, no date, no walk over the keypad and no flat number, or have one made"
    )


def is_obvious(digits: str) -> bool:
    """Return whether a PIN is too short, too long or a common pattern. This kind of PIN opens nothing at any keypad,
    even if it was set earlier.
    """
    return not (digits.isascii() and digits.isdigit() and LEAST_DIGITS <= len(digits) <= MOST_DIGITS) or bool(
        pattern(digits)
    )


def pattern(digits: str) -> str:
    """Return the pattern that a PIN of digits follows, in words; empty for no pattern."""
    if _is_repeated(digits):
        return "it repeats its digits"
    if _is_pieced(digits) or _is_woven(digits) or any(digits in famous for famous in KNOWN_SEQUENCES):
        return "it is a sequence of numbers, or a PIN that many people choose"
    is_shape = any(shape.issuperset(digits) for shape in KEY_SHAPES)
    return "it is a walk over the keypad" if is_shape or _is_walk(digits) else ""


def is_date(digits: str) -> bool:
    """Return whether the digits read as a date in any order, or begin or end with a year."""
    if len(digits) == 4:  # a year, or a month and a day
        return int(digits) in REFUSED_YEARS or any(_is_day(*halves) for halves in _halves(digits))
    if any(int(year) in REFUSED_YEARS for year in (digits[:4], digits[-4:])):
        return len(digits) <= 8 or _has_date(digits, 8)
    return _has_date(digits, 6) if len(digits) <= 7 else _has_date(digits, 8)


def is_of_flat(digits: str, flat: str) -> bool:
    """Return whether a stranger who knows the flat number would try this PIN early."""
    bare = digits.strip("0")
    if bare in (flat.strip("0"), flat[::-1].strip("0")):
        return True
    parts = {part for whole in (flat, flat[::-1]) for part in (whole, whole[-SHORTEST_FLAT:], whole[:SHORTEST_FLAT])}
    return digits in flat or any(len(part) >= SHORTEST_FLAT and part in digits for part in parts)


def _is_repeated(digits: str) -> bool:
    """Return whether the digits repeat: one or two different digits, one digit for most of the length, a repeated
    block, pairs, or a palindrome.
    """
    length = len(digits)
    if len(set(digits)) <= 2 or 2 * max(map(digits.count, digits)) > length + 1 or digits == digits[::-1]:
        return True
    if any(digits == (digits[:block] * length)[:length] for block in range(1, length // 2 + 1)):
        return True
    runs = _runs(digits)
    return min(runs[:-1]) == max(runs[:-1]) > 1 and runs[-1] <= runs[0]


def _runs(digits: str) -> list[int]:
    """Return the length of each run of equal digits: 112223 gives 2, 3, 1."""
    runs = [1]
    for digit, other in pairwise(digits):
        if digit == other:
            runs[-1] += 1
        else:
            runs.append(1)
    return runs


def _is_pieced(digits: str) -> bool:
    """Return whether the PIN consists of easy sequences only, or of one easy sequence and one more digit at an end."""
    length = len(digits)
    if length > LEAST_DIGITS and (_is_line(digits[1:]) or _is_line(digits[:-1])):
        return True
    ends = {0}
    for end in range(1, length + 1):
        if any(_is_piece(digits[begin:end]) for begin in ends if end - begin >= LEAST_RUN):
            ends.add(end)
    return length in ends


def _is_woven(digits: str) -> bool:
    """Return whether the PIN counts in two-digit numbers (111213), or both sets of alternate digits are sequences
    (192837).
    """
    if len(digits) < 2 * LEAST_RUN:
        return False
    numbers = [int(digits[at : at + 2]) for at in range(0, len(digits) - 1, 2)]
    return len({other - number for number, other in pairwise(numbers)}) == 1 or all(
        _is_line(digits[start::2]) for start in (0, 1)
    )


def _is_piece(digits: str) -> bool:
    return digits in KNOWN_NUMBERS or _is_line(digits)


def _is_line(digits: str) -> bool:
    """Return whether all steps between digits are equal: as plain numbers, up or down by one past the end (890, 109),
    or modulo ten for more than `LEAST_RUN` digits.
    """
    if len(digits) < LEAST_RUN:
        return False
    steps = {int(other) - int(digit) for digit, other in pairwise(digits)}
    around = {step % 10 for step in steps}
    return len(steps) == 1 or around in ({1}, {9}) or (len(digits) > LEAST_RUN and len(around) == 1)


def _is_walk(digits: str) -> bool:
    """Return whether each key is next to the key before it, on any keypad layout in `ZEROS`."""
    return any(_is_walk_on({**KEY_PLACES, "0": zero}, digits) for zero in ZEROS)


def _is_walk_on(keys: dict[str, tuple[int, int]], digits: str) -> bool:
    return all(
        max(abs(keys[digit][0] - keys[other][0]), abs(keys[digit][1] - keys[other][1])) <= 1
        for digit, other in pairwise(digits)
    )


def _has_date(digits: str, length: int) -> bool:
    """Return whether the PIN begins or ends with a date of `length` digits. A date of eight digits has a four-digit
    year.
    """
    if len(digits) < length:
        return False
    return any(_reads_as(part, order) for part in (digits[:length], digits[-length:]) for order in DATES)


def _reads_as(digits: str, order: str) -> bool:
    """Return whether the digits are year, month and day in this order."""
    sizes = {"y": len(digits) - 4, "m": 2, "d": 2}
    parts, at = {}, 0
    for part in order:
        parts[part], at = digits[at : at + sizes[part]], at + sizes[part]
    return _is_day(parts["m"], parts["d"]) and (len(parts["y"]) == 2 or int(parts["y"]) in REFUSED_YEARS)


def _halves(digits: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (digits[:2], digits[2:]), (digits[2:], digits[:2])


def _is_day(month: str, day: str) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31

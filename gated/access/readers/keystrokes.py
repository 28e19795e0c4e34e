"""Turn key presses of a reader or keypad into a card number or a PIN. Pure. It stores and logs nothing.

A USB card reader acts as a keyboard. It types the whole number, usually at once and usually with Enter at the end.
People are slower, end with # or Enter, and clear with * or Backspace. The settings can state which kind a device is.
Otherwise the timing decides: keys of a reader come faster or more evenly than a person types, or end with Tab.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from gated.config import UsbSettings
from gated.people import card_readings
from gated.pin.rule import MOST_DIGITS

BURST_S = 0.05
"""The longest pause between two keys of a fast reader, in seconds. No person types a whole number so fast."""
QUICK_S, EVEN_KEYS = 0.12, 8
"""Another sign of a reader: at least `EVEN_KEYS` keys with no pause above `QUICK_S` seconds. That is eight keys a
second.
"""
EVEN_S, SPREAD_S = 0.25, 0.03
"""The sign of a slower reader: at least `EVEN_KEYS` keys, pauses of at most `EVEN_S`, which differ by at most
`SPREAD_S`.
"""
BOUNCE_S = 0.03
"""If a keypad contact closes again within this time, in seconds, it counts as one press."""
MIN_CARD, MAX_KEYS = 4, 40
KEY_SILENCE_S = 5.0
"""After so many seconds without a key, the typed keys are discarded, because the person has left."""
NO_END_S = 0.4
"""The least silence, in seconds, that ends a number of a reader without an end key. Three times the reader's longest
pause is used if that is longer.
"""

ENTER, TAB, SPACE, HASH, CLEAR, ERASE = "\n", "\t", " ", "#", "*", "\b"
ENDS = {"enter": {ENTER}, "tab": {ENTER, TAB}, "space": {ENTER, SPACE}}
DIGIT_KEYS, LETTER_KEYS = frozenset("0123456789"), frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
UPPER_ROW = dict(zip("!@#$%^&*()", "1234567890", strict=True))
"""The digit row with Shift on an English keyboard. A reader set to French types its digits so."""
SIGN_KEYS = frozenset("!@#$%^&*()_+{}|:\"<>?-=[]\\;',./`~ \t")
"""Signs that some readers type before, after or between the digits."""
OTHER_SIGNS = "".join(SIGN_KEYS - UPPER_ROW.keys())
WITHIN = re.compile(r"[0-9A-Z]+(?:[-:,./ ][0-9A-Z]+)*")
FRENCH = str.maketrans({**UPPER_ROW, "A": "Q", "Q": "A"})
"""Undoes a French keyboard: digits need Shift, and A and Q are swapped."""


@dataclass(frozen=True, slots=True)
class TypedNumber:
    """One complete number. The text is not in its `repr`, so it reaches no log.

    "odd" means input that was not understood: `length` keys, and the reason in `why`, which contains no key.
    """

    kind: Literal["pin", "card", "odd"]
    text: str = field(repr=False)
    length: int = 0
    why: str = ""


class NumberCollector:
    """Collects the keys of one keyboard until they form a number. It holds at most `MAX_KEYS` keys."""

    def __init__(self, settings: UsbSettings | None = None, bounce_s: float = BOUNCE_S) -> None:
        """`bounce_s` is 0 for keys without contact bounce whose times do not come from the kernel."""
        self._bounce_s = bounce_s
        self._settings = settings or UsbSettings()
        self._ends = ENDS.get(self._settings.suffix, {ENTER, TAB})
        self._burst_s = self._settings.gap_ms / 1000 or BURST_S
        self._keys: list[str] = []
        self._gaps: list[float] = []
        self._at, self._last, self._length, self._is_odd = 0.0, "", 0, False

    @property
    def wait_s(self) -> float | None:
        """Return after how many seconds of silence to call `silence`. None means that no number has begun."""
        if not self._length:
            return None
        if not self._may_end_alone():
            return KEY_SILENCE_S
        return max(NO_END_S, 3 * self._settings.gap_ms / 1000, 3 * max(self._gaps, default=0.0))

    def silence(self) -> TypedNumber | None:
        """End the number, because no key came for `wait_s`. Return the result of the keys so far, if any."""
        if self._length and self._may_end_alone():
            return self._finish("")
        length, least = self._length, MIN_CARD if self._settings.kind == "card" else EVEN_KEYS
        self._clear()
        return _odd(length, "no key came that ends a number") if length >= least else None

    def add_key(self, key: str, now: float) -> TypedNumber | None:
        """Take one key. Return the number when it is complete. `now` is the time of the key press, in monotonic
        seconds.

        An unexpected key, too many keys or a clock that goes backwards make the whole number odd. The input stays
        invalid until a key ends or clears the number, or until a pause.
        """
        gap_s, before = now - self._at, self._last
        if self._settings.kind == "keypad" and key == before and 0 <= gap_s < self._bounce_s:
            return None
        self._at, self._last = now, key
        if gap_s > KEY_SILENCE_S:
            self._clear()
        elif self._length and not gap_s >= 0:
            self._is_odd = True
        if key == ERASE or (key == CLEAR and self._is_by_hand()):
            self._clear()
        elif key in self._ends or (key == HASH and self._is_by_hand()):
            return self._finish(key, gap_s)
        else:
            self._add_key(key, gap_s)
        return None

    def _add_key(self, key: str, gap_s: float) -> None:
        if not {HASH, CLEAR}.issuperset(self._keys):  # the pause after a leading # or * says nothing
            self._gaps.append(gap_s)
            del self._gaps[:-MAX_KEYS]
        self._length += 1
        if len(self._keys) < MAX_KEYS and (key in DIGIT_KEYS or key in LETTER_KEYS or key in SIGN_KEYS):
            self._keys.append(key)
        else:
            self._is_odd = True

    def _finish(self, end: str, gap_s: float = 0.0) -> TypedNumber | None:
        """Return what the keys so far mean, if anything. The next number begins after them."""
        keys, length, is_odd, is_card = self._keys, self._length, self._is_odd, self._is_card(end, gap_s)
        is_slip = self._is_slip()
        self._clear()
        if is_odd:
            return None if is_slip else _odd(length, "a key among them belongs to no number, or they are too many")
        if is_card and keys:
            return _handle_card(keys)
        digits = "".join(keys).lstrip(HASH + CLEAR)
        if not digits:
            return None
        if DIGIT_KEYS.issuperset(digits) and len(digits) <= MOST_DIGITS:
            return TypedNumber("pin", digits)
        return None if is_slip else _odd(length, "not typed as a card reader does, and no PIN")

    def _is_slip(self) -> bool:
        """Return whether unreadable keys are a typing error of a person: few keys, and not from a reader. The installer
        need not know.
        """
        if self._settings.kind == "card":
            return False
        is_few = self._length < (MIN_CARD if self._is_burst() else EVEN_KEYS)
        return is_few or (self._settings.kind == "keypad" and not self._is_burst())

    def _is_card(self, end: str, gap_s: float) -> bool:
        """Return whether a reader typed this. `end` is the key that ended it, `gap_s` seconds after the last key."""
        if self._settings.kind != "auto" or end == HASH or len(self._keys) < MIN_CARD:
            return self._settings.kind == "card"
        return end == TAB or self._is_readers() or (self._is_burst() and gap_s <= self._burst_s)

    def _is_burst(self) -> bool:
        return all(gap <= self._burst_s for gap in self._gaps)

    def _is_readers(self) -> bool:
        """Return whether no person can type like this. The key that follows does not matter."""
        if len(self._keys) < EVEN_KEYS or self._is_odd:
            return False
        longest, shortest = max(self._gaps, default=0.0), min(self._gaps, default=0.0)
        is_even = longest <= EVEN_S and longest - shortest <= SPREAD_S
        return self._is_burst() or longest <= QUICK_S or is_even

    def _may_end_alone(self) -> bool:
        """Return whether these keys can be a complete number without an end key."""
        if self._settings.suffix not in ("auto", "none") or self._is_odd or self._settings.kind == "keypad":
            return False
        return self._is_readers() or (self._settings.kind == "card" and len(self._keys) >= MIN_CARD)

    def _is_by_hand(self) -> bool:
        """Return whether # and * are keypad keys here. A reader set to French types them as digits, and types no plain
        digits.
        """
        if self._settings.kind != "auto":
            return self._settings.kind == "keypad"
        return self._is_odd or not DIGIT_KEYS.isdisjoint(self._keys)

    def _clear(self) -> None:
        self._keys, self._gaps = [], []
        self._length, self._is_odd = 0, False


def spelt(keys: Sequence[str]) -> str | None:
    """Return the number that a reader typed, for any keyboard setting, without signs around it. None if it is no
    number.
    """
    text = "".join(keys)
    if DIGIT_KEYS.isdisjoint(text) and not UPPER_ROW.keys().isdisjoint(text):
        text = text.strip(OTHER_SIGNS).translate(FRENCH)
    text = text.strip(" \t").removeprefix("%B").strip("".join(SIGN_KEYS))
    if "Q" in text and re.fullmatch("[0-9B-FQ]+", text):  # a reader set to French that uses Caps Lock for digits
        text = text.replace("Q", "A")
    return text if WITHIN.fullmatch(text) else None


def _handle_card(keys: Sequence[str]) -> TypedNumber:
    text = spelt(keys)
    if text is None:
        return _odd(len(keys), "signs among them that no number has")
    return TypedNumber("card", text) if card_readings.numbers_in(text) else _odd(len(keys), "no card has this number")


def _odd(length: int, why: str) -> TypedNumber:
    return TypedNumber("odd", "", length, why)

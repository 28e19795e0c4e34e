"""What was typed at a reader or a keypad: a card's number, or a PIN by a hand. Pure, and tells nobody.

A USB card reader is a keyboard that types the whole number, mostly at once and mostly with Enter behind it. People are
slow, end with # or Enter, and clear with * or Backspace. The settings may say that a device is one or the other. Else
its keys tell: those of a reader follow each other faster, or more evenly, than any hand's, or end with Tab.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from gated.config import UsbSettings
from gated.gallery import cards
from gated.pin.rule import MOST as MOST_DIGITS

BURST_S = 0.05
"""Keys of a reader follow each other within this; nobody types a whole number so fast."""
QUICK_S, EVEN_KEYS = 0.12, 8
"""Nor so many keys or more with never a longer pause between two of them: eight a second, for a second."""
EVEN_S, SPREAD_S = 0.25, 0.03
"""Slower readers are even: so many keys, at most so far apart, with pauses that differ by no more than this."""
BOUNCE_S = 0.03
"""A keypad's contact that closes again so soon was pressed once."""
MIN_CARD, MAX_KEYS = 4, 40
SILENCE_S = 5.0
"""After so long without a key, whoever typed is gone, and what was typed with them."""
NO_END_S = 0.4
"""A reader that types no key at the end is done after so long, or after three of its longest pauses."""

ENTER, TAB, SPACE, HASH, CLEAR, ERASE = "\n", "\t", " ", "#", "*", "\b"
ENDS = {"enter": {ENTER}, "tab": {ENTER, TAB}, "space": {ENTER, SPACE}}
DIGITS, LETTERS = frozenset("0123456789"), frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
UPPER_ROW = dict(zip("!@#$%^&*()", "1234567890", strict=True))
"""The row of digits with Shift, on a keyboard for English: a reader that is set to French types its digits so."""
SIGNS = frozenset("!@#$%^&*()_+{}|:\"<>?-=[]\\;',./`~ \t")
"""Some readers type signs before, behind or between the digits."""
OTHER_SIGNS = "".join(SIGNS - UPPER_ROW.keys())
WITHIN = re.compile(r"[0-9A-Z]+(?:[-:,./ ][0-9A-Z]+)*")
FRENCH = str.maketrans({**UPPER_ROW, "A": "Q", "Q": "A"})
"""A keyboard for French: digits with Shift, and another place for two of the letters that numbers have."""


@dataclass(frozen=True, slots=True)
class Typed:
    """A whole number as it was typed; it stays out of its `repr`, and so out of every log.

    "odd" is what nobody understands: `length` keys, and `why`, which tells no key.
    """

    kind: Literal["pin", "card", "odd"]
    text: str = field(repr=False)
    length: int = 0
    why: str = ""


class Typist:
    """One keyboard's keys, gathered until they are a number. Holds at most `MAX_KEYS` of them."""

    def __init__(self, settings: UsbSettings | None = None, bounce_s: float = BOUNCE_S) -> None:
        """`bounce_s`: 0 for keys that come without bounces, and whose times are not the kernel's."""
        self._bounce_s = bounce_s
        self._settings = settings or UsbSettings()
        self._ends = ENDS.get(self._settings.suffix, {ENTER, TAB})
        self._burst_s = self._settings.gap_ms / 1000 or BURST_S
        self._keys: list[str] = []
        self._gaps: list[float] = []
        self._at, self._last, self._length, self._is_odd = 0.0, "", 0, False

    @property
    def wait_s(self) -> float | None:
        """After so long a silence `silence` is to be asked; None: nothing was begun."""
        if not self._length:
            return None
        if not self._may_end_alone():
            return SILENCE_S
        return max(NO_END_S, 3 * self._settings.gap_ms / 1000, 3 * max(self._gaps, default=0.0))

    def silence(self) -> Typed | None:
        """No key has come for `wait_s`: what the keys so far say, if anything."""
        if self._length and self._may_end_alone():
            return self._whole("")
        length, least = self._length, MIN_CARD if self._settings.kind == "card" else EVEN_KEYS
        self._clear()
        return _odd(length, "no key came that ends a number") if length >= least else None

    def key(self, key: str, now: float) -> Typed | None:
        """Take one key; gives what was typed when it is whole. `now`: when the key went down, monotonic seconds.

        A key that is no part of a number, too many keys, and a clock that goes backwards spoil all until the next key
        that ends a number or clears it, or until the silence.
        """
        gap_s, before = now - self._at, self._last
        if self._settings.kind == "keypad" and key == before and 0 <= gap_s < self._bounce_s:
            return None
        self._at, self._last = now, key
        if gap_s > SILENCE_S:
            self._clear()
        elif self._length and not gap_s >= 0:
            self._is_odd = True
        if key == ERASE or (key == CLEAR and self._is_by_hand()):
            self._clear()
        elif key in self._ends or (key == HASH and self._is_by_hand()):
            return self._whole(key, gap_s)
        else:
            self._take(key, gap_s)
        return None

    def _take(self, key: str, gap_s: float) -> None:
        if not {HASH, CLEAR}.issuperset(self._keys):  # after a * that cleared nothing a card comes when it comes
            self._gaps.append(gap_s)
            del self._gaps[:-MAX_KEYS]
        self._length += 1
        if len(self._keys) < MAX_KEYS and (key in DIGITS or key in LETTERS or key in SIGNS):
            self._keys.append(key)
        else:
            self._is_odd = True

    def _whole(self, end: str, gap_s: float = 0.0) -> Typed | None:
        """What the keys up to this one say, if anything; the next number begins after it."""
        keys, length, is_odd, is_card = self._keys, self._length, self._is_odd, self._is_card(end, gap_s)
        is_slip = self._is_slip()
        self._clear()
        if is_odd:
            return None if is_slip else _odd(length, "a key among them belongs to no number, or they are too many")
        if is_card and keys:
            return _card(keys)
        digits = "".join(keys).lstrip(HASH + CLEAR)
        if not digits:
            return None
        if DIGITS.issuperset(digits) and len(digits) <= MOST_DIGITS:
            return Typed("pin", digits)
        return None if is_slip else _odd(length, "not typed as a card reader does, and no PIN")

    def _is_slip(self) -> bool:
        """Whether what makes no sense is a finger's slip, and nothing for the installer: few keys, not a reader's."""
        if self._settings.kind == "card":
            return False
        is_few = self._length < (MIN_CARD if self._is_burst() else EVEN_KEYS)
        return is_few or (self._settings.kind == "keypad" and not self._is_burst())

    def _is_card(self, end: str, gap_s: float) -> bool:
        """Whether a reader has typed this. `end`: the key that ended it, `gap_s` after the last one."""
        if self._settings.kind != "auto" or end == HASH or len(self._keys) < MIN_CARD:
            return self._settings.kind == "card"
        return end == TAB or self._is_readers() or (self._is_burst() and gap_s <= self._burst_s)

    def _is_burst(self) -> bool:
        return all(gap <= self._burst_s for gap in self._gaps)

    def _is_readers(self) -> bool:
        """Whether no hand types like this, whatever key comes behind it."""
        if len(self._keys) < EVEN_KEYS or self._is_odd:
            return False
        longest, shortest = max(self._gaps, default=0.0), min(self._gaps, default=0.0)
        is_even = longest <= EVEN_S and longest - shortest <= SPREAD_S
        return self._is_burst() or longest <= QUICK_S or is_even

    def _may_end_alone(self) -> bool:
        """Whether these keys may be a whole number without any key behind them."""
        if self._settings.suffix not in ("auto", "none") or self._is_odd or self._settings.kind == "keypad":
            return False
        return self._is_readers() or (self._settings.kind == "card" and len(self._keys) >= MIN_CARD)

    def _is_by_hand(self) -> bool:
        """Whether # and * are keys of a keypad here: a reader set to French types them as digits, and no others."""
        if self._settings.kind != "auto":
            return self._settings.kind == "keypad"
        return self._is_odd or not DIGITS.isdisjoint(self._keys)

    def _clear(self) -> None:
        self._keys, self._gaps = [], []
        self._length, self._is_odd = 0, False


def spelt(keys: Sequence[str]) -> str | None:
    """The number that a reader has typed, without the signs around it, however its keyboard is set; None for none."""
    text = "".join(keys)
    if DIGITS.isdisjoint(text) and not UPPER_ROW.keys().isdisjoint(text):
        text = text.strip(OTHER_SIGNS).translate(FRENCH)
    text = text.strip(" \t").removeprefix("%B").strip("".join(SIGNS))
    if "Q" in text and re.fullmatch("[0-9B-FQ]+", text):  # a reader set to French, with Caps Lock for its digits
        text = text.replace("Q", "A")
    return text if WITHIN.fullmatch(text) else None


def _card(keys: Sequence[str]) -> Typed:
    text = spelt(keys)
    if text is None:
        return _odd(len(keys), "signs among them that no number has")
    return Typed("card", text) if cards.said(text) else _odd(len(keys), "no card has such a number")


def _odd(length: int, why: str) -> Typed:
    return Typed("odd", "", length, why)

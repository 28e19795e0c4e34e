"""What was typed at a reader or a keypad: a card's number in one burst, or a PIN by a hand. Pure, and tells nobody.

A USB card reader is a keyboard that types the whole number at once and then Enter. People are slow, end with # or
Enter, and clear with *.
"""

from dataclasses import dataclass, field
from typing import Literal

BURST_S = 0.05
"""Keys of a reader follow each other within this; nobody types a whole number so fast."""
MIN_CARD = 4
MAX_KEYS = 32
SILENCE_S = 5.0
"""After so long without a key, whoever typed is gone, and what was typed with them."""

ENTER, HASH, CLEAR = "\n", "#", "*"
DIGITS = frozenset("0123456789")
CARD_KEYS = DIGITS | frozenset("ABCDEF")


@dataclass(frozen=True, slots=True)
class Typed:
    """A whole number as it was typed; it stays out of its `repr`, and so out of every log."""

    kind: Literal["pin", "card"]
    text: str = field(repr=False)


class Typist:
    """One keyboard's keys, gathered until they are a number. Holds at most `MAX_KEYS` of them."""

    def __init__(self) -> None:
        self._clear()
        self._at = 0.0

    def key(self, key: str, now: float) -> Typed | None:
        """Take one key; gives what was typed when it is whole. `now`: when the key went down, monotonic seconds.

        A key that is no part of a number, too many keys, and a clock that goes backwards spoil all until the next
        Enter, # or *, or until the silence.
        """
        gap_s, self._at = now - self._at, now
        if gap_s > SILENCE_S or key == CLEAR:
            self._clear()
            if key == CLEAR:
                return None
        elif self._keys and not gap_s >= 0:
            self._is_odd = True
        if self._keys and gap_s > BURST_S:
            self._is_burst = False
        if key in (ENTER, HASH):
            return self._whole(key)
        if key in CARD_KEYS and len(self._keys) < MAX_KEYS:
            self._keys.append(key)
        else:
            self._is_odd = True
        return None

    def _whole(self, end: str) -> Typed | None:
        """What the keys up to this one say, if anything; the next number begins after it."""
        keys, is_odd, is_burst = self._keys, self._is_odd, self._is_burst
        self._clear()
        if is_odd or not keys:
            return None
        if end == ENTER and is_burst and len(keys) >= MIN_CARD:
            return Typed("card", "".join(keys))
        return Typed("pin", "".join(keys)) if DIGITS.issuperset(keys) else None

    def _clear(self) -> None:
        self._keys: list[str] = []
        self._is_odd, self._is_burst = False, True

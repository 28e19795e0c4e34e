"""What a number at a keypad is: a flat number, a PIN alone, or the PIN after a flat number. Pure but for its memory.

Each ends with # or Enter. A flat number is taken for one wherever it is typed, for no PIN is one (`pin.rule`). Where
the site asks for flat numbers, whatever comes first is one, known or not.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

FLAT_S = 20.0
"""So long after a flat number the PIN may come; people who are slow, or listen to the whole prompt, have time."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A PIN to be looked at, and the flat number before it; None: there was none."""

    digits: str = field(repr=False)
    flat: str | None = field(default=None, repr=False)


class Keypad:
    """One keypad. Remembers a flat number until the PIN comes, or nothing does."""

    def __init__(self, is_flat: Callable[[str], bool], by_household: bool) -> None:
        self._is_flat, self._by_household = is_flat, by_household
        self._flat, self._at = "", 0.0

    def typed(self, digits: str, now: float) -> Entry | None:
        """Take a number that was typed whole; None where it is a flat number, and the PIN is to follow."""
        flat = self._flat if 0 <= now - self._at <= FLAT_S else ""
        self._flat = ""
        if self._is_flat(digits):
            self._flat, self._at = digits, now
            return None
        if flat or not self._by_household:
            return Entry(digits, flat or None)
        return Entry("", digits)

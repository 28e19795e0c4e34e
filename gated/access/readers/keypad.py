"""Classify a number from a keypad: a flat number, a PIN alone, or a PIN after a flat number. Pure except for its
memory.

Each number ends with # or Enter. A flat number is always recognised, because no PIN may equal one (`pin.rule`). If the
site requires flat numbers, the first number is always treated as one, known or not.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

FLAT_S = 20.0
"""How long after a flat number the PIN may come, in seconds. It gives time to slow people, and to people who listen to
the whole prompt.
"""


@dataclass(frozen=True, slots=True)
class PinEntry:
    """A PIN to check, and the flat number before it. `flat` is the flat number, or None if only a PIN was typed."""

    digits: str = field(repr=False)
    flat: str | None = field(default=None, repr=False)


class FlatPinKeypad:
    """One keypad. It remembers a flat number until the PIN comes or `FLAT_S` ends."""

    def __init__(self, is_flat: Callable[[str], bool], by_household: bool) -> None:
        self._is_flat, self._by_household = is_flat, by_household
        self._flat, self._at = "", 0.0

    def enter(self, digits: str, now: float) -> PinEntry | None:
        """Take one complete number. Return None if it is a flat number and the PIN must follow."""
        flat = self._flat if 0 <= now - self._at <= FLAT_S else ""
        self._flat = ""
        if self._is_flat(digits):
            self._flat, self._at = digits, now
            return None
        if flat or not self._by_household:
            return PinEntry(digits, flat or None)
        return PinEntry("", digits)

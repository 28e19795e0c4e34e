"""The mark of a person whose face alone may not open: a child, or a person who resembles another one.

The registrar sets it. Nothing is inferred from a face, and no reason is stored. The mark concerns the face only,
because only a face can be confused with another one: a card or a PIN of this person still opens alone.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

MarkKind = Literal["child", "alike"]
"""The kinds of a mark. `child`: a person under 14 years. `alike`: a person whose face resembles another person's."""


@dataclass(frozen=True, slots=True)
class FaceMark:
    """One mark. It ends at `until`, an aware time; None: it has no end. An unknown kind counts like "alike"."""

    kind: str
    until: datetime | None = None

    def holds(self, at: datetime | None) -> bool:
        """Return whether the mark holds at this time. Without a trusted time (None) it holds."""
        return at is None or self.until is None or not at >= self.until

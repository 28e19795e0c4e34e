"""Debouncing of one input, and detection of an implausible input. Pure."""

from msgspec import Struct
from msgspec.structs import replace

from gated.door.door_state import NOT_YET

CONTACT_S = 0.02
"""The longest debounce time of a contact. Its event must reach the brain in 50 ms; a reed bounces for under 5 ms."""
CHANGES_WINDOW_S = 10.0
MOST_CHANGES = 20
"""The most plausible changes within `CHANGES_WINDOW_S`. No leaf and no hand moves faster."""
UNSTABLE_S = 1.0
"""A line that is not stable for this long is implausible."""


class InputState(Struct, frozen=True):
    """The state of one input: its level (`raw`) and its debounced value (`is_active`). Times are monotonic seconds."""

    debounce_s: float
    """How long a new level must last before it is accepted. A spike is shorter."""
    is_active: bool = False
    raw: bool = False
    raw_since: float = NOT_YET
    unstable_since: float = NOT_YET
    """When the line stopped being stable."""
    changes: tuple[float, ...] = ()
    """The times at which `is_active` changed within the window."""
    is_implausible: bool = False

    @property
    def due_at(self) -> float:
        """Time of the next reading if no edge comes. Infinite if it need not."""
        return self.raw_since + self.debounce_s if self.raw != self.is_active else NOT_YET


def update_input(reading: InputState, raw: bool, now: float) -> InputState:
    """Return the input after one reading of its level. Call it at every edge, at `due_at`, and periodically."""
    if raw != reading.raw:
        reading = replace(reading, raw=raw, raw_since=now, unstable_since=min(reading.unstable_since, now))
    if now >= reading.due_at:
        reading = replace(reading, is_active=raw, changes=(*reading.changes, now)[-MOST_CHANGES - 1 :])
    if now >= reading.raw_since + reading.debounce_s:
        reading = replace(reading, unstable_since=NOT_YET)
    return _check_plausible(
        replace(reading, changes=tuple(at for at in reading.changes if now - at < CHANGES_WINDOW_S)), now
    )


def fault(reading: InputState, now: float) -> str:
    """Return why the input is implausible, or an empty string."""
    if len(reading.changes) > MOST_CHANGES:
        return f"it has changed more than {MOST_CHANGES} times in {CHANGES_WINDOW_S:.0f} s"
    if now - reading.unstable_since >= UNSTABLE_S:
        return "it does not keep still"
    return ""


def _check_plausible(reading: InputState, now: float) -> InputState:
    """Set `is_implausible` at the first fault. Clear it only after a whole window without changes."""
    is_calm = not reading.changes and reading.unstable_since == NOT_YET
    is_implausible = bool(fault(reading, now)) or (reading.is_implausible and not is_calm)
    return replace(reading, is_implausible=is_implausible)

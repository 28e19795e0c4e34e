"""Decide when rows of the journal are sent: together, with the status at each heartbeat. Pure. Used by `drain`.

A broker that counts messages then does not see when a person passes. Each heartbeat has one batch of rows; if nothing
has happened, it repeats the newest row. Urgent rows go at once, together with all rows before them.
"""

from collections.abc import Iterable

URGENT = frozenset(
    {
        *("call_pressed", "call_answered", "call_ended"),
        *("duress", "door_forced_open", "tampered", "fire_release", "presentation_attack"),
        *("pins_guessed", "cards_guessed"),
        *("person_enrolled", "person_removed", "person_suspended", "person_resumed"),
        *("records_applied", "record_quarantined", "record_accepted", "records_withheld"),
        *("commanded", "settings_tried", "face_shared", "lockdown"),
    }
)
"""Events that a person at the office waits for: an alarm, or the outcome of that person's own action."""
MOST_ROWS = 500
"""Number of new rows that are sent at once: so many rows are a flood."""


class UploadTiming:
    """Up to which row the journal may be sent now."""

    def __init__(self) -> None:
        self._journal, self._upto, self._seen = "", 0, 0

    def after(self, journal: str, head: int) -> int | None:
        """Return the row after which `look` needs the kinds of rows; None if no row is new."""
        if journal != self._journal or head < self._seen:
            return None
        return self._seen if head > self._seen else None

    def update(self, journal: str, head: int, kinds: Iterable[str], *, is_heartbeat: bool) -> int:
        """Return up to which row the journal may be sent.

        `head` is the newest row. `kinds` are the event kinds of the new rows.
        """
        kinds = list(kinds)
        is_other = journal != self._journal or head < self._seen
        if is_heartbeat or is_other or len(kinds) >= MOST_ROWS or not URGENT.isdisjoint(kinds):
            self._upto = head
        self._journal, self._seen = journal, head
        return self._upto

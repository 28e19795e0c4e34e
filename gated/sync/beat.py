"""When rows of the journal are said: together, on the beat of the status, so that a broker which counts messages does
not see when somebody passes. Pure.

A beat has one batch of rows, also where nothing has happened: then the newest row comes again. What somebody at the
office waits for goes at once, with all that is before it.
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
"""Facts by which somebody at the office sees that they are needed, or what came of what they did."""
MOST_ROWS = 500
"""So many rows at once are a flood, and wait for nothing."""


class Gathering:
    """Up to which row the journal may be said now."""

    def __init__(self) -> None:
        self._journal, self._upto, self._seen = "", 0, 0

    def after(self, journal: str, head: int) -> int | None:
        """After which row the kinds of rows are to be looked at, for `look`; None where no row is new."""
        if journal != self._journal or head < self._seen:
            return None
        return self._seen if head > self._seen else None

    def look(self, journal: str, head: int, kinds: Iterable[str], *, is_beat: bool) -> int:
        """How far it may be said: a journal with its newest row `head`, whose new rows are of these `kinds`."""
        kinds = list(kinds)
        is_other = journal != self._journal or head < self._seen
        if is_beat or is_other or len(kinds) >= MOST_ROWS or not URGENT.isdisjoint(kinds):
            self._upto = head
        self._journal, self._seen = journal, head
        return self._upto

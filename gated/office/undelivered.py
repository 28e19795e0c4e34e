"""Tracks data that does not arrive at a gate, or from a gate, although other messages of the gate arrive. Pure; `now`
is monotonic.

A removed person keeps access while their record is held back. So the office opens an alarm after ten minutes, even for
an offline gate. A broker may falsely report a gate as offline.
"""

from collections.abc import Sequence

from gated.protocol.lag import (
    COMMANDS,
    DATA_KINDS,
    EVENTS,
    HEARTBEATS,
    HELD_LISTS,
    MOST_TRACKED,
    PATIENCE_S,
    RECEIPTS,
    RECORDS,
    Lag,
    MissingSince,
)
from gated.protocol.limits import MAX_EVENTS
from gated.protocol.status_messages import JournalMark

PROBE_S = 20.0
"""Seconds between offers of a command without an answer, even after the operator has left. The gate then
asks, and learns that the command is void.
"""


class DeliveryTracker:
    """The tracker of one gate. The content of a status counts only if the status is fresh."""

    def __init__(self) -> None:
        self._records, self._rows = Lag(), Lag()
        self._receipts, self._lists, self._heartbeats = MissingSince(), MissingSince(), MissingSince()
        self._last_row, self._journal = 0, ""
        self._offered: dict[str, float] = {}
        self._probed_at = float("-inf")
        self._challenge, self._fresh_at = "", float("-inf")
        self._first_fresh_at: float | None = None
        self._is_deaf = False
        self.reported: Sequence[str] = ()
        """Kinds of data that the gate reports missing."""

    def note_published(self, version: int, now: float) -> None:
        """Record that the office has records up to `version`."""
        self._records.know(version, now)

    def note_applied(self, version: int) -> None:
        """Record that the gate has records up to `version`."""
        self._records.reach(version)

    def note_stale_status(self, challenge: str, now: float) -> None:
        """Record a status that does not echo a recent heartbeat. A repeat of the same status is ignored."""
        if challenge != self._challenge:
            self._challenge = challenge
            self._heartbeats.update(now, is_missing=True)
            self._is_deaf = self._heartbeats.is_overdue(now)

    def note_fresh_status(self, now: float) -> None:
        """Record a status that echoes a recent heartbeat."""
        self._fresh_at, self._is_deaf = now, False
        self._first_fresh_at = now if self._first_fresh_at is None else self._first_fresh_at
        self._heartbeats.update(now, is_missing=False)

    def note_journal(self, mark: JournalMark, last_row: int, now: float) -> None:
        """Compare the head of the gate's journal with `last_row`, the row up to which the office has it."""
        if mark.id != self._journal or last_row >= self._last_row + MAX_EVENTS:
            self._rows.forget()  # another journal, or a backlog that arrives as fast as the link allows
        self._journal, self._last_row = mark.id, last_row
        if mark.head > last_row:
            self._rows.know(mark.head, now)
        self._rows.reach(last_row)

    def note_owed(self, now: float, *, receipts: bool, lists: bool) -> None:
        """Record whether receipts for removed people, or the list of held-back people, are missing."""
        self._receipts.update(now, is_missing=receipts)
        self._lists.update(now, is_missing=lists)

    def note_offered(self, command_id: str, now: float) -> None:
        """Record that the gate was offered or sent a command."""
        if len(self._offered) < MOST_TRACKED:
            self._offered.setdefault(command_id, now)
        self._probed_at = now

    def note_answered(self, command_id: str) -> None:
        """Record that the gate answered a command."""
        self._offered.pop(command_id, None)

    def next_probe(self, now: float) -> str | None:
        """Return a command to offer again, now that the gate has been heard; None if there is none."""
        if not self._offered or now < self._probed_at + PROBE_S:
            return None
        self._probed_at = now
        return next(iter(self._offered))

    def overdue(self, now: float) -> list[str]:
        """Return the kinds of data missing for too long."""
        missing = {
            RECORDS: self._records.is_overdue(now),
            HEARTBEATS: self._is_deaf,
            COMMANDS: any(self._fresh_at >= offered_at + PATIENCE_S for offered_at in self._offered.values()),
            EVENTS: self._rows.is_overdue(self._fresh_at),
            RECEIPTS: self._receipts.is_overdue(self._fresh_at),
            HELD_LISTS: self._lists.is_overdue(self._fresh_at),
        }
        return [kind for kind in DATA_KINDS if missing[kind]]

    def delivered(self) -> list[str]:
        """Return the kinds of data known not to be missing. Just after the office's start, most are still unknown."""
        if self._first_fresh_at is None:
            return []
        if self._fresh_at >= self._first_fresh_at + PATIENCE_S:
            overdue = self.overdue(self._fresh_at)
            return [kind for kind in DATA_KINDS if kind not in overdue and kind not in self.reported]
        missing = {
            RECORDS: self._records.is_missing,
            HEARTBEATS: self._is_deaf,
            COMMANDS: bool(self._offered),
            EVENTS: self._rows.is_missing,
            RECEIPTS: self._receipts.since is not None,
            HELD_LISTS: self._lists.since is not None,
        }
        return [kind for kind in DATA_KINDS if not missing[kind] and kind not in self.reported]

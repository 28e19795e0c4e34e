"""Detect data that does not arrive at the gate although the office is alive: a broker may hold back some messages.

Pure; all times are monotonic seconds. An echo of a newer challenge proves that the office is alive. Data is withheld if
it had been missing for `PATIENCE_S` at the time of that challenge. Used by `GateSide`, `CommandExchange` and
`LostFunctions`.
"""

from collections.abc import Sequence

from gated.protocol.lag import (
    COMMANDS,
    EVENTS,
    HEARTBEATS,
    MOST_TRACKED,
    PATIENCE_S,
    RECEIPTS,
    RECORDS,
    Lag,
    MissingSince,
)
from gated.protocol.limits import MAX_EVENTS

QUESTION_INTERVAL_S = 60.0
"""Interval, in seconds, after which the gate asks again about an unanswered command."""
ENDS_S = 180.0
"""The office asks for a missing receipt with every status. After this many seconds without a request it has the
receipt.
"""


class WithheldData:
    """What is missing at this gate."""

    def __init__(self, now: float) -> None:
        self._records, self._others, self._rows = Lag(), MissingSince(), Lag()
        self._acked = 0
        self._connected_at = self._novel_at = now
        self._asked: dict[str, float] = {}
        self._asked_at = now
        self._receipts: dict[str, float] = {}
        self._receipts_wanted_at: float | None = None
        self.reported_by_office: Sequence[str] = ()
        """What the office reports as not arriving at its end."""

    def start_connection(self, now: float) -> None:
        """Take note of a new connection."""
        self._connected_at = now

    def note_new_message(self, now: float) -> None:
        """Take note of a message from the office that is not a repetition."""
        self._novel_at = now

    def note_records(self, version: int, target: int, now: float, *, is_other: bool) -> None:
        """Take note that the gate has records up to `version` and the office up to `target`.

        `is_other` says that the two hold different records under the same number.
        """
        if target > version:
            self._records.know(target, now)
        self._records.reach(version)
        self._others.update(now, is_missing=is_other)

    def note_rows(self, sent: int, acked: int, now: float) -> None:
        """Store that the journal was sent up to row `sent`, and acknowledged by the office up to row `acked`."""
        if acked < self._acked or acked >= self._acked + MAX_EVENTS:
            self._rows.forget()  # another journal, or old rows drain as fast as the line allows
        self._acked = acked
        if sent > acked:
            self._rows.know(sent, now)
        self._rows.reach(acked)

    def note_question(self, command_id: str, now: float) -> None:
        """Take note that the gate asked the office about a command."""
        if command_id not in self._asked and len(self._asked) < MOST_TRACKED:
            self._asked[command_id] = now
        self._asked_at = now

    def close_question(self, command_id: str) -> None:
        """Take note that the office answered about a command."""
        self._asked.pop(command_id, None)

    def question_due(self, now: float) -> str | None:
        """Return a command about which the gate should ask the office again.

        Returns None if it is too early or no command is open.
        """
        if not self._asked or now < self._asked_at + QUESTION_INTERVAL_S:
            return None
        self._asked_at = now
        return next(iter(self._asked))

    def note_receipt(self, subject: str, now: float) -> None:
        """Take note that a receipt was sent because the office asked for it with a new message."""
        first = self._receipts.setdefault(subject, now)
        if now >= first + PATIENCE_S:
            self._receipts_wanted_at = now
        while len(self._receipts) > MOST_TRACKED:
            del self._receipts[next(iter(self._receipts))]

    def overdue(self, now: float, proved_at: float | None) -> list[str]:
        """Return what has been missing for too long.

        `proved_at` is when the gate sent the newest challenge that was echoed; None if none was.
        """
        alive_at = proved_at if proved_at is not None else float("-inf")
        silent_since = max(alive_at, self._connected_at)
        missing = {
            RECORDS: self._records.is_overdue(now) or self._others.is_overdue(now),
            HEARTBEATS: self._novel_at >= silent_since + PATIENCE_S,
            COMMANDS: any(alive_at >= asked_at + PATIENCE_S for asked_at in self._asked.values()),
            EVENTS: self._rows.is_overdue(alive_at),
            RECEIPTS: self._receipts_wanted_at is not None and now < self._receipts_wanted_at + ENDS_S,
        }
        return [kind for kind, is_missing in missing.items() if is_missing]

"""Decide which rows of the journal to send at which time, and the effect of an ack. Pure. Used by `drain`.

One batch in order is on its way at a time. A batch is delivered when the office's ack names its last row and the hash
of that row. A broker's PUBACK does not count. Without an acknowledgement for `ack_timeout_s` the batch is sent again.
While more rows wait than fit into that batch, the newest rows go ahead of it, once. The office then learns today what
happened today.
"""

from collections.abc import Sequence

import msgspec

from gated.errors import WireError
from gated.journal.chain import Position
from gated.journal.entry import Entry
from gated.protocol.event_messages import Ack, EventBatch, WireEvent
from gated.protocol.limits import MAX_EVENTS, MAX_PLAIN_BYTES

AHEAD_ROWS = 50
"""Most rows that go ahead at once. All other rows come in order."""
AHEAD_S = 0.25
"""Shortest interval between batches that go ahead, in seconds. A flood of new rows does not delay older rows."""
MAX_ROW_BYTES = 50_000
"""Largest row as JSON, in bytes. With the rest of the message it fits on the wire."""
CUT_BODY = 8_000
"""Characters that are sent of a body that was altered to exceed the limit. Each takes at most six bytes in JSON."""


class Outbox:
    """The batches on their way to the office. All times are monotonic seconds."""

    def __init__(self, ack_timeout_s: float) -> None:
        self._ack_timeout_s = ack_timeout_s
        self._sent_at: float | None = None
        self._rewound_at: float | None = None
        self._last = 0
        """Last row of the batch in order that is on its way."""
        self._is_behind = False
        """Whether more rows waited than fit into that batch."""
        self._ahead = 0
        """The newest row that has gone ahead."""
        self._ahead_at: float | None = None

    def restart(self) -> None:
        """Start a new connection: no batch is on its way. Rows that have gone ahead stay marked."""
        self._sent_at, self._is_behind, self._last = None, False, 0

    def is_due(self, position: Position, now: float) -> bool:
        """Return whether rows wait, and no batch is on its way or the last one was not acknowledged in time."""
        waits = position.head > max(position.acked, position.base)
        return waits and (self._sent_at is None or now >= self._sent_at + self._ack_timeout_s)

    def note_sent(self, batch: EventBatch, position: Position, now: float) -> None:
        """Take note that a batch in order was sent."""
        self._sent_at, self._last, self._is_behind = now, batch.last, batch.last < position.head

    def ahead_after(self, position: Position, now: float) -> int | None:
        """Return the row after which all rows go ahead now; None if no row is new, or it is too early."""
        if not self._is_behind or (self._ahead_at is not None and now < self._ahead_at + AHEAD_S):
            return None
        after = max(self._last, min(self._ahead, position.head), position.base, position.head - AHEAD_ROWS)
        return after if after < position.head else None

    def note_sent_ahead(self, batch: EventBatch, now: float) -> None:
        """Take note that a batch was sent ahead of its turn."""
        self._ahead, self._ahead_at = batch.last, now

    def apply_ack(self, ack: Ack, position: Position, known: str | None, now: float) -> int | None:
        """Return the row up to which the office holds everything; None if nothing changed.

        `known` is the hash of row `ack.seq` in this journal. Raises `WireError` if the acknowledgement does not fit
        this journal. A row below the previous one means that the office lost rows or never got them, and wants them
        again. The gate accepts that once per `ack_timeout_s`: otherwise replayed acknowledgements would write to the
        disk without end. An acknowledgement of a row that retention removed cannot be checked. It can only cause the
        remaining rows to be sent again.
        """
        if ack.journal != position.journal:
            raise WireError("an ack of another journal than this one")
        if ack.seq > position.head:
            raise WireError(f"an ack of row {ack.seq}, but the journal ends at {position.head}")
        if ack.seq >= position.base and ack.hash != known:
            raise WireError(f"an ack of row {ack.seq} with a hash that this journal does not have there")
        if ack.seq == position.acked:
            return None  # answers a repetition: to send again would never end
        if ack.seq < position.acked:
            if self._rewound_at is not None and now < self._rewound_at + self._ack_timeout_s:
                return None
            self._rewound_at = now
        self._sent_at = None
        return ack.seq


def next_batch(
    position: Position, after: int, prev: str | None, entries: Sequence[Entry], *, is_ahead: bool = False
) -> EventBatch:
    """Return the longest batch from the first of `entries` (at least one) without a gap that fits on the wire.

    `after` is the last stored row before it. `prev` is the hash of the row before it; None if that row does not exist
    any more.
    """
    first = entries[0].seq
    batch = EventBatch(
        site=position.site,
        gate=position.gate,
        journal=position.journal,
        after=after,
        first=first,
        last=first,
        prev=prev or "",
        is_ahead=is_ahead,
        events=[_on_wire(entries[0])[0]],
    )
    length = len(msgspec.json.encode(batch)) + len(str(position.head))
    events = batch.events
    for seq, entry in enumerate(entries[1:MAX_EVENTS], first + 1):
        event, own = _on_wire(entry)
        length += own + 1
        if length > MAX_PLAIN_BYTES or entry.seq != seq:
            break
        events.append(event)
    return msgspec.structs.replace(batch, last=events[-1].seq, events=events)


def _on_wire(entry: Entry) -> tuple[WireEvent, int]:
    """Return the row as it is sent, and its length as JSON in bytes.

    A row that was altered to exceed the limit is cut: its hash is wrong in any case.
    """
    event = WireEvent(entry.seq, entry.at, entry.kind, entry.body, entry.hash)
    length = len(msgspec.json.encode(event))
    if length > MAX_ROW_BYTES:
        event = msgspec.structs.replace(event, body=entry.body[:CUT_BODY])
        length = len(msgspec.json.encode(event))
    return event, length

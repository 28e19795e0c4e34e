"""When to send what of the journal, and what an ack means. Pure: the rows lie in the journal, the wire is another's.

One batch in order is on its way at a time. It counts as delivered when the office's ack names its last row and that
row's hash; a broker's PUBACK counts for nothing. No ack for `ack_timeout_s`: it is sent again. While more than that
batch waits, the newest rows go ahead of it, once, so that an office learns today what happened today.
"""

from collections.abc import Sequence

import msgspec

from gated.errors import WireError
from gated.journal.chain import Position
from gated.journal.entry import Entry
from gated.sync.messages import MAX_EVENTS, MAX_PLAIN_BYTES, Ack, EventBatch, WireEvent

AHEAD_ROWS = 50
"""So many of the newest rows go ahead at once, and never more: the others come in their turn."""
AHEAD_S = 0.25
"""They go so often at most: a flood of news may not hold up the draining."""
MAX_ROW_BYTES = 50_000
"""Of a row as JSON; with all that is around it, it fits into a message."""
CUT_BODY = 8_000
"""Characters that are sent of a body that was altered into more than fits; six bytes in JSON each, at most."""


class Outbox:
    """What is on its way. All times are monotonic seconds."""

    def __init__(self, ack_timeout_s: float) -> None:
        self._ack_timeout_s = ack_timeout_s
        self._sent_at: float | None = None
        self._rewound_at: float | None = None
        self._last = 0
        """Of the rows on their way in order."""
        self._is_behind = False
        """More waited than went into that batch."""
        self._ahead = 0
        """The newest row that has gone ahead."""
        self._ahead_at: float | None = None

    def restart(self) -> None:
        """A new connection: nothing is on its way. What has gone ahead stays so."""
        self._sent_at, self._is_behind, self._last = None, False, 0

    def is_due(self, position: Position, now: float) -> bool:
        """Something waits, and nothing is on its way, or it has been for too long."""
        waits = position.head > max(position.acked, position.base)
        return waits and (self._sent_at is None or now >= self._sent_at + self._ack_timeout_s)

    def sent(self, batch: EventBatch, position: Position, now: float) -> None:
        """A batch in order has been handed to the wire."""
        self._sent_at, self._last, self._is_behind = now, batch.last, batch.last < position.head

    def ahead_after(self, position: Position, now: float) -> int | None:
        """The row after which all are to go ahead now; None when there is no news, or no hurry."""
        if not self._is_behind or (self._ahead_at is not None and now < self._ahead_at + AHEAD_S):
            return None
        after = max(self._last, min(self._ahead, position.head), position.base, position.head - AHEAD_ROWS)
        return after if after < position.head else None

    def sent_ahead(self, batch: EventBatch, now: float) -> None:
        """A batch has been handed to the wire ahead of its turn."""
        self._ahead, self._ahead_at = batch.last, now

    def settle(self, ack: Ack, position: Position, known: str | None, now: float) -> int | None:
        """The row up to which the office holds everything; None when that is no news.

        Lower than before: the office has lost rows, or never got them, and wants them again; believed once in
        `ack_timeout_s`, because who replays old acks could have the disk written without end. `known` is the hash of
        row `ack.seq` in our journal. Raises `WireError` for an ack of something else. An ack of a row that retention
        took away cannot be checked, and can do no more than have everything that is left sent again.
        """
        if ack.journal != position.journal:
            raise WireError("an ack of another journal than this one")
        if ack.seq > position.head:
            raise WireError(f"an ack of row {ack.seq}, and the journal ends at {position.head}")
        if ack.seq >= position.base and ack.hash != known:
            raise WireError(f"an ack of row {ack.seq} with a hash that this journal does not have there")
        if ack.seq == position.acked:
            return None  # an answer to a repetition; repeating once more because of it would never end
        if ack.seq < position.acked:
            if self._rewound_at is not None and now < self._rewound_at + self._ack_timeout_s:
                return None
            self._rewound_at = now
        self._sent_at = None
        return ack.seq


def next_batch(
    position: Position, after: int, prev: str | None, entries: Sequence[Entry], *, is_ahead: bool = False
) -> EventBatch:
    """The longest batch from the first of `entries` (at least one) that has no gap and fits on the wire.

    `after` is the row before it that is still there, `prev` the hash that it stands on, None when that is gone.
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
        events=[_on_wire(entries[0])],
    )
    length = len(msgspec.json.encode(batch)) + len(str(position.head))
    events = batch.events
    for seq, entry in enumerate(entries[1:MAX_EVENTS], first + 1):
        event = _on_wire(entry)
        length += len(msgspec.json.encode(event)) + 1
        if length > MAX_PLAIN_BYTES or entry.seq != seq:
            break
        events.append(event)
    return msgspec.structs.replace(batch, last=events[-1].seq, events=events)


def _on_wire(entry: Entry) -> WireEvent:
    """The row as it is sent. One that was altered into more than fits is cut: its hash is wrong either way."""
    event = WireEvent(entry.seq, entry.at, entry.kind, entry.body, entry.hash)
    if len(msgspec.json.encode(event)) > MAX_ROW_BYTES:
        event = msgspec.structs.replace(event, body=entry.body[:CUT_BODY])
    return event

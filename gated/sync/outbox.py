"""When to send what, and what an ack means. Pure: the rows lie in the journal, the wire is somebody else's.

One batch is on its way at a time. It counts as delivered when the server's ack names its last row and that row's hash;
a broker's PUBACK counts for nothing. No ack for `ack_timeout_s`: it is sent again.
"""

from collections.abc import Sequence

import msgspec

from gated.errors import WireError
from gated.journal.chain import Position
from gated.journal.entry import Entry
from gated.sync.messages import MAX_BYTES, MAX_EVENTS, Ack, EventBatch, WireEvent, encode


class Outbox:
    """What is on its way during one connection; a new connection begins with a new one."""

    def __init__(self, ack_timeout_s: float) -> None:
        self._ack_timeout_s = ack_timeout_s
        self._sent_at: float | None = None

    def is_due(self, position: Position, now: float) -> bool:
        """Something waits, and nothing is on its way, or it has been for too long."""
        waits = position.head > max(position.acked, position.base)
        return waits and (self._sent_at is None or now >= self._sent_at + self._ack_timeout_s)

    def sent(self, now: float) -> None:
        """A batch has been handed to the wire."""
        self._sent_at = now

    def settle(self, ack: Ack, position: Position, known: str | None) -> int | None:
        """The row up to which the server holds everything; None when that is no news.

        Lower than before: the server has lost rows, or never got them, and wants them again. `known` is the hash of row
        `ack.seq` in our journal. Raises `WireError` for an ack of something else. An ack of a row that retention took
        away cannot be checked, and can do no more than have everything that is left sent again.
        """
        if ack.seq > position.head:
            raise WireError(f"an ack of row {ack.seq}, and the journal ends at {position.head}")
        if ack.seq >= position.base and ack.hash != known:
            raise WireError(f"an ack of row {ack.seq} with a hash that this journal does not have there")
        if ack.seq == position.acked:
            return None  # an answer to a repetition; repeating once more because of it would never end
        self._sent_at = None
        return ack.seq


def next_batch(position: Position, after: int, prev: str | None, entries: Sequence[Entry]) -> EventBatch:
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
        events=[_on_wire(entries[0])],
    )
    length = len(encode(batch)) + len(str(position.head))
    events = batch.events
    for seq, entry in enumerate(entries[1:MAX_EVENTS], first + 1):
        event = _on_wire(entry)
        length += len(msgspec.json.encode(event)) + 1
        if length > MAX_BYTES or entry.seq != seq:
            break
        events.append(event)
    return msgspec.structs.replace(batch, last=events[-1].seq, events=events)


def _on_wire(entry: Entry) -> WireEvent:
    """The row as it is sent."""
    return WireEvent(entry.seq, entry.at, entry.kind, entry.body, entry.hash)

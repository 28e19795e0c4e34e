"""The journal on its way to the office: batches of events up, acknowledgements down."""

from typing import Annotated

import msgspec
from msgspec import Meta

from gated.journal.chain import row_digest
from gated.journal.entry import MAX_BODY_BYTES
from gated.protocol.limits import MAX_EVENTS
from gated.protocol.wire_types import Hash, Message, Seq, Short


class WireEvent(msgspec.Struct, frozen=True):
    """One row of the journal as it is on disk. `body` is text, so that its hash can be checked byte for byte."""

    seq: Seq
    at: Short
    kind: Short
    body: Annotated[str, Meta(max_length=MAX_BODY_BYTES)]
    hash: Hash


class EventBatch(Message, frozen=True, kw_only=True):
    """Rows of the journal without a gap, from `first` to `last`."""

    journal: Short
    """Id of the journal. Another journal (a new SD card) counts from 1 again."""
    after: Seq
    """The newest row before `first` that the gate still has. 0 if there is none."""
    first: Seq
    last: Seq
    prev: Hash
    """Hash of row `first - 1`. Empty if the gate no longer has that row."""
    is_ahead: bool = False
    """Whether the rows come early, before older rows. The gate sends them again in order."""
    events: Annotated[list[WireEvent], Meta(min_length=1, max_length=MAX_EVENTS)]

    def __post_init__(self) -> None:
        """Refuse numbers that contradict each other."""
        if [event.seq for event in self.events] != list(range(self.first, self.last + 1)) or self.after >= self.first:
            raise ValueError("the events are not those from first to last")


class Ack(Message, frozen=True, kw_only=True):
    """Confirms that the office has every row of that journal up to `seq` on disk. `hash` is the hash of row `seq`."""

    journal: Short
    seq: Seq
    hash: Hash


def first_altered(batch: EventBatch, before: str) -> int | None:
    """Return the first row that does not follow from the hash `before` the batch; None if all follow.

    That row or an earlier one was altered.
    """
    for event in batch.events:
        texts = (event.at.encode(), event.kind.encode(), event.body.encode())
        if row_digest(before, event.seq, *texts) != event.hash:
            return event.seq
        before = event.hash
    return None

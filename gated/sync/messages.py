"""What gate and server say to each other: JSON, at most 100 KiB, with a version `v`. Fields are only ever added.

Nothing that arrives is believed: it is measured before it is parsed, and parsed strictly; whatever is wrong with it
is a `WireError`. `README.md` in this folder tells the other side the same.
"""

from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from gated.errors import WireError
from gated.journal.chain import digest

MAX_BYTES = 100 * 1024
"""Below the smallest limit of the brokers that this must run on (AWS IoT Core, 128 KB)."""
MAX_EVENTS = 500

Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Hash = Annotated[str, Meta(max_length=64)]
"""64 hex digits; anything else of that length also passes, because a row that was altered must still arrive."""
Short = Annotated[str, Meta(max_length=64)]

Message = TypeVar("Message", bound=msgspec.Struct)


class JournalMark(msgspec.Struct, frozen=True):
    """How far the journal is, and how far the gate believes that the server is."""

    id: Short
    head: Seq
    acked: Seq
    dropped: Seq = 0


class StatusMessage(msgspec.Struct, frozen=True, kw_only=True):
    """The whole state of a gate, about nobody. `state`, `at` and `journal` are filled in by the link."""

    v: Literal[1] = 1
    site: Short
    gate: Short
    state: Literal["online", "offline"] = "online"
    version: Short
    at: Short = ""
    """When this was written; in a last will, when the gate came online."""
    degraded: list[Short] = []
    door: Short = "unknown"
    people: Seq = 0
    templates: Seq = 0
    journal: JournalMark | None = None


class WireEvent(msgspec.Struct, frozen=True):
    """One row of the journal, as it lies on disk; `body` is text, so that its hash can be checked byte for byte."""

    seq: Seq
    at: Short
    kind: Short
    body: str
    hash: Hash


class EventBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of the journal without a gap, from `first` to `last`."""

    v: Literal[1] = 1
    site: Short
    gate: Short
    journal: Short
    """Another journal (a new card) counts from 1 again."""
    after: Seq
    """The row before `first` that the gate still has; 0 when there is none."""
    first: Seq
    last: Seq
    prev: Hash
    """The hash of row `first - 1`; empty when that row is gone."""
    events: Annotated[list[WireEvent], Meta(min_length=1, max_length=MAX_EVENTS)]

    def __post_init__(self) -> None:
        """Refuse numbers that contradict each other."""
        if [event.seq for event in self.events] != list(range(self.first, self.last + 1)) or self.after >= self.first:
            raise ValueError("the events are not those from first to last")


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """The server holds every row up to `seq`, whose hash is `hash`."""

    v: Literal[1] = 1
    seq: Seq
    hash: Hash


def encode(message: msgspec.Struct) -> bytes:
    """A message as it is published. Raises `WireError` when it is too long for the wire."""
    payload = msgspec.json.encode(message)
    if len(payload) > MAX_BYTES:
        raise WireError(f"{type(message).__name__}: {len(payload)} bytes, at most {MAX_BYTES} can be sent")
    return payload


def decode(payload: bytes, kind: type[Message]) -> Message:
    """A message that has arrived. Raises `WireError`, which quotes nothing of it."""
    if len(payload) > MAX_BYTES:
        raise WireError(f"{kind.__name__}: {len(payload)} bytes, more than {MAX_BYTES} are not read")
    try:
        return msgspec.json.decode(payload, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise WireError(f"{kind.__name__}: is not what was agreed ({type(error).__name__})") from error


def misfit(batch: EventBatch, before: str) -> int | None:
    """The first row of a batch that does not follow from the hash `before` it: it, or one before it, was altered."""
    for event in batch.events:
        texts = (event.at.encode(), event.kind.encode(), event.body.encode())
        if digest(before, event.seq, *texts) != event.hash:
            return event.seq
        before = event.hash
    return None

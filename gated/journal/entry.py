"""One row of the journal: an event, when it was, and its place in the chain."""

from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from gated.events import AnyEvent, Event
from gated.journal.chain import RawRow

MAX_BODY_BYTES = 16 * 1024
"""Facts are small; a longer one is kept as its kind and its length, so that every row fits into a message."""

_decoder = msgspec.json.Decoder(AnyEvent)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row as it is shown and sent; `body` is the event as JSON with sorted keys."""

    seq: int
    at: str
    """UTC, ISO 8601 with microseconds and Z."""
    kind: str
    body: str
    hash: str

    @classmethod
    def read(cls, row: RawRow) -> "Entry":
        """A row from the disk, whatever was done to it: what is no text is replaced, what is too long is cut."""
        at, kind, body, row_hash = (text.decode("utf-8", "replace") for text in row[1:])
        return cls(row[0], at[:32], kind[:64], body[:MAX_BODY_BYTES], row_hash[:64])

    @property
    def event(self) -> Event | None:
        """The fact itself; None when it was altered, or is of a kind that this gated does not know."""
        try:
            event: Event = _decoder.decode(self.body)
        except (msgspec.MsgspecError, RecursionError):
            return None
        return event


def stamp(at: datetime) -> str:
    """Aware wall time as it stands in a row."""
    if at.tzinfo is None:
        raise ValueError("the time of an event must say its zone")
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def kind_of(event: Event) -> str:
    """The event's tag."""
    return str(event.__struct_config__.tag)


def body_of(event: Event) -> str:
    """The event as canonical JSON. One that cannot be written, or is too long, is kept as its kind and the reason."""
    try:
        body = msgspec.json.encode(event, order="sorted")
    except (UnicodeEncodeError, TypeError, ValueError) as error:
        body = msgspec.json.encode({"kind": kind_of(event), "unwritable": type(error).__name__})
    if len(body) > MAX_BODY_BYTES:
        body = msgspec.json.encode({"kind": kind_of(event), "too_long_bytes": len(body)})
    return body.decode()

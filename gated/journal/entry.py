"""One row of the journal: an event, its time, and its place in the chain."""

from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from gated.events import AnyEvent, Event
from gated.journal.chain import RawRow
from gated.wording import UNDECODABLE

MAX_BODY_BYTES = 16 * 1024
"""The longest body, in bytes. For a longer event, the journal stores only kind and length: every row must fit into a
message.
"""

FRAME_BYTES = len('{"seq":1,"at":"","kind":"","body":"","hash":""}')

_decoder = msgspec.json.Decoder(AnyEvent)


class Entry(Struct, frozen=True):
    """One row for display and sending. `body` is the event as JSON with sorted keys."""

    seq: int
    at: str
    """UTC, ISO 8601 with microseconds and Z."""
    kind: str
    body: str
    hash: str

    @classmethod
    def read(cls, row: RawRow) -> "Entry":
        """Make an entry from a row of the disk, even a damaged one.

        Invalid bytes and other types of a damaged card are converted, and long text is cut.
        """
        try:
            at, kind, body, row_hash = map(bytes.decode, row[1:])
        except (TypeError, UnicodeDecodeError):
            at, kind, body, row_hash = map(_as_text, row[1:])
        return cls(row[0], at[:32], kind[:64], body[:MAX_BODY_BYTES], row_hash[:64])

    @property
    def least_bytes(self) -> int:
        """Return a lower bound of the length of the row as JSON, in bytes."""
        return FRAME_BYTES + len(self.at) + len(self.kind) + len(self.body) + len(self.hash)

    @property
    def event(self) -> Event | None:
        """Return the event. None for a damaged row, and for a kind that this version does not know."""
        try:
            event: Event = _decoder.decode(self.body)
        except UNDECODABLE:
            return None
        return event


def _as_text(stored: object) -> str:
    return stored.decode("utf-8", "replace") if isinstance(stored, bytes) else str(stored)


def parse_time(text: str) -> datetime | None:
    """Parse a time in ISO 8601 from another system. Return None if it is invalid or has no time zone."""
    try:
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    return at if at.tzinfo is not None else None


def stamp(at: datetime) -> str:
    """Return a wall time in the format of a row: UTC, ISO 8601 with microseconds and Z.

    Raises `ValueError` for a time without a time zone.
    """
    if at.tzinfo is None:
        raise ValueError("the time of an event must have a time zone")
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def event_kind(event: Event) -> str:
    """Return the tag of an event."""
    return str(event.__struct_config__.tag)


def event_body(event: Event) -> str:
    """Return an event as canonical JSON. If it cannot be encoded or is too long, return its kind and the reason."""
    try:
        body = msgspec.json.encode(event, order="sorted")
    except (UnicodeEncodeError, TypeError, ValueError) as error:
        body = msgspec.json.encode({"kind": event_kind(event), "unwritable": type(error).__name__})
    if len(body) > MAX_BODY_BYTES:
        body = msgspec.json.encode({"kind": event_kind(event), "too_long_bytes": len(body)})
    return body.decode()

"""The messages that carry records down to a gate, and the gate's reports about them."""

from typing import Annotated

import msgspec
from msgspec import Meta, field

from gated.protocol.limits import MAX_PARTS, MAX_RECORDS
from gated.protocol.wire_records import Record
from gated.protocol.wire_types import Hash, Message, Seq, Short, Subject, Time


class Delta(Message, frozen=True, kw_only=True):
    """Every record whose newest `n` is above `after` and at most `upto`.

    If `after` is above the gate's version, records are missing. Then only records that reduce access (`Tombstone`, a
    suspension) have effect at once. The gate requests the missing records.
    """

    after: Seq
    upto: Seq
    records: Annotated[list[Record], Meta(max_length=MAX_RECORDS)]


class SnapshotPart(Message, frozen=True, kw_only=True):
    """One of the `parts` of all records at `version`. A key that no part names does not exist any more."""

    version: Seq
    digest: Hash
    part: Seq
    parts: Annotated[int, Meta(ge=1, le=MAX_PARTS)]
    records: Annotated[list[Record], Meta(max_length=MAX_RECORDS)]


class RecordRequest(Message, frozen=True, kw_only=True):
    """Requests missing records: those after `after`, or parts of a snapshot."""

    after: Seq = 0
    is_snapshot: bool = False
    snapshot: Seq = 0
    """Version of the snapshot to which `parts` belong. 0 means any version, from its first part on."""
    parts: Annotated[list[Seq], Meta(max_length=64)] = field(default_factory=list)


class RemovalReceipt(Message, frozen=True, kw_only=True):
    """Confirms that this gate removed a person: it destroyed the key, and deleted the templates and the name."""

    subject: Short
    n: Seq
    """Number of the removal."""
    templates: Seq
    at: Time


class QuarantinedRecord(msgspec.Struct, frozen=True):
    """A person whose record is in quarantine. Reasons: "bulk", "duplicate", "vector" or "changed"."""

    subject: Subject
    why: Short
    n: Seq


class QuarantineList(Message, frozen=True, kw_only=True):
    """The quarantine of this gate: one of `parts` lists, which together replace all earlier ones."""

    heard: Seq
    """As in `Status`: number of the newest heartbeat that arrived. The office ignores a list with a lower number."""
    part: Seq = 0
    parts: Annotated[int, Meta(ge=1, le=MAX_PARTS)] = 1
    records: Annotated[list[QuarantinedRecord], Meta(max_length=MAX_RECORDS)] = field(default_factory=list)

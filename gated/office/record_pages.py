"""Splits records into messages that fit on the wire. Pure."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import msgspec

from gated.protocol.limits import MAX_PLAIN_BYTES, MAX_RECORDS
from gated.protocol.record_keys import removes_access
from gated.protocol.record_messages import Delta, SnapshotPart
from gated.protocol.wire_records import Record

ENVELOPE_BYTES = 700
"""Upper bound for all parts of such a message except its records, in bytes."""
ROOM_BYTES = MAX_PLAIN_BYTES - ENVELOPE_BYTES


def pages(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Yield the records in order, as many per page as fit."""
    page, length = list[Record](), 0
    for record in records:
        more = len(msgspec.json.encode(record)) + 1
        if page and (length + more > ROOM_BYTES or len(page) == MAX_RECORDS):
            yield page
            page, length = [], 0
        page.append(record)
        length += more
    if page:
        yield page


def deltas(site: str, gate: str, after: int, upto: int, records: Sequence[Record]) -> list[Delta]:
    """Return all `records` with numbers above `after` and up to `upto` as consecutive deltas, in order."""
    paged = list(pages(records)) or [[]]
    ends = [page[-1].n for page in paged[:-1]] + [upto]
    return [
        Delta(site=site, gate=gate, after=begin, upto=end, records=page)
        for page, begin, end in zip(paged, [after, *ends], ends, strict=False)
    ]


def urgent(site: str, gate: str, records: Sequence[Record]) -> list[Delta]:
    """Return only the removals and suspensions among `records`, as separate deltas, in order.

    Each delta leaves a gap before it. After a gap, a gate applies only records of this kind.
    """
    return [
        Delta(site=site, gate=gate, after=page[0].n - 1, upto=page[-1].n, records=page)
        for is_urgent, run in groupby(records, removes_access)
        if is_urgent
        for page in pages(list(run))
    ]


def parts(site: str, gate: str, version: int, digest: str, records: Sequence[Record]) -> Iterator[SnapshotPart]:
    """Yield all records at `version` as parts of a snapshot."""
    paged = list(pages(records)) or [[]]
    for number, page in enumerate(paged):
        yield SnapshotPart(
            site=site, gate=gate, version=version, digest=digest, part=number, parts=len(paged), records=page
        )

"""Records in messages that fit on the wire. Pure."""

from collections.abc import Iterator, Sequence

import msgspec

from gated.sync.messages import MAX_PLAIN_BYTES, MAX_RECORDS, Delta, Record, SnapshotPart
from gated.sync.records import takes_away

ENVELOPE_BYTES = 700
"""Everything in such a message but its records, at the most."""
ROOM_BYTES = MAX_PLAIN_BYTES - ENVELOPE_BYTES


def pages(records: Sequence[Record]) -> Iterator[list[Record]]:
    """The records in their order, as many together as fit."""
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
    """All `records` that there are above `after` and up to `upto`, in their order; what takes away goes first.

    What takes away and would come in a later message is also said before all others, in messages of its own: those
    leave a gap, in which nothing else counts.
    """
    paged = list(pages(records)) or [[]]
    ends = [page[-1].n for page in paged[:-1]] + [upto]
    begins = [after, *ends[:-1]]
    urgent = [record for page in paged[1:] for record in page if takes_away(record)]
    return [Delta(site=site, gate=gate, after=record.n - 1, upto=record.n, records=[record]) for record in urgent] + [
        Delta(site=site, gate=gate, after=begin, upto=end, records=page)
        for page, begin, end in zip(paged, begins, ends, strict=True)
    ]


def parts(site: str, gate: str, version: int, digest: str, records: Sequence[Record]) -> Iterator[SnapshotPart]:
    """Everything there is at `version`, in parts."""
    paged = list(pages(records)) or [[]]
    for number, page in enumerate(paged):
        yield SnapshotPart(
            site=site, gate=gate, version=version, digest=digest, part=number, parts=len(paged), records=page
        )

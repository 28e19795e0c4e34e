r"""The hash chain of the journal. Every row's hash covers the previous row's hash, so a changed row breaks the chain.

hash = SHA-256 of `previous hash \n seq \n at \n kind \n body` in UTF-8, as 64 hex digits. No field can contain a line
feed (JSON escapes it), so two different rows never give the same text. The first row's previous hash is the genesis.
"""

from collections.abc import Iterable
from hashlib import sha256

from msgspec import Struct

RawRow = tuple[int, bytes, bytes, bytes, bytes]
"""(seq, at, kind, body, hash), as stored on the disk and not yet checked."""


class Position(Struct, frozen=True):
    """The head record of the journal: its identity, and the numbers of its first, last and acknowledged row."""

    site: str
    gate: str
    journal: str
    """A random id, made with the file. A new journal (for example on another card) has another id."""
    base: int
    """The number of the last row that retention removed, or 0."""
    base_hash: str
    head: int
    """The number of the newest row, or 0."""
    head_hash: str
    acked: int
    """The office stores every row up to this number."""
    dropped: int
    """The number of rows that were deleted before the office acknowledged them."""


class Flaw(Struct, frozen=True):
    """The first changed row, and the difference."""

    seq: int
    why: str


def genesis(site: str, gate: str, journal: str) -> str:
    """Return the previous hash of the first row: SHA-256 of `gated/1/SITE/GATE/JOURNAL`, as hex."""
    return sha256(f"gated/1/{site}/{gate}/{journal}".encode()).hexdigest()


def row_digest(before: str, seq: int, at: bytes, kind: bytes, body: bytes) -> str:
    """Return the hash of one row, as defined in the docstring of this module. `before` is the previous hash."""
    return sha256(b"\n".join((before.encode(), str(seq).encode(), at, kind, body))).hexdigest()


def check_chain(position: Position, rows: Iterable[RawRow]) -> Flaw | None:
    """Return the first row that was altered, added, removed or moved, or None.

    `rows` are all rows in order of seq. This check cannot find an attacker who rewrites a row, all later rows and the
    head record. The office detects this, because it stores the earlier hashes.
    """
    seq, before = position.base, position.base_hash
    if seq == 0 and before != genesis(position.site, position.gate, position.journal):
        return Flaw(0, "the genesis is not that of this site, gate and journal")
    for row_seq, at, kind, body, row_hash in rows:
        if row_seq <= position.base:
            return Flaw(row_seq, f"is before the first row, which is {position.base + 1}")
        if row_seq != seq + 1:
            return Flaw(seq + 1, "is missing")
        if row_seq > position.head:
            return Flaw(row_seq, f"was added after the head, which is {position.head}")
        if not all(isinstance(value, bytes) for value in (at, kind, body, row_hash)):
            return Flaw(row_seq, "has a value of a wrong type")
        seq, before = row_seq, row_digest(before, row_seq, at, kind, body)
        if before.encode() != row_hash:
            return Flaw(seq, "was altered, or the row before it was")
    return _tail(position, seq, before)


def _tail(position: Position, seq: int, last_hash: str) -> Flaw | None:
    """Check that the rows end at the head record and include the acknowledged row."""
    if seq < position.head:
        return Flaw(seq + 1, f"is missing: the tail up to {position.head} was cut off")
    if seq != position.head or last_hash != position.head_hash:
        return Flaw(position.head, "differs from the head record")
    if not 0 <= position.acked <= position.head or position.dropped < 0:
        return Flaw(position.acked, "is marked as acknowledged, but no such row was written")
    return None

r"""The chain: every row carries the hash of the row before it, so that a past that was changed no longer fits.

hash = SHA-256 of `hash before \n seq \n at \n kind \n body` in UTF-8, as 64 hex digits. No field can hold a
line feed (JSON escapes it), so no two rows give the same text. The first row stands on the genesis.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

RawRow = tuple[int, bytes, bytes, bytes, bytes]
"""seq, at, kind, body, hash: as they lie on the disk, before anything is believed of them."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where the journal stands; the numbers are those of rows."""

    site: str
    gate: str
    journal: str
    """Random, made with the file: a journal begun anew (another card) is another journal."""
    base: int
    """The last row that retention took away; 0 at first."""
    base_hash: str
    head: int
    """The newest row; 0 while there is none."""
    head_hash: str
    acked: int
    """The server holds everything up to here."""
    dropped: int
    """Rows that had to go before the server had them."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """The first row that is not what was written, and what is wrong with it."""

    seq: int
    why: str


def genesis(site: str, gate: str, journal: str) -> str:
    """What the first row stands on: SHA-256 of `gated/1/SITE/GATE/JOURNAL`."""
    return sha256(f"gated/1/{site}/{gate}/{journal}".encode()).hexdigest()


def digest(before: str, seq: int, at: bytes, kind: bytes, body: bytes) -> str:
    """The hash of one row (see the top of this module)."""
    return sha256(b"\n".join((before.encode(), str(seq).encode(), at, kind, body))).hexdigest()


def check(position: Position, rows: Iterable[RawRow]) -> Flaw | None:
    """The first row that was altered, added, taken away or moved, if any.

    `rows` are all rows in order of seq. Who rewrites a row and everything after it, the head included, is not found
    here but by the server, which holds the hashes from before.
    """
    seq, before = position.base, position.base_hash
    if seq == 0 and before != genesis(position.site, position.gate, position.journal):
        return Flaw(0, "the genesis is not that of this site, gate and journal")
    for row_seq, at, kind, body, row_hash in rows:
        if row_seq <= position.base:
            return Flaw(row_seq, f"stands before the first row, which is {position.base + 1}")
        if row_seq != seq + 1:
            return Flaw(seq + 1, "is missing")
        if row_seq > position.head:
            return Flaw(row_seq, f"was added behind the head, which is {position.head}")
        seq, before = row_seq, digest(before, row_seq, at, kind, body)
        if before.encode() != row_hash:
            return Flaw(seq, "was altered, or the row before it was")
    return _tail(position, seq, before)


def _tail(position: Position, seq: int, last_hash: str) -> Flaw | None:
    """The rows end where the head record says, and the outbox lies within them."""
    if seq < position.head:
        return Flaw(seq + 1, f"is missing: the tail up to {position.head} was cut off")
    if seq != position.head or last_hash != position.head_hash:
        return Flaw(position.head, "is not what the head record says")
    if not 0 <= position.acked <= position.head or position.dropped < 0:
        return Flaw(position.acked, "is what the server is said to hold, beyond what was ever written")
    return None

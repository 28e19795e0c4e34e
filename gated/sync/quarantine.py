"""What makes a record look like poisoning, though it is signed: too many people at once, or a face that is another's.

Pure. Such a record is held with its number, counts for nothing, and waits for somebody at the gate.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from gated.embedding import Embedding
from gated.gallery.entitlement import LONG_PAST, time_of
from gated.gallery.holding import Allowed
from gated.gallery.search import Row

DUPLICATE = "duplicate"
VECTOR = "vector"

WINDOW_S = 3600.0
BLOCK = 512
"""So many vectors are compared in one product: enough for its speed, and 22 MB of scores among 10,800."""


class Allowance:
    """How many people whom this gate did not know may join. `now` is monotonic. `wall`: the time of day, aware; None
    while it is in doubt.

    Within any hour `per_hour` may, or as many as are left of a batch that the office announced. What batches and the
    office's own acceptance bring is at most `in_all`, until somebody at the gate renews it. What joined in an earlier
    life counts as if it had joined when this one began, unless a trusted clock says that it was an hour ago: neither a
    restart nor a changed clock brings another hour.
    """

    def __init__(self, per_hour: int, in_all: int, before: Allowed = Allowed()) -> None:  # noqa: B008 - frozen
        """`before`: what is remembered of the last life."""
        self._per_hour, self._in_all = per_hour, in_all
        recent = before.recent if before.recent >= 0 else per_hour  # a damaged number gives nothing
        self._carried, self._carried_at = min(recent, per_hour), before.recent_at
        self._began: float | None = None
        self._joined: deque[float] = deque()

    def left(self, allowed: Allowed, now: float, wall: datetime | None) -> int:
        """So many more may join now."""
        return max(self._per_hour - self._recent(now, wall), self._batch(allowed, wall), 0)

    def take(self, allowed: Allowed, count: int, now: float, wall: datetime | None) -> Allowed:
        """So many join: what is to be remembered of it."""
        by_batch = min(count, self._batch(allowed, wall))
        recent = min(self._recent(now, wall) + count, self._per_hour)
        return replace(
            allowed,
            recent=recent,
            recent_at="" if wall is None else wall.isoformat(),
            batch=allowed.batch - by_batch,
            spent=allowed.spent + by_batch,
        )

    def joined(self, allowed: Allowed, now: float) -> None:
        """What `take` gave is on disk."""
        self._joined.extend([now] * (allowed.recent - self._carried - len(self._joined)))

    def by_office(self, allowed: Allowed) -> int:
        """So many more may come by batches and by the office's acceptance."""
        return max(0, self._in_all - allowed.spent) if allowed.spent >= 0 else 0

    def begin(self, now: float) -> None:
        """A life begins now, if it has not: from here the hour counts of those who joined in the last one."""
        self._began = now if self._began is None else self._began

    def _batch(self, allowed: Allowed, wall: datetime | None) -> int:
        if not allowed.batch or wall is None or wall >= time_of(allowed.batch_until, LONG_PAST):
            return 0
        return min(allowed.batch, self.by_office(allowed))

    def _recent(self, now: float, wall: datetime | None) -> int:
        """How many joined within the hour."""
        self.begin(now)
        if (self._began is not None and now - self._began >= WINDOW_S) or _is_over(self._carried_at, wall):
            self._carried = 0
        while self._joined and self._joined[0] <= now - WINDOW_S:
            self._joined.popleft()
        return self._carried + len(self._joined)


def _is_over(at: str, wall: datetime | None) -> bool:
    """Whether a trusted clock says that it was an hour ago or longer; in doubt it was not."""
    return bool(at) and wall is not None and wall - time_of(at, wall) >= timedelta(seconds=WINDOW_S)


def twins(
    stored: Iterable[Row],
    arriving: Sequence[tuple[str, Sequence[Embedding]]],
    threshold: float,
    *,
    allowed: Collection[str] = (),
) -> set[str]:
    """Those of `arriving` (subject and vectors) one of whose vectors scores `threshold` or more against somebody else.

    Somebody else is who is stored, or arrives before them and is no twin themselves; those `allowed` are none.
    All vectors are checked and of one dimension.
    """
    rows: list[tuple[str, Embedding]] = [(row.subject, row.vector) for row in stored]
    first = len(rows)
    rows += [(subject, vector) for subject, vectors in arriving for vector in vectors]
    if first == len(rows):
        return set()
    numbers = {subject: number for number, subject in enumerate(dict.fromkeys(subject for subject, _ in rows))}
    owners = np.array([numbers[subject] for subject, _ in rows])
    matrix = np.array([vector for _, vector in rows], np.float32)
    counts = np.ones(len(rows), bool)
    found: set[str] = set()
    for block in _blocks(arriving):
        size = sum(len(vectors) for _, vectors in block)
        alike = matrix[first : first + size] @ matrix[: first + size].T >= threshold
        start = 0
        for subject, vectors in block:
            own = slice(start, start + len(vectors))
            if subject not in allowed and _has_other(alike[own, : first + start], owners, counts, numbers[subject]):
                found.add(subject)
                counts[first + own.start : first + own.stop] = False
            start = own.stop
        first += size
    return found


def _has_other(alike: NDArray[np.bool_], owners: NDArray[np.int_], counts: NDArray[np.bool_], own: int) -> bool:
    """Whether any vector before these that counts, and is not of the same person, is like one of them."""
    known = alike.shape[1]
    return bool((alike.any(axis=0) & counts[:known] & (owners[:known] != own)).any())


def _blocks(arriving: Sequence[tuple[str, Sequence[Embedding]]]) -> Iterable[list[tuple[str, Sequence[Embedding]]]]:
    block: list[tuple[str, Sequence[Embedding]]] = []
    size = 0
    for subject, vectors in arriving:
        block.append((subject, vectors))
        size += len(vectors)
        if size >= BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block

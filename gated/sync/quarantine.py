"""Find signed records that look like poisoning: too many new subjects at once, or another subject's face.

Pure. Such a record is held with its number and gives no access until it is accepted. Used by `batch` and `replica`.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from gated.composite import Composite
from gated.embedding import Embedding
from gated.gallery.centring import gallery_centring, runs
from gated.gallery.search import Row
from gated.people.held_records import Allowed
from gated.people.stored_time import LONG_PAST, time_of

DUPLICATE = "duplicate"
"""Quarantine reason: the face belongs to another subject."""
VECTOR = "vector"
"""Quarantine reason: the face does not open, does not match its record, or is not a unit vector."""

WINDOW_S = 3600.0
"""Window for `most_new_per_hour`, in seconds."""
BLOCK = 512
"""Vectors in one matrix product: large enough for speed. The scores against 10,800 vectors take 22 MB."""


class Allowance:
    """Limits how many new subjects may join this gate.

    `now` is monotonic seconds. `wall` is the time of day (aware), None while the clock is not trusted. Within any hour
    `per_hour` subjects may join, or as many as remain in a batch that the office announced. Batches and the office's
    own acceptances together bring at most `in_all`, until somebody at the gate renews the total. Subjects from before a
    restart count as if they had joined at the restart. A trusted clock can show that an hour has passed; then they do
    not count. So neither a restart nor a changed clock allows more people.
    """

    def __init__(self, per_hour: int, in_all: int, before: Allowed = Allowed()) -> None:  # noqa: B008 - frozen
        """Take the limits, and the counts that were stored before the last restart (`before`)."""
        self._per_hour, self._in_all = per_hour, in_all
        recent = before.recent if before.recent >= 0 else per_hour  # a damaged count leaves no room
        self._carried, self._carried_at = min(recent, per_hour), before.recent_at
        self._began: float | None = None
        self._joined: deque[float] = deque()

    def remaining(self, allowed: Allowed, now: float, wall: datetime | None) -> int:
        """Return how many more subjects may join now."""
        return max(self._per_hour - self._recent(now, wall), self._batch(allowed, wall), 0)

    def spend(self, allowed: Allowed, count: int, now: float, wall: datetime | None) -> Allowed:
        """Return the counts to store when `count` subjects join."""
        by_batch = min(count, self._batch(allowed, wall))
        recent = min(self._recent(now, wall) + count, self._per_hour)
        return replace(
            allowed,
            recent=recent,
            recent_at="" if wall is None else wall.isoformat(),
            batch=allowed.batch - by_batch,
            spent=allowed.spent + by_batch,
        )

    def note_joined(self, allowed: Allowed, now: float) -> None:
        """Record that the result of `take` is on disk."""
        self._joined.extend([now] * (allowed.recent - self._carried - len(self._joined)))

    def by_office(self, allowed: Allowed) -> int:
        """Return how many more subjects may join by batches and by the office's acceptance."""
        return max(0, self._in_all - allowed.spent) if allowed.spent >= 0 else 0

    def begin(self, now: float) -> None:
        """Start the hour for the subjects who joined before the restart. Only the first call has an effect."""
        self._began = now if self._began is None else self._began

    def _batch(self, allowed: Allowed, wall: datetime | None) -> int:
        if not allowed.batch or wall is None or wall >= time_of(allowed.batch_until, LONG_PAST):
            return 0
        return min(allowed.batch, self.by_office(allowed))

    def _recent(self, now: float, wall: datetime | None) -> int:
        """Return how many joined within the last hour."""
        self.begin(now)
        if (self._began is not None and now - self._began >= WINDOW_S) or _is_over(self._carried_at, wall):
            self._carried = 0
        while self._joined and self._joined[0] <= now - WINDOW_S:
            self._joined.popleft()
        return self._carried + len(self._joined)


def _is_over(at: str, wall: datetime | None) -> bool:
    """Return whether a trusted clock shows that an hour has passed since `at`.

    Without a trusted clock, return False.
    """
    return bool(at) and wall is not None and wall - time_of(at, wall) >= timedelta(seconds=WINDOW_S)


def find_duplicates(
    stored: Iterable[Row],
    arriving: Sequence[tuple[str, Sequence[Embedding]]],
    threshold: float,
    *,
    allowed: Collection[str] = (),
    composite: Composite | None = None,
) -> set[str]:
    """Return the subjects in `arriving` whose face scores `threshold` or more against another subject.

    Another subject is a stored one, or an earlier arriving one that is not a twin itself. Subjects in `allowed` are
    never twins. `arriving` holds subjects with their vectors. All vectors are checked and have one dimension.
    `composite`: their parts. They are centred on everybody here, as the gallery will be.
    """
    rows: list[tuple[str, Embedding]] = [(row.subject, row.vector) for row in sorted(stored, key=attrgetter("subject"))]
    first = len(rows)
    rows += [(subject, vector) for subject, vectors in arriving for vector in vectors]
    if first == len(rows):
        return set()
    numbers = {subject: number for number, subject in enumerate(dict.fromkeys(subject for subject, _ in rows))}
    owners = np.array([numbers[subject] for subject, _ in rows])
    matrix = np.array([vector for _, vector in rows], np.float32)
    if composite is not None:
        gallery_centring(composite, matrix, runs(subject for subject, _ in rows)).centre(matrix)
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
    """Return whether any earlier vector that counts, and belongs to another subject, is like one of these vectors."""
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

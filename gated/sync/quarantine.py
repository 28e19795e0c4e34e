"""What makes a record look like poisoning, though it is signed: too many people at once, or a face that is another's.

Pure. Such a record is held with its number, counts for nothing, and waits for somebody at the gate.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gated.embedding import Embedding
from gated.gallery.search import Row

BULK = "bulk"
DUPLICATE = "duplicate"
VECTOR = "vector"

WINDOW_S = 3600.0
BLOCK = 512
"""So many vectors are compared in one product: enough for its speed, and 22 MB of scores among 10,800."""


class Allowance:
    """How many people that this gate did not know may join within an hour; forgotten at a restart."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._joined: deque[float] = deque()

    def left(self, now: float) -> int:
        """So many more may join now (monotonic seconds)."""
        while self._joined and self._joined[0] <= now - WINDOW_S:
            self._joined.popleft()
        return max(0, self._most - len(self._joined))

    def take(self, count: int, now: float) -> None:
        """So many have joined."""
        self._joined.extend([now] * min(count, self._most))


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

"""Benchmark of the face search: its time compared with one bare matrix-vector product."""

import statistics
import time
from collections.abc import Callable

import numpy as np

from gated.composite import Composite
from gated.gallery.search import Index, Row
from gated.types import SubjectId


def search_ratio(n: int = 10_000, composite: Composite | None = None, rounds: int = 300) -> dict[str, float]:
    """Return the time of a search among `n` templates, divided by the time of a bare product with argmax.

    Each person has two templates, and each household has two people. `composite`: the parts of an embedding, with their
    centring; None: one part of 128 numbers. Keys of the result: `templates`, `dimension`,
    `bare_us` and `search_us` (medians of `rounds` alternating runs, in microseconds) and `ratio`.
    """
    parts = composite or Composite.single(128)
    vectors, dimension = np.random.default_rng(0).standard_normal((n, parts.dimension), np.float32), parts.dimension
    for place, root in zip(parts.slices, parts.roots, strict=True):
        vectors[:, place] *= root / np.linalg.norm(vectors[:, place], axis=1, keepdims=True)
    rows = (Row(SubjectId(f"{i // 2:016x}"), f"{i // 4:08}", "active", vector) for i, vector in enumerate(vectors))
    index, probe = Index(rows, dimension, composite), vectors[n // 2].copy()
    bare, search = [], []
    for _ in range(rounds):
        bare.append(_seconds(lambda: int((vectors @ probe).argmax())))
        search.append(_seconds(lambda: index.search(probe)))
    bare_us, search_us = statistics.median(bare) * 1e6, statistics.median(search) * 1e6
    ratio = search_us / bare_us
    return {"templates": n, "dimension": dimension, "bare_us": bare_us, "search_us": search_us, "ratio": ratio}


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start

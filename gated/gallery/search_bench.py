"""Benchmark of the face search: its time compared with one bare matrix-vector product."""

import statistics
import time
from collections.abc import Callable

import numpy as np

from gated.gallery.search import Index, Row
from gated.types import SubjectId


def search_ratio(n: int = 10_000, dimension: int = 128, rounds: int = 300) -> dict[str, float]:
    """Return the time of a search among `n` templates, divided by the time of a bare product with argmax.

    Each person has two templates, and each household has two people. Keys of the result: `templates`, `dimension`,
    `bare_us` and `search_us` (medians of `rounds` alternating runs, in microseconds) and `ratio`.
    """
    vectors = np.random.default_rng(0).standard_normal((n, dimension), np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = (Row(SubjectId(f"{i // 2:016x}"), f"{i // 4:08}", "active", vector) for i, vector in enumerate(vectors))
    index, probe = Index(rows, dimension), vectors[n // 2].copy()
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

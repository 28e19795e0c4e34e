"""Runs the networks of one face side by side, on as many threads as the machine has cores.

Each network has two threads, which share its work as they find time. More threads gain little, because the networks are
small. onnxruntime works without the interpreter's lock. Results do not depend on the number of lanes, because each
network has its own session and input. The pipeline uses it.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

MOST = 4
"""Most lanes, and most threads of the detector: a Pi has four cores."""

T = TypeVar("T")


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def threads_for(cores: int) -> int:
    """Return the number of threads for each network of a face on so many cores."""
    return min(2, cores)


def lanes_for(threads: int, cores: int) -> int:
    """Return the number of lanes on so many cores, if each network has so many threads."""
    return max(1, min(MOST, cores // threads))


class Lanes:
    """A fixed number of threads. With one lane, a job runs in the calling thread when its result is needed."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pool = ThreadPoolExecutor(count, "lane") if count > 1 else None
        self._running: list[Future[Any]] = []

    def start(self, job: Callable[[], T]) -> Callable[[], T]:
        """Start a job. Return a function that waits for its result. That function raises the error of the job."""
        if self._pool is None:
            return job
        future = self._pool.submit(job)
        self._running.append(future)
        return future.result

    def finish(self) -> None:
        """Wait until no job runs, so that the inputs of the networks may be filled again."""
        wait(self._running)
        self._running.clear()

"""One direction of a network, and its faults: latency, low rate, silence, truncation, a byte limit. Pure."""

from dataclasses import dataclass
from math import inf
from random import Random

CHUNK_BYTES = 16 * 1024
STEP_S = 0.05
"""A slow network forwards its bytes in steps of this length."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The faults of one direction. The defaults are a network without faults."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    """Upper bound of the random time added to each chunk's latency. The order stays."""
    bytes_per_s: float = inf
    """For all connections together."""
    is_silent: bool = False
    """Half open: connections stay up, but their bytes and their end are lost. A connection that lost bytes is reset
    with its next bytes after the fault, as by a router that has forgotten it.
    """
    truncate_bytes: float = inf
    """Each connection is closed after this many bytes, in the middle of any message."""
    limit_bytes: float = inf
    """After this many bytes of all connections together, the direction becomes silent."""


SOUND = Fault()


class Direction:
    """One direction of a network: its current fault, and byte counters."""

    def __init__(self) -> None:
        self.passed_bytes = 0
        self.swallowed_bytes = 0
        self.inflict(SOUND)

    def inflict(self, fault: Fault) -> None:
        """Apply a fault. `SOUND` removes it. Chunks in flight keep their latency."""
        self.fault = fault
        self._left: float = fault.limit_bytes
        self._free_at = 0.0

    @property
    def is_silent(self) -> bool:
        """Whether bytes are lost now without an error."""
        return self.fault.is_silent or self._left <= 0

    @property
    def step_bytes(self) -> int:
        """Number of bytes to read at a time."""
        return int(max(1, min(CHUNK_BYTES, self.fault.bytes_per_s * STEP_S)))

    def latency_s(self, dice: Random) -> float:
        """Return the latency of one chunk."""
        return self.fault.latency_s + self.fault.jitter_s * dice.random()

    def wait_s(self, count: int, now: float) -> float:
        """Return the time until the direction is free again after `count` bytes."""
        self._free_at = max(self._free_at, now) + count / self.fault.bytes_per_s
        return self._free_at - now

    def part(self, chunk: bytes) -> bytes:
        """Return the part of a chunk that passes. Count passed and lost bytes."""
        passed = b"" if self.is_silent else chunk[: int(min(len(chunk), self._left))]
        self._left -= len(passed)
        self.passed_bytes += len(passed)
        self.swallowed_bytes += len(chunk) - len(passed)
        return passed

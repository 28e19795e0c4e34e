"""One direction of a wire, and the ways in which it is bad: late, slow, silent, torn, used up. Pure."""

from dataclasses import dataclass
from math import inf
from random import Random

CHUNK_BYTES = 16 * 1024
STEP_S = 0.05
"""A slow wire passes on what it can in so long at a time."""


@dataclass(frozen=True, slots=True)
class Fault:
    """How one direction of the wire is; as it stands here: sound."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    """Up to so much is added to each chunk's latency; the order stays."""
    bytes_per_s: float = inf
    """All connections together."""
    is_silent: bool = False
    """Half open: connections stand, what is sent is swallowed, and so is the end of it. One that lost bytes is reset
    with its next ones once the wire is sound again, as by a router that has forgotten it."""
    truncate_bytes: float = inf
    """Each connection is closed after so many, in the middle of whatever it is."""
    limit_bytes: float = inf
    """So many pass from now on, all connections together; then it is silent."""


SOUND = Fault()


class Way:
    """One direction of a wire: how it is, and what has passed."""

    def __init__(self) -> None:
        self.passed_bytes = 0
        self.swallowed_bytes = 0
        self.inflict(SOUND)

    def inflict(self, fault: Fault) -> None:
        """From now on it is like this; `SOUND` heals it. What is under way keeps the latency that it had."""
        self.fault = fault
        self._left: float = fault.limit_bytes
        self._free_at = 0.0

    @property
    def is_silent(self) -> bool:
        """Whether nothing passes now, unnoticed."""
        return self.fault.is_silent or self._left <= 0

    @property
    def step_bytes(self) -> int:
        """How much is taken in at a time."""
        return int(max(1, min(CHUNK_BYTES, self.fault.bytes_per_s * STEP_S)))

    def latency_s(self, dice: Random) -> float:
        """Of one chunk."""
        return self.fault.latency_s + self.fault.jitter_s * dice.random()

    def wait_s(self, count: int, now: float) -> float:
        """How long until the wire is free again, when so many bytes go over it now."""
        self._free_at = max(self._free_at, now) + count / self.fault.bytes_per_s
        return self._free_at - now

    def part(self, chunk: bytes) -> bytes:
        """As much of a chunk as passes; it is counted, and so is what is swallowed."""
        passed = b"" if self.is_silent else chunk[: int(min(len(chunk), self._left))]
        self._left -= len(passed)
        self.passed_bytes += len(passed)
        self.swallowed_bytes += len(chunk) - len(passed)
        return passed

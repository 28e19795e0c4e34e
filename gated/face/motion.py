"""Is anything going on? While nobody is in view, the detector rests, and the gate stays cool and cheap."""

import math

import numpy as np
from numpy.typing import NDArray

from gated.frame import Pixels

COLUMNS, ROWS = 80, 60
"""About so many points of the picture are watched."""
MEMORY_S = 2.0
"""The time constant of the background: what stays for a few of these belongs to it."""
CHANGE = 14.0
"""Grey levels that a point must differ by; a small sensor's noise at night stays below."""
SHARE = 0.0025
"""So much of the picture must differ: a dozen points, less than the smallest face that would do."""
LATELY_S = 2.0
"""For so long after a movement the detector goes on."""
AT_LEAST_S = 1.0
"""And so often it looks at any rate: somebody who waits without moving is still somebody."""


class MotionGate:
    """Says for each frame whether to look for faces in it. Pure: brightness and time in, a claim out."""

    def __init__(self) -> None:
        self._background: NDArray[np.float32] | None = None
        self._seen_at = self._moved_at = self._looked_at = float("-inf")

    def wants(self, brightness: Pixels, now: float, tracking: bool) -> bool:
        """Whether to look at a frame with this (h, w) uint8 brightness; always while a face is being tracked."""
        if self._moved(brightness, now):
            self._moved_at = now
        wanted = tracking or now - self._moved_at < LATELY_S or now - self._looked_at >= AT_LEAST_S
        if wanted:
            self._looked_at = now
        return wanted

    def _moved(self, brightness: Pixels, now: float) -> bool:
        """Whether the picture differs from the background by more than a change of light; the background learns it."""
        height, width = brightness.shape
        points = brightness[:: max(1, height // ROWS), :: max(1, width // COLUMNS)].astype(np.float32)
        if self._background is None or self._background.shape != points.shape:
            self._background, self._seen_at = points, now
            return True
        change = points - self._background
        share = 1 - math.exp(-max(0.0, now - self._seen_at) / MEMORY_S)
        self._background += np.float32(share) * change
        self._seen_at = now
        sorted_change = np.sort(change[::4, ::4], axis=None)
        change -= sorted_change[sorted_change.size // 2]  # a cloud, a lamp or the exposure moves all points alike
        return bool(np.count_nonzero(np.abs(change) > CHANGE) > SHARE * change.size)

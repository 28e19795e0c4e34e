"""The motion gate: while nobody is in view, the detector rests, and the gate stays cool."""

import math

import numpy as np
from numpy.typing import NDArray

from gated.frame import Pixels

COLUMNS, ROWS = 80, 60
"""About this many points of the picture are compared."""
MEMORY_S = 2.0
"""Time constant of the background. A change that stays for a few time constants becomes background."""
CHANGE = 14.0
"""Least difference of a changed point, in grey levels. The night noise of a small sensor stays below."""
SHARE = 0.0025
"""Least share of changed points for motion: a dozen points, less than the smallest usable face covers."""
ACTIVE_S = 2.0
"""The detector runs for this long after the last motion."""
MOST_PAUSE_S = 1.0
"""Longest time between two runs of the detector, so that it also finds a resident who stands still."""


class MotionGate:
    """Decides for each frame whether the detector runs. Pure: brightness and time in, a boolean out."""

    def __init__(self) -> None:
        self._background: NDArray[np.float32] | None = None
        self._seen_at = self._moved_at = self._detected_at = float("-inf")

    def wants(self, brightness: Pixels, now: float, tracking: bool) -> bool:
        """Return whether to detect faces in a frame with this (h, w) uint8 brightness. True while tracking."""
        if self._moved(brightness, now):
            self._moved_at = now
        wanted = tracking or now - self._moved_at < ACTIVE_S or now - self._detected_at >= MOST_PAUSE_S
        if wanted:
            self._detected_at = now
        return wanted

    def _moved(self, brightness: Pixels, now: float) -> bool:
        """Return whether the picture changed by more than the light. Update the background."""
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
        change -= sorted_change[sorted_change.size // 2]  # a cloud, a lamp or the exposure changes all points alike
        return bool(np.count_nonzero(np.abs(change) > CHANGE) > SHARE * change.size)

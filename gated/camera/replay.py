"""A recording in the camera's place: it keeps real time, and a slow reader misses frames as before a real street."""

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from gated.camera.pictures import frame_of
from gated.camera.recording import Shot, shots
from gated.camera.schedule import wait_until_due
from gated.config import CameraSettings
from gated.frame import Frame

NOTHING_IN_VIEW = np.full((480, 640, 3), 128, np.uint8)
"""Plain grey: what is shown after the end."""


class ReplayCamera:
    """Shows pictures or a video at `fps`, each frame due at a fixed multiple of the period since the opening."""

    def __init__(self, settings: CameraSettings) -> None:
        self._settings = settings
        self._closed = threading.Event()
        self._closed.set()
        self._opened_at = 0.0
        self._number = -1
        self._shots: Iterator[Shot] = iter(())
        self._next: Shot | None = None
        self._view: Frame | None = None
        self._exhausted = False

    @property
    def name(self) -> str:
        """What to call this camera in a log line."""
        return f"replay of {Path(self._settings.path).name}"

    @property
    def exhausted(self) -> bool:
        """Whether the recording has been shown to its end; grey frames follow."""
        return self._exhausted

    def open(self) -> None:
        """Start the recording from its beginning. Raises `CameraError` when any of it is missing or damaged.

        Every picture is read once here, so that a damaged one is named now and not in the middle.
        """
        self._shots = shots(Path(self._settings.path), self._settings.hold_s, self._settings.loop)
        self._next = next(self._shots, None)
        self._view, self._exhausted, self._number = None, False, -1
        self._closed.clear()
        self._opened_at = time.monotonic()

    def frame(self, timeout_s: float) -> Frame:
        """The newest frame that is due; waits for the next if that was given. Raises `CameraError` when none comes."""
        elapsed_s = time.monotonic() - self._opened_at
        number = max(self._number + 1, math.floor(elapsed_s * self._settings.fps))
        due_s = number / self._settings.fps
        wait_until_due(self._opened_at + due_s, timeout_s, self._closed, self.name, self._settings.fps)
        self._number = number
        return replace(self._view_at(due_s), at=self._opened_at + due_s, number=number)

    def close(self) -> None:
        """Stop the recording and let go of its file."""
        self._closed.set()
        self._shots, self._next, self._view = iter(()), None, None

    def _view_at(self, elapsed_s: float) -> Frame:
        """What is in view then, decoded and scaled once for as long as it is shown."""
        shot = None
        while self._next is not None and self._next.begins_s <= elapsed_s + 1e-9:
            shot, self._next = self._next, next(self._shots, None)
        if shot is not None or self._view is None:
            rgb = shot.rgb if shot is not None else None
            self._exhausted = rgb is None
            self._view = frame_of(NOTHING_IN_VIEW if rgb is None else rgb(), 0.0, 0)
        return self._view

"""A recording in place of a camera. It plays in real time, so a slow reader misses frames, as with a real camera."""

import math
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from gated.camera.frame_clock import wait_until_due
from gated.camera.pictures import frame_of
from gated.camera.recording import Shot, shots
from gated.config import CameraSettings
from gated.frame import Frame

NOTHING_IN_VIEW = np.full((480, 640, 3), 128, np.uint8)
"""A plain grey picture, shown after the end."""


class ReplayCamera:
    """A camera that plays pictures or a video at `fps`. Frame N is due N periods after `open`."""

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
        """The name of this camera in log lines."""
        return f"replay of {Path(self._settings.path).name}"

    @property
    def exhausted(self) -> bool:
        """Whether the recording is over. Grey frames follow."""
        return self._exhausted

    def open(self) -> None:
        """Start the recording from its beginning. Raises `CameraError` when a picture is missing or damaged.

        It reads every picture once at the start: a damaged picture is reported immediately.
        """
        self._shots = shots(Path(self._settings.path), self._settings.hold_s, self._settings.loop)
        self._next = next(self._shots, None)
        self._view, self._exhausted, self._number = None, False, -1
        self._closed.clear()
        self._opened_at = time.monotonic()

    def frame(self, timeout_s: float) -> Frame:
        """Return the newest due frame, but no frame twice; wait for the next frame if needed.

        Raises `CameraError` when no frame is due within `timeout_s`, or when the camera is closed.
        """
        elapsed_s = time.monotonic() - self._opened_at
        number = max(self._number + 1, math.floor(elapsed_s * self._settings.fps))
        due_s = number / self._settings.fps
        wait_until_due(self._opened_at + due_s, timeout_s, self._closed, self.name, self._settings.fps)
        self._number = number
        return replace(self._view_at(due_s), at=self._opened_at + due_s, number=number)

    def close(self) -> None:
        """Stop the recording and close its file."""
        self._closed.set()
        self._shots, self._next, self._view = iter(()), None, None

    def _view_at(self, elapsed_s: float) -> Frame:
        """Return the picture at a time of the recording as a frame. Each picture is decoded and scaled once."""
        shot = None
        while self._next is not None and self._next.begins_s <= elapsed_s + 1e-9:
            shot, self._next = self._next, next(self._shots, None)
        if shot is not None or self._view is None:
            rgb = shot.rgb if shot is not None else None
            self._exhausted = rgb is None
            self._view = frame_of(NOTHING_IN_VIEW if rgb is None else rgb(), 0.0, 0)
        return self._view

"""The simulated camera: renders a scene script in real time, as a sensor would.

It never waits for a face that is still being rendered. A thread renders faces ahead of the script.
"""

import math
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from msgspec.structs import replace
from PIL import Image

from gated.camera.frame_clock import wait_until_due
from gated.config import CameraSettings
from gated.errors import CameraError
from gated.frame import Frame, Pixels, i420_from_rgb, lores_size_for
from gated.simulator.cast import Cast
from gated.simulator.composition import compose
from gated.simulator.script import Script, read_script, stand

AHEAD_S = 4.0
"""Faces are rendered this far ahead of the script."""
IDLE_S = 0.1
JOIN_S = 5.0


class SimulatedCamera:
    """Plays a scene script at `fps`. Each frame is due at a fixed multiple of the period since `open`.

    The camera reads the script again when its file is replaced. So a director can change a running scene.
    """

    def __init__(self, settings: CameraSettings) -> None:
        self._settings = settings
        self._size = settings.width, settings.height
        self._closed = threading.Event()
        self._closed.set()
        self._opened_at, self._number = 0.0, -1
        self._script, self._written_ns = Script(), -1
        self._cast = Cast(settings.width)
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """Name of this camera in log lines."""
        return f"simulated camera of {Path(self._settings.path).name}"

    @property
    def exhausted(self) -> bool:
        """Whether the script has ended. Frames of the empty lane follow."""
        return not self._settings.loop and self._second(time.monotonic()) >= self._script.ends_s

    def open(self) -> None:
        """Start the script, or join it at its current second. Raises `CameraError` when the script cannot be read."""
        self.close()
        self._written_ns = -1
        self._follow()
        self._cast = Cast(self._settings.width, self._script.sky, self._script.seed)
        self._opened_at, self._number = time.monotonic(), -1
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._rehearse, args=(self._closed,), name="rehearsal", daemon=True)
        self._thread.start()

    def frame(self, timeout_s: float) -> Frame:
        """Return the newest due frame, or wait for the next. Raises `CameraError` when none is available."""
        number = max(self._number + 1, math.floor((time.monotonic() - self._opened_at) * self._settings.fps))
        due_at = self._opened_at + number / self._settings.fps
        wait_until_due(due_at, timeout_s, self._closed, self.name, self._settings.fps)
        self._number = number
        self._follow()
        if self._thread is not None and not self._thread.is_alive():
            raise CameraError(f"{self.name}: the rendering thread has ended; see the log")
        second = self._second(due_at)
        placed = [self._cast.place(actor, second, wait=False) for actor in self._script.actors]
        people = [person for person in placed if person is not None]
        main = compose(people, self._size, number, sky=self._script.sky, seed=self._script.seed).rgb
        return Frame(main, lores_of(main), due_at, number)

    def close(self) -> None:
        """Stop. Idempotent."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(JOIN_S)
            self._thread = None

    def _second(self, now: float) -> float:
        """Return the second of the script at a monotonic time."""
        begins_at = self._script.begins_at
        second = now - (self._opened_at if begins_at is None else begins_at)
        return second % self._script.ends_s if self._settings.loop else second

    def _follow(self) -> None:
        """Read the script again if its file has changed."""
        path = Path(self._settings.path)
        try:
            written_ns = path.stat().st_mtime_ns
        except OSError as error:
            raise CameraError(f"camera.path: {path} cannot be read ({error.strerror}); name a scene script") from error
        if written_ns != self._written_ns:
            self._script, self._written_ns = read_script(path), written_ns

    def _rehearse(self, closed: threading.Event) -> None:
        """Render ahead, in a thread: everybody soon in view, then once everybody who comes later."""
        while not closed.wait(IDLE_S):
            for prepare in rehearsal(self._script, self._cast, self._second(time.monotonic()), self._settings.fps):
                if closed.is_set():
                    return
                prepare()


def rehearsal(script: Script, cast: Cast, second: float, fps: float) -> list[Callable[[], object]]:
    """Return the renderings to prepare at a second of the script, the most urgent first.

    First the actors in view, as they will soon look and as they would look when leaving. Then the actors who come
    later.
    """
    moments = np.arange(second, second + AHEAD_S, 1 / fps).tolist()
    soon = [(actor, at) for at in moments for actor in script.actors if stand(actor, at) is not None]
    leaving = [(replace(actor, leaves_s=second), second) for actor in script.actors if stand(actor, second) is not None]
    later = [
        (actor, actor.comes_s) for actor in sorted(script.actors, key=lambda a: a.comes_s) if actor.comes_s > second
    ]
    return [partial(cast.place, actor, at) for actor, at in (*soon[:1], *leaving, *soon[1:], *later)]


def lores_of(main: Pixels) -> Pixels:
    """Return the I420 picture that a Pi's image processor gives beside a main picture (H, W, 3)."""
    size = lores_size_for(main.shape[1], main.shape[0])
    return i420_from_rgb(np.asarray(Image.fromarray(main).resize(size, Image.Resampling.BOX)))

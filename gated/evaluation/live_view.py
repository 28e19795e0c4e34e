"""The observations of a stopped gate's own vision, for `gated evaluate --live`.

Vision runs as at the gate: as its service where there is one, with the same confinement. The command holds the lock
of the gate's process, so no gate runs meanwhile. No face opens a door, and no attack counts against a resident.
Leaving needs no software.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gated.config import Settings
from gated.errors import CameraError
from gated.face.vision_link import VisionLink
from gated.face.vision_messages import Observation, TrackEnded, VisionReady, VisionSettings
from gated.face.vision_start import VisionStart
from gated.storage.process_lock import FileLock

READY_S = 40.0
"""Longest time until vision gives observations, in seconds."""

Seen = Observation | TrackEnded


class LiveView:
    """Vision's messages, in a thread of its own, so that the installer may answer slowly."""

    def __init__(self, settings: Settings, service: Path | None) -> None:
        """`service`: as in `VisionLink`."""
        self._seen: queue.SimpleQueue[Seen] = queue.SimpleQueue()
        self._ready, self._why, self._service = threading.Event(), "", service
        self._worker = VisionSettings(settings.camera, settings.models, settings.face)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="live view", daemon=True)

    def open(self) -> None:
        """Start vision and wait for its first frame. Raises `CameraError`."""
        self._thread.start()
        if not self._ready.wait(READY_S):
            self.close()
            raise CameraError(f"vision sees nothing: {self._why or 'it does not answer'}; run `gated doctor`")

    def close(self) -> None:
        """End vision."""
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(5)

    def restart(self) -> None:
        """Forget all observations until now."""
        while not self._seen.empty():
            self._seen.get_nowait()

    def during(self, seconds: float) -> Iterator[Seen | None]:
        """Yield the messages of the next `seconds`, and None when there was none for a moment. Raises `CameraError`."""
        end = time.monotonic() + seconds
        while (remaining_s := end - time.monotonic()) > 0:
            if not self._ready.is_set():
                raise CameraError(f"vision was lost: {self._why}; run `gated doctor`, then begin again")
            try:
                yield self._seen.get(timeout=min(remaining_s, 0.2))
            except queue.Empty:
                yield None

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        link = VisionLink(VisionStart(self._worker, self._service), self._on_ready, self._seen.put, self._on_lost)
        self._task = self._loop.create_task(link.run())
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            return
        finally:
            self._loop.close()

    def _on_ready(self, _: VisionReady) -> None:
        self._ready.set()

    def _on_lost(self, why: str) -> None:
        self._why = why
        self._ready.clear()


@contextmanager
def in_view(settings: Settings, service: Path | None) -> Iterator[LiveView]:
    """Run vision in place of the gate, until the end of the block. Raises `BusyError` while the gate runs, and
    `CameraError`.
    """
    with closing(FileLock(settings.state / "run.lock", "a gate with this state folder")):
        view = LiveView(settings, service)
        view.open()
        try:
            yield view
        finally:
            view.close()

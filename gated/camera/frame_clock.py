"""Wait for the due time of the next frame, for replay and simulated cameras. Closing the camera ends the wait."""

import threading
import time

from gated.errors import CameraError


def wait_until_due(due_at: float, timeout_s: float, closed: threading.Event, name: str, fps: float) -> None:
    """Wait until `due_at` (monotonic seconds). `name` and `fps` are for the error text.

    Raises `CameraError` if the frame is more than `timeout_s` away, or if `closed` is set.
    """
    give_up_at = time.monotonic() + timeout_s
    while not closed.is_set() and (now := time.monotonic()) < due_at:
        if now >= give_up_at:
            raise CameraError(f"{name}: no frame within {timeout_s:g} s; camera.fps is {fps:g}")
        closed.wait(min(due_at, give_up_at) - now)
    if closed.is_set():
        raise CameraError(f"{name}: is closed; open it first")

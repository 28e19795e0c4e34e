"""The loop of the vision process: a frame in, observations out. `gated.vision` owns the socket and the process."""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gated.errors import CameraError, EmbeddingError, ModelError
from gated.face.pipeline import FacePipeline
from gated.face.vision_messages import (
    MAX_WORDS,
    CodeSeen,
    FromVision,
    Observation,
    TrackEnded,
    VisionPulse,
    VisionTrouble,
)
from gated.frame import Camera, Frame

if TYPE_CHECKING:  # a gate without visitor passes needs neither zxing nor Pillow
    from gated.face.pass_scan import Scanner

logger = logging.getLogger(__name__)

PULSE_S = 0.4
"""Longest time between two pulses while frames arrive: twice a second, with room for a slow frame."""


def serve(
    camera: Camera,
    pipeline: FacePipeline,
    send: Callable[[FromVision], None],
    stop: Callable[[], bool],
    timeout_s: float = 2.0,
    *,
    scanner: "Scanner | None" = None,
) -> None:
    """Analyse frames until `stop` returns true, or until the camera or a model fails. A failure is sent as
    `VisionTrouble`.

    `VisionReady` is sent after the first frame. `timeout_s`: longest time for one frame. `scanner`: scans for visitor
    passes, after the faces and only after motion. None: no scan.
    """
    try:
        camera.open()
        frame, pulse = camera.frame(timeout_s), Pulse()
        send(pipeline.ready())
        while not stop():
            seen = pipeline.observe(frame)
            for message in (*seen, *pulse.after(frame, seen, camera.exhausted)):
                send(message)
            if scanner is not None and pipeline.has_detected and (text := scanner.scan(frame)) is not None:
                send(CodeSeen(text, frame.at))
            frame = camera.frame(timeout_s)
    except CameraError as error:
        logger.warning("vision ends: %s", error)
        send(VisionTrouble(kind="camera", message=str(error)[:MAX_WORDS]))
    except (ModelError, EmbeddingError) as error:
        logger.warning("vision ends: %s", error)
        send(VisionTrouble(kind="models", message=str(error)[:MAX_WORDS]))
    finally:
        camera.close()


class Pulse:
    """Counts frames and decides when the next pulse is due, in the frames' own time."""

    def __init__(self) -> None:
        self._frames, self._sent_at = 0, float("-inf")

    def after(self, frame: Frame, seen: Sequence[Observation | TrackEnded], exhausted: bool) -> tuple[VisionPulse, ...]:
        """Return the pulse after a frame if one is due."""
        self._frames += 1
        if frame.at - self._sent_at < PULSE_S:
            return ()
        self._sent_at = frame.at
        faces = sum(isinstance(message, Observation) for message in seen)
        return (VisionPulse(frame_at=frame.at, frames=self._frames, faces=faces, exhausted=exhausted),)

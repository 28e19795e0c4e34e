"""The vision process's one loop: frame in, what was seen out. The socket and the process are somebody else's."""

import logging
from collections.abc import Callable, Sequence

from gated.errors import CameraError, EmbeddingError, ModelError
from gated.face.messages import CodeSeen, FromVision, Observation, TrackEnded, VisionPulse, VisionTrouble
from gated.face.pipeline import FacePipeline
from gated.face.scan import Scanner
from gated.frame import Camera, Frame

logger = logging.getLogger(__name__)

PULSE_S = 0.4
"""At most so long between two pulses while frames are fresh: twice a second, with room for a slow frame."""


def serve(
    camera: Camera,
    pipeline: FacePipeline,
    send: Callable[[FromVision], None],
    stop: Callable[[], bool],
    timeout_s: float = 2.0,
    *,
    scanner: Scanner | None = None,
) -> None:
    """Look until `stop` says so, or until the camera or a model fails; that is told as `VisionTrouble`, and is the end.

    `VisionReady` goes out first, once there is a first frame. `timeout_s`: how long the camera may take for one frame.
    `scanner`: looks for visitor passes, after the faces and only where something moves; None looks for none.
    """
    try:
        camera.open()
        frame, beat = camera.frame(timeout_s), Pulse()
        send(pipeline.ready())
        while not stop():
            seen = pipeline.observe(frame)
            for message in (*seen, *beat.after(frame, seen, camera.exhausted)):
                send(message)
            if scanner is not None and pipeline.has_looked and (text := scanner.scan(frame)) is not None:
                send(CodeSeen(text, frame.at))
            frame = camera.frame(timeout_s)
    except CameraError as error:
        logger.warning("vision ends: %s", error)
        send(VisionTrouble(kind="camera", message=str(error)))
    except (ModelError, EmbeddingError) as error:
        logger.warning("vision ends: %s", error)
        send(VisionTrouble(kind="models", message=str(error)))
    finally:
        camera.close()


class Pulse:
    """Counts frames, and says when the next pulse is due by the frames' own time."""

    def __init__(self) -> None:
        self._frames, self._sent_at = 0, float("-inf")

    def after(self, frame: Frame, seen: Sequence[Observation | TrackEnded], exhausted: bool) -> tuple[VisionPulse, ...]:
        """The pulse after a frame, where one is due."""
        self._frames += 1
        if frame.at - self._sent_at < PULSE_S:
            return ()
        self._sent_at = frame.at
        faces = sum(isinstance(message, Observation) for message in seen)
        return (VisionPulse(frame_at=frame.at, frames=self._frames, faces=faces, exhausted=exhausted),)

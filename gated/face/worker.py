"""The vision process's one loop: frame in, what was seen out. The socket and the process are somebody else's."""

import logging
from collections.abc import Callable

from gated.errors import CameraError, EmbeddingError, ModelError
from gated.face.messages import FromVision, Observation, VisionPulse, VisionTrouble
from gated.face.pipeline import FacePipeline
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
) -> None:
    """Look until `stop` says so, or until the camera or a model fails; that is told as `VisionTrouble`, and is the end.

    `VisionReady` goes out first, once there is a first frame. `timeout_s`: how long the camera may take for one frame.
    """
    try:
        camera.open()
        frame = camera.frame(timeout_s)
        send(pipeline.ready())
        _look(camera, pipeline, send, stop, timeout_s, frame)
    except CameraError as error:
        logger.warning("vision ends: %s", error)
        send(VisionTrouble(kind="camera", message=str(error)))
    except (ModelError, EmbeddingError) as error:
        logger.warning("vision ends: %s", error)
        send(VisionTrouble(kind="models", message=str(error)))
    finally:
        camera.close()


def _look(
    camera: Camera,
    pipeline: FacePipeline,
    send: Callable[[FromVision], None],
    stop: Callable[[], bool],
    timeout_s: float,
    frame: Frame,
) -> None:
    """Frame after frame: first what was seen in it, then a pulse if one is due by the frames' own time."""
    frames, pulse_at = 0, float("-inf")
    while not stop():
        seen = pipeline.observe(frame)
        for message in seen:
            send(message)
        frames += 1
        if not frame.at - pulse_at < PULSE_S:
            faces = sum(isinstance(message, Observation) for message in seen)
            send(VisionPulse(frame_at=frame.at, frames=frames, faces=faces, exhausted=camera.exhausted))
            pulse_at = frame.at
        frame = camera.frame(timeout_s)

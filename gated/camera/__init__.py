"""The camera: the newest frame of a Pi camera or of a recording.

Public: __init__, decoding, frame_clock, pictures.
"""

from gated.config import CameraSettings
from gated.frame import Camera


def open_camera(settings: CameraSettings) -> Camera:
    """Return the camera that the settings name, not yet opened. It imports only the modules that it needs."""
    if settings.kind == "replay":
        from gated.camera.replay import ReplayCamera

        return ReplayCamera(settings)
    from gated.camera.picamera import PicameraCamera

    return PicameraCamera(settings)

"""The camera: frames, newest first, from a Pi's sensor or from a recording."""

from gated.config import CameraSettings
from gated.frame import Camera


def open_camera(settings: CameraSettings) -> Camera:
    """The camera that the settings name, still to be opened. Only what it needs is imported."""
    if settings.kind == "replay":
        from gated.camera.replay import ReplayCamera

        return ReplayCamera(settings)
    from gated.camera.picamera import PicameraCamera

    return PicameraCamera(settings)

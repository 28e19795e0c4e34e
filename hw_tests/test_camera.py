"""The camera contract on the real sensor."""

import os

import pytest
from contracts.camera import CameraContract

from gated.camera import open_camera
from gated.config import CameraSettings


@pytest.fixture
def camera():
    if os.environ.get("GATED_HW_CAMERA") != "1":
        pytest.skip("needs GATED_HW_CAMERA=1: see hw_tests/README.md")
    camera = open_camera(CameraSettings(kind="picamera2", fps=10))
    yield camera
    camera.close()


class TestPiCamera(CameraContract):
    """The same promises as in simulation."""

"""Stand-ins for the parts that only a Pi has, placed where the real picamera2 imports them."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gated.config import CameraSettings

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "pi"), str(HERE.parent)]
pytest.register_assert_rewrite("contracts.camera")


@pytest.fixture
def bench():
    """The bench with a working camera. It is reset at the end."""
    import kernel_dma
    from libcamera.bench import bench

    kernel_dma.install()
    bench.reset()
    yield bench
    bench.reset()


@pytest.fixture
def pi_settings():
    """Settings with a size whose rows are padded, and a high frame rate."""
    return CameraSettings(fps=30, width=810, height=610, timeout_s=0.5)


@pytest.fixture
def picture(tmp_path):
    """Return a function that writes a picture of one colour and returns its path."""

    def write(name: str, colour=(200, 100, 50), size=(64, 48), **options) -> Path:
        path = tmp_path / name
        Image.fromarray(np.full((size[1], size[0], 3), colour, np.uint8)).save(path, **options)
        return path

    return write

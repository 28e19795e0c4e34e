"""What every camera promises, simulated or real. A test class inherits it and gives a fixture `camera`, not yet opened.

The same body runs on a Pi from hw_tests/; nothing here depends on how fast the machine is.
"""

import time
from itertools import pairwise

import numpy as np
import pytest

from gated.errors import CameraError
from gated.frame import lores_size_for

PATIENCE_S = 20.0


class CameraContract:
    """Wants a camera of 5 to 60 frames a second that does not run out while the test lasts."""

    @pytest.fixture
    def opened(self, camera):
        camera.open()
        yield camera
        camera.close()

    def test_a_frame_has_the_shapes_it_promises(self, opened):
        frame = opened.frame(PATIENCE_S)
        height, width, channels = frame.main.shape
        assert channels == 3
        assert frame.main.dtype == frame.lores.dtype == np.uint8
        assert frame.main.flags.c_contiguous
        assert frame.lores.flags.c_contiguous
        assert frame.lores_size == lores_size_for(width, height)
        assert frame.lores.shape[0] % 6 == 0
        assert frame.lores.shape[1] % 2 == 0

    def test_frame_numbers_and_times_rise_and_no_frame_is_from_the_future(self, opened):
        frames = []
        for _ in range(8):
            frames.append(opened.frame(PATIENCE_S))
            assert frames[-1].at <= time.monotonic()
        assert all(a.number < b.number and a.at < b.at for a, b in pairwise(frames))

    def test_a_frame_stays_unchanged_when_the_next_one_arrives(self, opened):
        frame = opened.frame(PATIENCE_S)
        main, lores = frame.main.copy(), frame.lores.copy()
        opened.frame(PATIENCE_S)
        assert (frame.main == main).all()
        assert (frame.lores == lores).all()

    def test_a_slow_reader_gets_the_newest_frame_and_misses_the_rest(self, opened):
        before = opened.frame(PATIENCE_S)
        time.sleep(1.0)
        after = opened.frame(PATIENCE_S)
        assert after.number > before.number + 1
        assert after.at > before.at + 0.2

    def test_no_frame_is_returned_twice_and_a_late_frame_is_an_error(self, opened):
        given = []

        def read_for_ever():
            while len(given) < 100_000:
                given.append(opened.frame(0.0).number)

        with pytest.raises(CameraError):
            read_for_ever()
        assert len(given) == len(set(given))

    def test_a_live_view_is_not_exhausted(self, opened):
        opened.frame(PATIENCE_S)
        assert opened.exhausted is False
        assert opened.name

    def test_a_camera_can_be_closed_twice_and_before_opening(self, camera):
        camera.close()
        camera.open()
        camera.close()
        camera.close()

    def test_a_closed_camera_gives_no_frame(self, camera):
        camera.open()
        camera.frame(PATIENCE_S)
        camera.close()
        with pytest.raises(CameraError, match="closed"):
            camera.frame(0.1)

    def test_a_camera_opens_again_after_closing(self, camera):
        for _ in range(3):
            camera.open()
            assert camera.frame(PATIENCE_S).main.any()
            camera.close()

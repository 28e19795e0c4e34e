"""Promises of a real camera beyond `contracts.camera`: frame rate, age of frames, exposure and focus."""

import time
from itertools import pairwise

import numpy as np
import pytest
from contracts.bench import needs, quantile
from PIL import Image

from gated.config import FaceSettings
from gated.face.quality import sharpness
from gated.frame import luma

FPS = 10.0
"""Frame rate of the benches' cameras: the gate's default."""
COVER, UNCOVER = "cover the lens with a hand", "take the hand away at once after this"
NEAR, FAR = "hold a printed page 0.4 m before the lens", "hold the same page 1 m before the lens"
RATIO = 2.5
"""Size of the page at 0.4 m over that at 1 m."""
LEAST_SHARP = 0.5
"""Least sharpness of the near page at equal size, as a share of that at 1 m."""


class SightContract:
    """A subclass gives a fixture `bench`."""

    @pytest.fixture
    def camera(self, bench):
        camera = bench.camera()
        camera.open()
        yield camera
        camera.close()

    @needs("camera")
    def test_frames_have_the_configured_rate_and_are_recent(self, bench, camera):
        """Read frames for some seconds. Compare their rate with the settings, and their age with the period."""
        camera.frame(bench.pace.patience_s)
        frames, ages = [], []
        for _ in range(bench.pace.frames):
            frames.append(camera.frame(bench.pace.patience_s))
            ages.append(time.monotonic() - frames[-1].at)
        period_s = quantile([(b.at - a.at) / (b.number - a.number) for a, b in pairwise(frames)], 0.5)
        missed = frames[-1].number - frames[0].number + 1 - len(frames)
        bench.note("frames", f"one every {period_s:.3f} s, {missed} missed of {len(frames)}")
        bench.note("age of a frame", f"median {quantile(ages, 0.5):.3f} s, p95 {quantile(ages, 0.95):.3f} s")
        assert period_s == pytest.approx(1 / FPS, rel=0.05)
        assert quantile(ages, 0.95) <= bench.pace.within(2.5 / FPS), "frames are too old when they arrive"

    @needs("camera", "person")
    async def test_exposure_is_stable_soon_after_the_light_changes(self, bench, camera):
        """The person covers and uncovers the lens, as dusk and dawn within a second."""
        before = light(camera.frame(bench.pace.patience_s))
        await bench.person.please(COVER)
        dark = self._watch(bench, camera, bench.pace.light_s / 4)[-1][1]
        assert dark < before / 2, "the lens was not covered"
        await bench.person.please(UNCOVER)
        lights = self._watch(bench, camera, bench.pace.light_s)
        settled_s, last = settling_s(dark, lights), lights[-1][1]
        bench.note("exposure after dark", f"settled in {settled_s:.2f} s, at a mean of {last:.0f} of 255")
        assert settled_s <= bench.pace.within(2.0)
        bounds = FaceSettings()
        assert bounds.min_luminance <= last <= bounds.max_luminance

    @needs("camera", "person")
    async def test_a_face_at_arms_length_is_in_focus(self, bench, camera):
        """The person holds a printed page at 1 m and at 0.4 m. Near, it must be at least half as sharp as far away."""
        await bench.person.please(FAR)
        far = self._sharpest(bench, camera, 1.0)
        await bench.person.please(NEAR)
        near = self._sharpest(bench, camera, RATIO)
        bench.note("sharpness", f"{near:.0f} at 0.4 m, {far:.0f} at 1 m")
        assert near >= max(LEAST_SHARP * far, FaceSettings().min_sharpness), (
            "out of focus: turn the lens, or fit one with focus"
        )

    def _watch(self, bench, camera, for_s):
        end, seen = time.monotonic() + for_s, []
        while not seen or time.monotonic() < end:
            frame = camera.frame(bench.pace.patience_s)
            seen.append((frame.at, light(frame)))
        return seen

    def _sharpest(self, bench, camera, ratio):
        """Return the highest sharpness of a few frames, because hands shake."""
        return max(page_sharpness(camera.frame(bench.pace.patience_s).main, ratio) for _ in range(5))


def light(frame):
    """Return the mean brightness of a frame, 0 to 255."""
    return float(luma(frame.lores).mean())


def settling_s(dark, lights):
    """Return the time from the first (seconds, brightness) above `dark` until all stay within a tenth of the last."""
    last = lights[-1][1]
    begun = next((at for at, mean in lights if abs(mean - dark) > abs(last - dark) / 10), lights[-1][0])
    late = [at for at, mean in lights if abs(mean - last) > last / 10]
    return max(0.0, max(late, default=begun) - begun)


def page_sharpness(main, ratio):
    """Return the sharpness of the middle of a picture (H, W, 3), after reducing it by `ratio`."""
    height, width = main.shape[:2]
    side = width / 8
    reach = side * ratio / 2
    box = width / 2 - reach, height / 2 - reach, width / 2 + reach, height / 2 + reach
    grey = Image.fromarray(main).convert("L").resize((round(side), round(side)), Image.Resampling.BOX, box)
    return sharpness(np.asarray(grey, np.float32))

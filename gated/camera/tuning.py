"""The controls of a Pi camera (focus, flicker, exposure), and notes about their state. Pure.

The controls of libcamera (see its controls reference; the numbers are those of its enumerations):

- `AfMode` 2, continuous. Only modules with a lens motor offer it.
- `AeFlickerMode` 1, manual, with `AeFlickerPeriod` in microseconds. The period is half the mains period, because a lamp
  flickers at twice the mains frequency: 10000 for 50 Hz, 8333 for 60 Hz.
- No control limits the exposure time itself. `AeExposureMode` only sets how early gain is preferred, and `ExposureTime`
  switches the automatic exposure off. But an exposure is never longer than a frame. So the sensor runs fast enough for
  `MOST_EXPOSURE_US`, and gain replaces the missing light. The camera then reads only as many frames a second as the
  settings name.
"""

import math
from collections.abc import Collection, Mapping
from typing import Any

from gated.config import CameraSettings
from gated.frame import Note

MOST_EXPOSURE_US = 33_333
"""The longest exposure, 1/30 s. A person walking at 1.5 m/s moves 5 cm in it, and much less at a gate."""
AF_CONTINUOUS, FLICKER_MANUAL = 2, 1
AF_STATES = {0: "idle", 1: "focusing", 2: "in focus", 3: "not found"}
AF_FAILED = 3


def sensor_period_us(fps: float) -> int:
    """Return the frame duration of the sensor in microseconds, at most `MOST_EXPOSURE_US` (rounded up).

    The period of `fps` is a whole multiple of it.
    """
    period_us = 1e6 / fps
    return round(period_us / math.ceil(period_us / (MOST_EXPOSURE_US + 1)))


class Due:
    """The time of the next request, for a sensor that gives more frames than `fps`."""

    def __init__(self, fps: float) -> None:
        self._period_s, self._spare_s = 1 / fps, sensor_period_us(fps) / 2e6
        self._next_at = float("-inf")

    def wait_s(self, now: float) -> float:
        """Return how long to wait before the next request. It gets the first frame that ends after the request."""
        return min(self._period_s, max(0.0, self._next_at - now))

    def update(self, now: float) -> None:
        """Note the arrival of a frame. The next request is due one period later, less half a sensor frame."""
        self._next_at = now + self._period_s - self._spare_s


def controls_for(settings: CameraSettings, offered: Collection[str]) -> dict[str, int]:
    """Return the controls to set and their values, of those that this camera offers."""
    controls = {
        "AfMode": AF_CONTINUOUS,
        "AeFlickerMode": FLICKER_MANUAL,
        "AeFlickerPeriod": round(1e6 / (2 * settings.mains_hz)),
    }
    return {name: value for name, value in controls.items() if name in offered}


def notes_of(settings: CameraSettings, controls: Mapping[str, int], metadata: Mapping[str, Any]) -> tuple[Note, ...]:
    """Return notes on focus, flicker and exposure. `controls` are those set, `metadata` is that of a frame."""
    return _focus(controls, metadata), _flicker(settings, controls), _exposure(metadata)


def _focus(controls: Mapping[str, int], metadata: Mapping[str, Any]) -> Note:
    if "AfMode" not in controls:
        return Note("autofocus", "this module has none; turn its lens until faces at the gate are sharp")
    state = int(metadata.get("AfState", -1))
    dioptres = metadata.get("LensPosition")
    at = f" at {1 / dioptres:.1f} m" if dioptres and state != AF_FAILED else ""
    return Note("autofocus", f"continuous, {AF_STATES.get(state, 'state unknown')}{at}", state != AF_FAILED)


def _flicker(settings: CameraSettings, controls: Mapping[str, int]) -> Note:
    lamps = f"lamp flicker at {settings.mains_hz} Hz mains"
    if "AeFlickerPeriod" not in controls:
        result = f"this camera cannot avoid {lamps}; bands may run over faces"
        return Note("flicker", result, is_fine=False)
    return Note("flicker", f"{lamps} is avoided")


def _exposure(metadata: Mapping[str, Any]) -> Note:
    """Return a note on the exposure limit, which is the duration of the frame."""
    limit_us = metadata.get("FrameDuration")
    if limit_us is None:
        return Note("exposure", "the camera does not report its limit")
    is_short = limit_us <= 1.1 * MOST_EXPOSURE_US
    limit = f"at most {limit_us / 1e3:.0f} ms, then gain"
    return Note("exposure", limit if is_short else f"{limit}; moving faces will be blurred in poor light", is_short)

"""The Pi's camera through picamera2, the only place that knows it. A hung camera is closed and opened anew from here.

One thread asks picamera2 for a request, copies the pixels, gives the request back at once (each one held is a buffer
that the sensor lacks) and leaves the frame in a slot where only the newest stays.
"""

import atexit
import itertools
import logging
import threading
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

import numpy as np

from gated.config import CameraSettings
from gated.errors import CameraError
from gated.frame import Frame, Pixels, lores_size_for

log = logging.getLogger(__name__)

MAIN_FORMAT = "BGR888"
"""Red, green, blue in memory: libcamera names formats from the highest byte down (picamera2 manual, section 4.2)."""
LORES_FORMAT = "YUV420"
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""Before a camera that failed is opened anew; doubled each time."""
CLOSE_S = 5.0
"""What a sound driver needs at most to stop, beside the wait for a frame."""

_REFUSALS = (RuntimeError, LookupError, OSError, ValueError)
"""How picamera2 and libcamera say no: 0.3.36 and older raise IndexError without a camera, newer ones RuntimeError."""


class PicameraCamera:
    """A camera on the Pi's ribbon cable, at `fps`."""

    def __init__(self, settings: CameraSettings) -> None:
        self._settings = settings
        self._numbers = itertools.count()
        self._fresh = threading.Condition()
        self._frame: Frame | None = None
        self._trouble = "it has not given any yet"
        self._closing = threading.Event()
        self._closing.set()
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """What to call this camera in a log line."""
        return f"picamera2 camera {self._settings.number}"

    @property
    def exhausted(self) -> bool:
        """Never: the street does not end."""
        return False

    def open(self) -> None:
        """Start the camera and the thread that reads it. Raises `CameraError` when there is none, or another has it."""
        self.close()
        driver = self._start()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(driver, self._closing), name="picamera", daemon=True)
        self._thread.start()

    def frame(self, timeout_s: float) -> Frame:
        """The newest frame not given before; waits for one. Raises `CameraError` when none comes in time."""
        with self._fresh:
            self._fresh.wait_for(lambda: self._frame is not None or self._closing.is_set(), timeout_s)
            frame, self._frame = self._frame, None
        if self._closing.is_set():
            raise CameraError(f"{self.name}: is closed; open it first")
        if frame is None:
            raise CameraError(f"{self.name}: no frame within {timeout_s:g} s ({self._trouble}); check its cable")
        return frame

    def close(self) -> None:
        """Stop the camera. Returns within `timeout_s` and 5 s; a driver that hangs for longer is left and logged."""
        with self._fresh:
            self._closing.set()
            self._frame = None
            self._fresh.notify_all()
        if self._thread is not None:
            self._thread.join(self._settings.timeout_s + CLOSE_S)
            if self._thread.is_alive():
                log.error("%s: the driver hangs and cannot be stopped; only the end of this process helps", self.name)
            self._thread = None

    def _run(self, driver: Any, closing: threading.Event) -> None:
        """The thread: frame after frame, and a new driver whenever one fails, until told to close."""
        pause_s = FIRST_PAUSE_S
        try:
            while not closing.is_set():
                try:
                    driver = driver or self._start()
                    self._put(self._capture(driver), closing)
                    pause_s = FIRST_PAUSE_S
                except CameraError as error:
                    self._trouble = str(error)
                    log.warning("%s; opening it anew in %g s", error, pause_s)
                    self._stop(driver)
                    driver = None
                    closing.wait(pause_s)
                    pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        except Exception:
            log.exception("%s: the thread that reads it has died", self.name)
        finally:
            self._stop(driver)

    def _put(self, frame: Frame, closing: threading.Event) -> None:
        """Leave it for the reader in the place of an older one."""
        with self._fresh:
            if not closing.is_set():
                self._frame, self._trouble = frame, "it has stopped giving any"
                self._fresh.notify_all()

    def _start(self) -> Any:
        """A configured, running Picamera2."""
        picamera2 = _picamera2()
        driver = None
        try:
            driver = picamera2(self._settings.number)
            # picamera2 would close it when the process ends, and a driver that hangs would keep the process for ever.
            atexit.unregister(driver.close)
            self._configure(driver)
            driver.start()
        except _REFUSALS as error:
            self._stop(driver)
            raise CameraError(
                f"{self.name}: cannot be opened ({_innermost(error)}); check the cable, that `rpicam-hello "
                "--list-cameras` shows it, and that no other program has it"
            ) from error
        return driver

    def _configure(self, driver: Any) -> None:
        width, height, period_us = self._settings.width, self._settings.height, round(1e6 / self._settings.fps)
        config = driver.create_video_configuration(
            main={"size": (width, height), "format": MAIN_FORMAT},
            lores={"size": lores_size_for(width, height), "format": LORES_FORMAT},
            buffer_count=4,
            queue=False,  # a request that was complete before we asked is an old one
            controls={"FrameDurationLimits": (period_us, period_us)},
        )
        driver.configure(config)
        given = driver.camera_configuration()
        formats = given["main"]["format"], given["lores"]["format"]
        if formats != (MAIN_FORMAT, LORES_FORMAT):
            raise ValueError(f"it gives {' and '.join(formats)}; only cameras of the Pi's own connector will do")

    def _capture(self, driver: Any) -> Frame:
        """The next frame. Raises `CameraError` when none comes within the settings' `timeout_s`."""
        try:
            job = driver.capture_request(wait=False)
            try:
                request = job.get_result(timeout=self._settings.timeout_s)
            except TimeoutError as error:
                _give_up(driver, job)
                raise CameraError(f"{self.name}: no frame for {self._settings.timeout_s:g} s") from error
            try:
                return self._copy(request, driver.camera_configuration()["lores"]["size"])
            finally:
                request.release()
        except _REFUSALS as error:
            raise CameraError(f"{self.name}: {_innermost(error)}") from error

    def _copy(self, request: Any, lores_size: tuple[int, int]) -> Frame:
        """The pixels of a request, as our own."""
        told = request.get_metadata()
        at = exposure_at(told.get("SensorTimestamp"))
        lores = without_padding(request.make_array("lores"), *lores_size)
        light = exposure_of(told)
        return Frame(request.make_array("main"), lores, at, next(self._numbers), *light)

    def _stop(self, driver: Any) -> None:
        """Give the camera back. One that cannot be is left as it is: opening it anew will then say that it is busy."""
        if driver is None:
            return
        try:
            driver.cancel_all_and_flush()
            driver.stop()
            driver.close()
        except _REFUSALS as error:
            log.warning("%s: cannot be closed (%s)", self.name, _innermost(error))


def exposure_at(sensor_timestamp_ns: int | None) -> float:
    """Monotonic seconds of an exposure, from libcamera's SensorTimestamp: nanoseconds of CLOCK_BOOTTIME, which goes on
    while the machine sleeps. Now, when the camera does not say.
    """
    now = time.monotonic()
    if sensor_timestamp_ns is None:
        return now
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - sensor_timestamp_ns / 1e9
    return now - max(0.0, age_s)


def exposure_of(told: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Seconds of exposure, and the gain on the sensor and behind it, from libcamera's ExposureTime (µs), AnalogueGain
    and DigitalGain; None for what the camera does not tell.
    """
    exposure_us, gain = told.get("ExposureTime"), told.get("AnalogueGain")
    return (
        None if exposure_us is None else exposure_us / 1e6,
        None if gain is None else gain * told.get("DigitalGain", 1.0),
    )


def without_padding(yuv420: Pixels, width: int, height: int) -> Pixels:
    """(height * 3 / 2, stride) YUV420 as picamera2 gives it, to I420 without padding: (height * 3 / 2, width).

    The rows of both chroma planes are half a stride long (libcamera, `PixelFormatInfo`).
    """
    stride = yuv420.shape[1]
    if stride == width:
        return yuv420
    chroma = yuv420[height:].reshape(height, stride // 2)[:, : width // 2]
    return np.concatenate([yuv420[:height, :width].ravel(), chroma.ravel()]).reshape(-1, width)


def _give_up(driver: Any, job: Any) -> None:
    """Cancel a job that is late. Once the driver has stopped nothing can come; what had just come is given back."""
    driver.cancel_all_and_flush()
    driver.stop()
    with suppress(CancelledError, TimeoutError):
        job.get_result(timeout=0).release()


def _picamera2() -> Any:
    try:
        from picamera2 import Picamera2
    except (ImportError, ValueError) as error:  # ValueError: simplejpeg of apt was built for another numpy
        raise CameraError(
            f"picamera2 cannot be imported ({error}); apt-get install python3-picamera2, and make the virtual "
            "environment with --system-site-packages and the numpy of apt"
        ) from error
    return Picamera2


def _innermost(error: BaseException) -> BaseException:
    """The first cause: picamera2 wraps what libcamera said in "did not complete"."""
    return _innermost(error.__cause__) if error.__cause__ is not None else error

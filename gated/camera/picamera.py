"""The Pi's camera through picamera2. No other module uses picamera2. A camera that hangs is closed and opened again.

One thread gets a request from picamera2, copies its pixels and releases it at once. The sensor cannot use the buffer of
a held request. It stores the frame in a slot that keeps only the newest frame.
"""

import atexit
import itertools
import logging
import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

import numpy as np

from gated.camera.tuning import Due, controls_for, notes_of, sensor_period_us
from gated.config import CameraSettings
from gated.errors import CameraError
from gated.frame import Frame, Pixels, lores_size_for
from gated.runtime.tasks import Backoff

log = logging.getLogger(__name__)

MAIN_FORMAT = "BGR888"
"""Red, green, blue in memory: libcamera names formats from the highest byte down (picamera2 manual, section 4.2)."""
LORES_FORMAT = "YUV420"
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""Shortest and longest pause before a failed camera is opened again, in seconds."""
CLOSE_S = 5.0
"""The longest time that a working driver needs to stop, beside the wait for a frame."""

_REFUSALS = (RuntimeError, LookupError, OSError, ValueError)
"""The errors of picamera2 and libcamera. Without a camera, picamera2 0.3.36 and older raise IndexError, newer versions
RuntimeError."""


class PicameraCamera:
    """A camera on the Pi's camera connector, at the `fps` of the settings."""

    def __init__(self, settings: CameraSettings) -> None:
        self._settings = settings
        self._numbers = itertools.count()
        self._controls: dict[str, int] = {}
        """The controls that are set on this camera."""
        self._fresh = threading.Condition()
        self._frame: Frame | None = None
        self._trouble = "it has not given any yet"
        self._closing = threading.Event()
        self._closing.set()
        self._thread: threading.Thread | None = None

    @property
    def name(self) -> str:
        """The name of this camera in log lines."""
        return f"picamera2 camera {self._settings.number}"

    @property
    def exhausted(self) -> bool:
        """Always false: a real camera never ends."""
        return False

    def open(self) -> None:
        """Start the camera and its thread. Raises `CameraError` if there is no camera, or another program uses it."""
        self.close()
        driver = self._start()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(driver, self._closing), name="picamera", daemon=True)
        self._thread.start()

    def frame(self, timeout_s: float) -> Frame:
        """Return the newest frame, but no frame twice; wait for the next frame if needed.

        Raises `CameraError` when no frame comes within `timeout_s`, or when the camera is closed.
        """
        with self._fresh:
            self._fresh.wait_for(lambda: self._frame is not None or self._closing.is_set(), timeout_s)
            frame, self._frame = self._frame, None
        if self._closing.is_set():
            raise CameraError(f"{self.name}: is closed; open it first")
        if frame is None:
            raise CameraError(f"{self.name}: no frame within {timeout_s:g} s ({self._trouble}); check its cable")
        return frame

    def close(self) -> None:
        """Stop the camera within the settings' `timeout_s` plus 5 s. A driver that hangs for longer is logged."""
        with self._fresh:
            self._closing.set()
            self._frame = None
            self._fresh.notify_all()
        if self._thread is not None:
            self._thread.join(self._settings.timeout_s + CLOSE_S)
            if self._thread.is_alive():
                log.error("%s: the driver hangs and cannot be stopped; restart this process", self.name)
            self._thread = None

    def _run(self, driver: Any, closing: threading.Event) -> None:
        """Read frames until closed, on the camera's thread. A failed driver is replaced by a new one."""
        backoff, due = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S), Due(self._settings.fps)
        try:
            while not closing.is_set():
                try:
                    driver = driver or self._start()
                    if closing.wait(due.wait_s(time.monotonic())):
                        break
                    frame = self._capture(driver)
                    due.update(time.monotonic())
                    self._store(frame, closing)
                    backoff.reset()
                    continue
                except CameraError as error:
                    self._trouble = str(error)
                # The error is gone here. Its traceback held a request, and with it all buffers of the driver.
                pause_s = backoff.next_s()
                log.warning("%s; opening it again in %.1f s", self._trouble, pause_s)
                self._stop(driver)
                driver = None
                closing.wait(pause_s)
        except Exception:
            log.exception("%s: its thread has failed", self.name)
        finally:
            self._stop(driver)

    def _store(self, frame: Frame, closing: threading.Event) -> None:
        """Store a frame for `frame`, in place of an older one."""
        with self._fresh:
            if not closing.is_set():
                self._frame, self._trouble = frame, "it has stopped giving any"
                self._fresh.notify_all()

    def _start(self) -> Any:
        """Return a configured and running Picamera2. Raises `CameraError` when it cannot be opened."""
        picamera2 = _picamera2()
        driver = None
        try:
            driver = _new(picamera2, self._settings.number)
            # picamera2 would close it at the end of the process. A hanging driver would then block the end of the
            # process.
            atexit.unregister(driver.close)
            self._configure(driver)
            driver.start()
        except _REFUSALS as error:
            self._stop(driver)
            raise CameraError(
                f"{self.name}: cannot be opened ({_innermost(error)}); check the cable, that `rpicam-hello "
                "--list-cameras` shows it, and that no other program uses it"
            ) from error
        return driver

    def _configure(self, driver: Any) -> None:
        width, height, period_us = self._settings.width, self._settings.height, sensor_period_us(self._settings.fps)
        config = driver.create_video_configuration(
            main={"size": (width, height), "format": MAIN_FORMAT},
            lores={"size": lores_size_for(width, height), "format": LORES_FORMAT},
            buffer_count=4,
            queue=False,  # a queued request would be an old frame
            controls={"FrameDurationLimits": (period_us, period_us)},
        )
        driver.configure(config)
        self._controls = controls_for(self._settings, driver.camera_controls)
        driver.set_controls(self._controls)
        given = driver.camera_configuration()
        formats = given["main"]["format"], given["lores"]["format"]
        if formats != (MAIN_FORMAT, LORES_FORMAT):
            raise ValueError(f"it gives {' and '.join(formats)}; only cameras on the Pi's camera connector work")

    def _capture(self, driver: Any) -> Frame:
        """Return the next frame. Raises `CameraError` when none comes within the settings' `timeout_s`."""
        try:
            job = driver.capture_request(wait=False)
            try:
                request = job.get_result(timeout=self._settings.timeout_s)
            except TimeoutError as error:
                _cancel(driver, job)
                raise CameraError(f"{self.name}: no frame for {self._settings.timeout_s:g} s") from error
            try:
                return self._copy(request, driver.camera_configuration()["lores"]["size"])
            finally:
                request.release()
        except _REFUSALS as error:
            raise CameraError(f"{self.name}: {_innermost(error)}") from error

    def _copy(self, request: Any, lores_size: tuple[int, int]) -> Frame:
        """Return a frame with copies of a request's pixels."""
        metadata = request.get_metadata()
        at = exposure_at(metadata.get("SensorTimestamp"))
        lores = without_padding(request.make_array("lores"), *lores_size)
        light, notes = exposure_of(metadata), notes_of(self._settings, self._controls, metadata)
        return Frame(request.make_array("main"), lores, at, next(self._numbers), *light, notes)

    def _stop(self, driver: Any) -> None:
        """Close the driver. If that fails, the next opening reports a busy camera."""
        if driver is None:
            return
        try:
            driver.cancel_all_and_flush()
            driver.stop()
            driver.close()
            # picamera2 replaces its allocator here. The new one holds a descriptor until Python finds the driver's
            # cycles of references.
            driver.allocator = None
        except _REFUSALS as error:
            log.warning("%s: cannot be closed (%s)", self.name, _innermost(error))


def exposure_at(sensor_timestamp_ns: int | None) -> float:
    """Return the time of an exposure in monotonic seconds, or now if the camera gives none.

    `sensor_timestamp_ns` is libcamera's SensorTimestamp: nanoseconds of CLOCK_BOOTTIME, which also counts while the
    machine sleeps.
    """
    now = time.monotonic()
    if sensor_timestamp_ns is None:
        return now
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - sensor_timestamp_ns / 1e9
    return now - max(0.0, age_s)


def exposure_of(metadata: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Return the exposure in seconds and the total gain, each None if the camera does not give it.

    They are libcamera's ExposureTime (µs), and AnalogueGain times DigitalGain.
    """
    exposure_us, gain = metadata.get("ExposureTime"), metadata.get("AnalogueGain")
    return (
        None if exposure_us is None else exposure_us / 1e6,
        None if gain is None else gain * metadata.get("DigitalGain", 1.0),
    )


def without_padding(yuv420: Pixels, width: int, height: int) -> Pixels:
    """Convert picamera2's YUV420, (height * 3 / 2, stride), to I420 without padding, (height * 3 / 2, width).

    The rows of both chroma planes have half the stride (libcamera, `PixelFormatInfo`).
    """
    stride = yuv420.shape[1]
    if stride == width:
        return yuv420
    chroma = yuv420[height:].reshape(height, stride // 2)[:, : width // 2]
    return np.concatenate([yuv420[:height, :width].ravel(), chroma.ravel()]).reshape(-1, width)


def _cancel(driver: Any, job: Any) -> None:
    """Cancel a late job and stop the driver. A request that completed just before is released."""
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


def _new(picamera2: Any, number: int) -> Any:
    """Return a new Picamera2. If its constructor fails, close its pipe: picamera2 0.3.38 leaves it open."""
    driver = picamera2.__new__(picamera2)
    try:
        driver.__init__(number)
    except _REFUSALS:
        if hasattr(driver, "notifymeread"):
            driver.notifymeread.close()
            os.close(driver.notifyme_w)
        raise
    return driver


def _innermost(error: BaseException) -> BaseException:
    """Return the first cause of an error. picamera2 wraps libcamera's message in "did not complete"."""
    return _innermost(error.__cause__) if error.__cause__ is not None else error

"""Fits picamera2 to libcamera's virtual pipeline: real requests, buffers, threads and times, and the formats of a Pi.

The virtual pipeline gives NV12 only, has no raw stream, and takes only buffers of its own allocator. So a
configuration is translated to NV12, and the arrays of a request are translated back.

A person of the rehearsal puts pictures before the lens through the file SCENE: byte 0 is the mode (0: the pipeline's
own street, 1: the picture in the file, 2: no frame arrives), the picture follows at byte 4096 as 960 rows of 1280 RGB
pixels. The file is opened with this module, because vision may not open it later.
"""

import mmap
import os
import time

import numpy as np
from picamera2 import picamera2 as driver
from picamera2 import request as requests
from picamera2.allocators import LibcameraAllocator
from PIL import Image

SCENE = "/usr/share/pi-camera/scene"
WIDTH, HEIGHT, BEGIN = 1280, 960, 4096
STREET, PICTURE, SILENT = 0, 1, 2

_fd = os.open(SCENE, os.O_RDONLY | os.O_CLOEXEC)
_scene = mmap.mmap(_fd, BEGIN + WIDTH * HEIGHT * 3, mmap.MAP_SHARED, mmap.PROT_READ)
os.close(_fd)
_real = driver.Picamera2


class OwnBuffers(LibcameraAllocator):
    """Buffers of the pipeline's allocator, which need no synchronisation."""

    needs_sync = False

    def __init__(self, camera):
        super().__init__(camera)
        self.sync = NoSync


class NoSync:
    def __init__(self, *_):
        pass

    def __enter__(self):
        return None

    def __exit__(self, *_):
        pass


class VirtualPicamera2(_real):
    """picamera2 on the virtual pipeline."""

    def _get_raw_modes(self):
        return [{"format": "NV12", "size": (WIDTH, HEIGHT)}]

    def _open_camera(self):
        super()._open_camera()
        driver.DmaAllocator = lambda: OwnBuffers(
            self.camera
        )  # picamera2 makes its allocator after this, and at the end

    def _reset_flags(self):
        super()._reset_flags()
        self._pi_formats, self._pi_streets = {}, {}
        self._pi_next, self._pi_period = 0.0, 0.1

    def configure(self, camera_config=None):
        config = {name: dict(part) if isinstance(part, dict) else part for name, part in camera_config.items()}
        self._pi_formats = {name: config[name]["format"] for name in ("main", "lores") if config.get(name)}
        for name in self._pi_formats:
            config[name]["format"] = "NV12"
        self._pi_period = config["controls"].get("FrameDurationLimits", (100_000,))[0] / 1e6
        return super().configure(config)

    def camera_configuration(self):
        config = super().camera_configuration()
        if not config:
            return config
        return config | {name: config[name] | {"format": of} for name, of in self._pi_formats.items()}

    def check_camera_config(self, camera_config):
        """Accept NV12, which no camera of a Pi gives to picamera2."""

    def process_requests(self, display):
        """Pass one request on in each period. The pipeline itself completes a request as soon as it gets it."""
        now = time.monotonic()
        if now < self._pi_next:
            time.sleep(min(self._pi_next - now, self._pi_period))
        self._pi_next = max(now, self._pi_next) + self._pi_period
        with self._requestslock:
            new, self._requests = self._requests, []
            if _scene[0] == SILENT:
                kept, late = [], new
            else:
                kept, late = new[1:], []
                self._requests = new[:1]
            for each in self._requests:
                each.pi_at = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        for each in late:
            each.release()
        super().process_requests(display)
        with self._requestslock:
            self._requests = kept + self._requests


class VirtualRequest(requests.CompletedRequest):
    """A request whose arrays have the formats of a Pi."""

    pi_at = None

    def get_metadata(self):
        return super().get_metadata() | {"SensorTimestamp": self.pi_at}

    def make_array(self, name):
        """Return the stream's array. The pipeline's street is always the same, so it is converted once."""
        if _scene[0] == PICTURE:
            return self._converted(name)
        streets = self.picam2._pi_streets
        if name not in streets:
            streets[name] = self._converted(name)
        return streets[name].copy()

    def _converted(self, name):
        is_rgb = self.picam2._pi_formats[name] == "BGR888"
        width, height = size = tuple(self.config[name]["size"])
        if _scene[0] != PICTURE:
            luma, cb, cr = self._street(name, width, height)
            if is_rgb:
                planes = (Image.fromarray(each).resize(size, Image.Resampling.NEAREST) for each in (luma, cb, cr))
                return np.asarray(Image.merge("YCbCr", tuple(planes)).convert("RGB"))
            return np.concatenate([each.reshape(-1, width) for each in (luma, cb, cr)])
        rgb = np.frombuffer(_scene, np.uint8, WIDTH * HEIGHT * 3, BEGIN).reshape(HEIGHT, WIDTH, 3)
        if size != (WIDTH, HEIGHT):
            rgb = np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BILINEAR))
        if is_rgb:
            return rgb.copy()
        luma, cb, cr = np.moveaxis(np.asarray(Image.fromarray(rgb).convert("YCbCr")), 2, 0)
        return np.concatenate([luma, cb[::2, ::2].reshape(-1, width), cr[::2, ::2].reshape(-1, width)])

    def _street(self, name, width, height):
        """Return the pipeline's own picture as its three planes."""
        stride = self.config[name]["stride"]
        planes = []
        for plane in self.request.buffers[self.stream_map[name]].planes:
            with mmap.mmap(plane.fd, plane.offset + plane.length, mmap.MAP_SHARED, mmap.PROT_READ) as memory:
                planes.append(np.frombuffer(memory[plane.offset :], np.uint8))
        luma = np.ascontiguousarray(planes[0][: stride * height].reshape(height, stride)[:, :width])
        chroma = planes[1][: stride * height // 2].reshape(height // 2, stride // 2, 2)[:, : width // 2]
        return luma, np.ascontiguousarray(chroma[..., 0]), np.ascontiguousarray(chroma[..., 1])


driver.Picamera2 = VirtualPicamera2
driver.CompletedRequest = VirtualRequest

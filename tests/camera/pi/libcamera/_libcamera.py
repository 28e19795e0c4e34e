"""The classes and values of the bindings, named as in py_main.cpp. Its std::system_error is a RuntimeError."""

import os
import threading
import time
from collections import deque
from enum import Enum
from types import SimpleNamespace

import numpy as np

from .bench import bench, scene, scene_i420

__all__ = [
    "Camera", "CameraConfiguration", "CameraManager", "ColorSpace", "ControlId", "ControlInfo", "ControlType",
    "FrameBuffer", "FrameMetadata", "Orientation", "PixelFormat", "Rectangle", "Request", "SensorConfiguration", "Size",
    "Stream", "StreamConfiguration", "StreamFormats", "StreamRole", "Transform",
]  # fmt: skip


def system_error(code: int, what: str) -> RuntimeError:
    return RuntimeError(f"{what}: {os.strerror(code)}")


StreamRole = Enum("StreamRole", ["Raw", "StillCapture", "VideoRecording", "Viewfinder"])
ControlType = Enum("ControlType", ["Null", "Bool", "Byte", "Integer32", "Integer64", "Float", "Rectangle", "Size"])
Orientation = Enum(
    "Orientation",
    "Rotate0 Rotate0Mirror Rotate180 Rotate180Mirror Rotate90Mirror Rotate270 Rotate270Mirror Rotate90",
)


class Size:
    def __init__(self, width=0, height=0):
        self.width, self.height = width, height


class Rectangle:
    def __init__(self, x=0, y=0, width=0, height=0):
        self.x, self.y, self.width, self.height = x, y, width, height


class Transform:
    def __init__(self, other=None, *, hflip=0, vflip=0, transpose=0):
        flags = (other.hflip, other.vflip, other.transpose) if other is not None else (hflip, vflip, transpose)
        self.hflip, self.vflip, self.transpose = map(bool, flags)

    def __str__(self):
        return f"<libcamera.Transform {self.hflip, self.vflip, self.transpose}>"


class ColorSpace:
    Primaries = Enum("Primaries", ["Raw", "Smpte170m", "Rec709", "Rec2020"])
    TransferFunction = Enum("TransferFunction", ["Linear", "Srgb", "Rec709"])
    YcbcrEncoding = Enum("YcbcrEncoding", ["Null", "Rec601", "Rec709", "Rec2020"])
    Range = Enum("Range", ["Full", "Limited"])

    def __init__(self, *fields):
        if len(fields) == 1:
            fields = (fields[0].primaries, fields[0].transferFunction, fields[0].ycbcrEncoding, fields[0].range)
        self.primaries, self.transferFunction, self.ycbcrEncoding, self.range = fields

    def __str__(self):
        return f"<libcamera.ColorSpace {self.primaries.name}>"

    @classmethod
    def _named(cls, primaries, transfer, encoding, value_range):
        return cls(
            cls.Primaries[primaries],
            cls.TransferFunction[transfer],
            cls.YcbcrEncoding[encoding],
            cls.Range[value_range],
        )

    @classmethod
    def Raw(cls):  # noqa: N802
        return cls._named("Raw", "Linear", "Null", "Full")

    @classmethod
    def Sycc(cls):  # noqa: N802
        return cls._named("Rec709", "Srgb", "Rec601", "Full")

    @classmethod
    def Smpte170m(cls):  # noqa: N802
        return cls._named("Smpte170m", "Rec709", "Rec601", "Limited")

    @classmethod
    def Rec709(cls):  # noqa: N802
        return cls._named("Rec709", "Rec709", "Rec709", "Limited")


class PixelFormat:
    def __init__(self, name):
        self._name = name

    def __str__(self):
        return self._name


class ControlId:
    def __init__(self, name, kind):
        self.name, self.type = name, ControlType[kind]


class ControlInfo:
    def __init__(self, low, high, default):
        self.min, self.max, self.default = low, high, default


controls = SimpleNamespace(
    **{
        name: ControlId(name, kind)
        for name, kind in {
            "AeFlickerMode": "Integer32",
            "AeFlickerPeriod": "Integer32",
            "AfMode": "Integer32",
            "AfState": "Integer32",
            "AnalogueGain": "Float",
            "AnalogueGainMode": "Integer32",
            "ExposureTime": "Integer32",
            "ExposureTimeMode": "Integer32",
            "FrameDuration": "Integer64",
            "FrameDurationLimits": "Integer64",
            "LensPosition": "Float",
            "NoiseReductionMode": "Integer32",
            "ScalerCrop": "Rectangle",
            "SensorTimestamp": "Integer64",
        }.items()
    },
    draft=SimpleNamespace(
        NoiseReductionModeEnum=Enum("NoiseReductionModeEnum", ["Off", "Fast", "HighQuality", "Minimal"])
    ),
)
properties = SimpleNamespace(
    Model=ControlId("Model", "Null"),
    Location=ControlId("Location", "Integer32"),
    Rotation=ControlId("Rotation", "Integer32"),
    ColorFilterArrangement=ControlId("ColorFilterArrangement", "Integer32"),
    draft=SimpleNamespace(ColorFilterArrangementEnum=Enum("ColorFilterArrangementEnum", ["RGGB", "MONO"])),
)


class SensorConfiguration:
    def __init__(self):
        self.bit_depth, self.output_size = 0, Size()


class StreamFormats:
    def __init__(self, sizes):
        self._sizes = sizes

    @property
    def pixel_formats(self):
        return [PixelFormat(name) for name in self._sizes]

    def sizes(self, pixel_format):
        return [Size(*size) for size in self._sizes[str(pixel_format)]]


class Stream:
    def __init__(self, configuration):
        self.configuration = configuration


RAW_SIZES = {"SRGGB10_CSI2P": [(640, 480), (1640, 1232), (3280, 2464)]}


class StreamConfiguration:
    def __init__(self, role):
        self.role = role
        self.size, self.pixel_format, self.buffer_count = Size(640, 480), PixelFormat("XBGR8888"), 4
        self.stride = self.frame_size = 0
        self.color_space = None
        self.stream = Stream(self)
        self.formats = StreamFormats(RAW_SIZES if role is StreamRole.Raw else {})

    def _lay_out(self):
        """Set the stride and size of a buffer. The image processor writes rows of a multiple of 64 bytes."""
        name, width, height = str(self.pixel_format), self.size.width, self.size.height
        row_bytes = {"BGR888": 3 * width, "RGB888": 3 * width, "YUV420": width}.get(name, 2 * width)
        self.stride = -(-row_bytes // 64) * 64
        self.frame_size = self.stride * (height * 3 // 2 if name == "YUV420" else height)


class CameraConfiguration:
    Status = Enum("Status", ["Valid", "Adjusted", "Invalid"])

    def __init__(self, roles):
        self._streams = [StreamConfiguration(role) for role in roles]
        self.orientation, self.sensor_config = Orientation.Rotate0, None

    def __iter__(self):
        return iter(self._streams)

    def at(self, index):
        return self._streams[index]

    def validate(self):
        if bench.only_format is not None:
            self.at(0).pixel_format = PixelFormat(bench.only_format)
        for stream in self:
            stream._lay_out()
        return self.Status.Valid if bench.only_format is None else self.Status.Adjusted


def memory_of(configuration):
    """Return the scene as the image processor writes it, flat uint8: rows padded with 0xAA, colours in its order."""
    name, width, height = str(configuration.pixel_format), configuration.size.width, configuration.size.height
    memory = np.full(configuration.frame_size, 0xAA, np.uint8)
    if name == "YUV420":
        picture, luma_bytes = scene_i420(width, height), height * configuration.stride
        memory[:luma_bytes].reshape(height, -1)[:, :width] = picture[:height]
        memory[luma_bytes:].reshape(height, -1)[:, : width // 2] = picture[height:].reshape(height, -1)
    elif name in ("BGR888", "RGB888"):
        picture = scene(width, height) if name == "BGR888" else scene(width, height)[..., ::-1]
        memory.reshape(height, -1)[:, : 3 * width] = picture.reshape(height, -1)
    return memory


class FrameMetadata:
    Status = Enum("Status", ["Success", "Error", "Cancelled", "Startup"])


class SharedFD:
    """A file descriptor that owns a duplicate, as libcamera's does."""

    def __init__(self, fd):
        self.fd = os.dup(fd)

    def __del__(self):
        os.close(self.fd)


class FrameBuffer:
    class Plane:
        def __init__(self):
            self._shared, self.offset, self.length = None, 0, 0

        @property
        def fd(self):
            return self._shared.fd

        @fd.setter
        def fd(self, fd):
            self._shared = SharedFD(fd)

    def __init__(self, planes, cookie=0):
        self.planes, self.cookie = list(planes), cookie
        self.metadata = SimpleNamespace(status=FrameMetadata.Status.Success)


class Request:
    Status = Enum("Status", ["Pending", "Complete", "Cancelled"])

    def __init__(self, cookie):
        self.cookie, self.buffers, self.controls = cookie, {}, {}
        self._metadata, self.status = {}, self.Status.Pending

    @property
    def metadata(self):
        if bench.metadata_fails:
            raise RuntimeError("metadata is gone")
        return dict(self._metadata)

    def add_buffer(self, stream, buffer):
        self.buffers[stream] = buffer

    def set_control(self, control, value):
        self.controls[control] = value

    def reuse(self):
        if self.status is self.Status.Pending:
            raise AssertionError("a request that is still queued may not be reused")
        self._metadata, self.controls, self.status = {}, {}, self.Status.Pending


class CameraManager:
    _only = None

    @classmethod
    def singleton(cls):
        cls._only = cls._only or cls()
        return cls._only

    def __init__(self):
        self.event_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._ready, self._lock = [], threading.Lock()
        self._camera = Camera(self)

    @property
    def cameras(self):
        return [self._camera] if bench.fitted else []

    def get_ready_requests(self):
        try:
            os.eventfd_read(self.event_fd)
        except BlockingIOError:
            return []
        with self._lock:
            ready, self._ready = self._ready, []
        return ready

    def _completed(self, request):
        with self._lock:
            self._ready.append(request)
        os.eventfd_write(self.event_fd, 1)


class Camera:
    """One sensor. Its thread fills the buffers of queued requests in turn, at the frame rate."""

    id = "/base/soc/i2c0mux/i2c@1/imx219@10"

    def __init__(self, manager):
        self._manager = manager
        self._state = "available"
        self._queue, self._lock = deque(), threading.Lock()
        self._stopping, self._thread = threading.Event(), None

    @property
    def controls(self):
        focus = {controls.AfMode: ControlInfo(0, 2, 0), controls.LensPosition: ControlInfo(0.0, 15.0, 1.0)}
        flicker = {
            controls.AeFlickerMode: ControlInfo(0, 1, 0),
            controls.AeFlickerPeriod: ControlInfo(100, 10**6, None),
        }
        return (
            (focus if bench.has_motor else {})
            | (flicker if bench.knows_flicker else {})
            | {
                controls.FrameDurationLimits: ControlInfo(11_000, 100_000_000, 33_333),
                controls.NoiseReductionMode: ControlInfo(0, 4, 0),
                controls.ExposureTime: ControlInfo(1, 66_666, 20_000),
                controls.AnalogueGain: ControlInfo(1.0, 16.0, 1.0),
                controls.ScalerCrop: ControlInfo(Rectangle(), Rectangle(0, 0, 3280, 2464), Rectangle(0, 0, 3280, 2464)),
            }
        )

    @property
    def properties(self):
        return {properties.Model: "imx219", properties.Location: 2, properties.Rotation: 180} | {
            properties.ColorFilterArrangement: 0
        }

    def acquire(self):
        if bench.busy or self._state != "available":
            raise system_error(16, "Failed to acquire camera")
        self._state = "acquired"

    def release(self):
        if self._state == "running":
            raise system_error(16, "Failed to release camera")
        self._state = "available"
        bench.releases += 1

    def generate_configuration(self, roles):
        return CameraConfiguration(roles)

    def configure(self, configuration):
        if self._state not in ("acquired", "configured"):
            raise system_error(13, "Failed to configure camera")
        self._state = "configured"

    def create_request(self, cookie=0):
        return Request(cookie)

    def queue_request(self, request):
        if self._state != "running":
            raise system_error(13, "Failed to queue request")
        with self._lock:
            self._queue.append(request)
            bench.queued = len(self._queue)

    def start(self, start_controls):
        if self._state != "configured":
            raise system_error(13, "Failed to start camera")
        for control in start_controls:
            if control not in self.controls:
                raise system_error(22, f"Control {control.name} is not advertised")
        bench.asked = {control.name: value for control, value in start_controls.items()}
        bench.limits_us = start_controls[controls.FrameDurationLimits]
        bench.starts += 1
        self._state = "running"
        self._stopping.clear()
        self._thread = threading.Thread(target=self._expose, args=(bench.limits_us[0] / 1e6,), daemon=True)
        self._thread.start()

    def stop(self):
        bench.driver_answers.wait()
        if bench.stop_fails:
            raise system_error(5, "Failed to stop camera")
        self._stopping.set()
        self._thread.join()
        self._state = "configured"
        while self._queue:
            self._finish(self._queue.popleft(), Request.Status.Cancelled)

    def _expose(self, period_s):
        begun, number, is_over = time.monotonic(), 0, bench.is_over
        while not is_over.is_set() and not self._stopping.wait(max(0.0, begun + number * period_s - time.monotonic())):
            number += 1
            if not bench.delivering.is_set():
                continue
            with self._lock:
                request = self._queue.popleft() if self._queue else None
                bench.queued = len(self._queue)
            if request is None:
                bench.starved += 1
            else:
                self._fill(request, number)

    def _fill(self, request, number):
        """Write pixels and metadata, and complete the request. The first frame after a start is unusable."""
        status = FrameMetadata.Status.Startup if number == 1 else FrameMetadata.Status.Success
        for stream, buffer in request.buffers.items():
            if stream.configuration.role is not StreamRole.Raw:
                os.pwrite(buffer.planes[0].fd, memory_of(stream.configuration).tobytes(), 0)
            buffer.metadata.status = status
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        request._metadata = {controls.ExposureTime: 20_000, controls.FrameDuration: bench.limits_us[0]}
        if bench.has_motor:
            request._metadata |= {controls.AfState: bench.focus[0], controls.LensPosition: bench.focus[1]}
        if bench.has_timestamps:
            request._metadata[controls.SensorTimestamp] = now_ns - round(bench.age_s * 1e9)
        self._finish(request, Request.Status.Complete)

    def _finish(self, request, status):
        request.status = status
        self._manager._completed(request)

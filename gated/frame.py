"""A camera frame, the interface of a camera, and the functions that convert its pixels. Camera and face code use them.

A frame has two sizes of the same moment, because the Pi's image processor makes both: `main` for face crops, `lores`
for motion and detection. `lores` is YUV 4:2:0 (I420), because every Pi can scale that format in hardware.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

LORES_SIZE = (320, 240)
"""The largest size of `lores`, width by height in px."""


@dataclass(frozen=True, slots=True)
class Note:
    """A message from the camera for the installer. `is_fine`: no action is needed."""

    part: str
    text: str
    is_fine: bool = True


@dataclass(frozen=True, slots=True)
class Frame:
    """One moment in front of the gate.

    `main`: (H, W, 3) uint8, RGB. `lores`: (h * 3 / 2, w) uint8, I420 without row padding, w even and h a multiple of 4.
    `at`: monotonic seconds of the exposure. `number`: counts up; a gap means skipped frames. `exposure_s`: the exposure
    time in seconds. `gain`: the amplification; 1 means no amplification. Both are None if unknown. `notes`: messages
    from the camera.
    """

    main: Pixels
    lores: Pixels
    at: float
    number: int
    exposure_s: float | None = None
    gain: float | None = None
    notes: tuple[Note, ...] = ()

    @property
    def lores_size(self) -> tuple[int, int]:
        """Return the width and height of the lores picture in px."""
        rows, width = self.lores.shape
        return width, rows * 2 // 3


class Camera(Protocol):
    """A source of frames. It delivers the newest frame: a slow reader misses frames and never gets an old one."""

    @property
    def name(self) -> str:
        """Return the camera's name for the log."""

    @property
    def exhausted(self) -> bool:
        """Return whether a recording has ended and an empty view follows. Always False for a live camera."""

    def open(self) -> None:
        """Start the camera. Raises `CameraError` if it cannot be opened."""

    def frame(self, timeout_s: float) -> Frame:
        """Return the newest frame that was not returned before. Wait for one. Raises `CameraError` after `timeout_s`
        seconds.
        """

    def close(self) -> None:
        """Stop the camera and release its resources. May be called twice, and after a failure."""


def luma(lores: Pixels) -> Pixels:
    """Return the brightness of an I420 picture: (h, w) uint8, a view."""
    return lores[: lores.shape[0] * 2 // 3]


def lores_size_for(width: int, height: int, box: tuple[int, int] = LORES_SIZE) -> tuple[int, int]:
    """Return the largest lores size with this shape that fits into the box. The width is even, the height a multiple of
    4.
    """
    scale = min(box[0] / width, box[1] / height, 1.0)
    return max(2, round(width * scale / 2) * 2), max(4, round(height * scale / 4) * 4)


def i420_from_rgb(rgb: Pixels) -> Pixels:
    """Convert (h, w, 3) RGB to (h * 3 / 2, w) I420, full-range BT.601 (the JPEG matrix, JFIF 1.02 section 7)."""
    red, green, blue = (rgb[..., i].astype(np.float32) for i in range(3))
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    planes = [y, 128 + 0.564 * (blue - y), 128 + 0.713 * (red - y)]
    half = [p.reshape(p.shape[0] // 2, 2, p.shape[1] // 2, 2).mean((1, 3)) for p in planes[1:]]
    flat = np.concatenate([y.ravel(), *(p.ravel() for p in half)])
    return np.clip(flat + 0.5, 0, 255).astype(np.uint8).reshape(-1, rgb.shape[1])


def rgb_from_i420(lores: Pixels) -> NDArray[np.float32]:
    """Convert (h * 3 / 2, w) I420 to (h, w, 3) RGB, float32 in 0..255. The inverse of `i420_from_rgb`."""
    height, width = lores.shape[0] * 2 // 3, lores.shape[1]
    chroma = lores[height:].reshape(2, height // 2, 1, width // 2, 1).astype(np.float32) - 128
    y = luma(lores).reshape(height // 2, 2, width // 2, 2).astype(np.float32)
    rgb = np.empty((height // 2, 2, width // 2, 2, 3), np.float32)
    rgb[..., 0] = y + 1.402 * chroma[1]
    rgb[..., 1] = y - 0.344 * chroma[0] - 0.714 * chroma[1]
    rgb[..., 2] = y + 1.772 * chroma[0]
    return np.clip(rgb, 0, 255, out=rgb).reshape(height, width, 3)

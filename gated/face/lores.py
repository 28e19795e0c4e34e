"""Converts the small picture of a frame (I420, as the camera gives it) to the colour planes of the detector."""

import numpy as np

from gated.face.sample import Planes
from gated.frame import Pixels, luma


class LoresPlanes:
    """Converts I420 pictures of one shape to red, green and blue, as `frame.rgb_from_i420`, in reused memory."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        height, width = shape[0] * 2 // 3, shape[1]
        self._planes = np.empty((3, height, width), np.float32)
        self._chroma = np.empty((2, height // 2, width), np.float32)
        self._shift = np.empty((2, height // 2, width), np.float32)

    def convert(self, lores: Pixels) -> Planes:
        """Convert (h * 3 / 2, w) uint8 to (3, h, w) float32 in 0..255, full-range BT.601. Valid until the next call."""
        height, width = self._planes.shape[1:]
        halves = lores[height:].reshape(2, height // 2, width // 2)
        doubled = (halves.astype(np.uint16) * 257).view(np.uint8)  # times 257 writes each byte twice
        blue, red = np.subtract(doubled, np.float32(128), out=self._chroma)
        pairs = luma(lores).reshape(height // 2, 2, width)  # two rows share one row of chroma
        shift, share = self._shift
        np.multiply(red, np.float32(1.402), out=shift)
        self._add(pairs, shift, 0)
        np.multiply(red, np.float32(-0.714), out=shift)
        np.add(shift, np.multiply(blue, np.float32(-0.344), out=share), out=shift)
        self._add(pairs, shift, 1)
        np.multiply(blue, np.float32(1.772), out=shift)
        self._add(pairs, shift, 2)
        return np.clip(self._planes, 0, 255, out=self._planes)

    def _add(self, pairs: Pixels, shift: Planes, channel: int) -> None:
        """Write one colour plane: brightness plus `shift`."""
        np.add(pairs, shift[:, None], out=self._planes[channel].reshape(pairs.shape))

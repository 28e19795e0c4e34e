"""Cuts the crops of the PAD nets, each as in the training of its net. Pure functions over boxes and pictures."""

import numpy as np
from numpy.typing import NDArray

from gated.face.detect import Box
from gated.frame import Pixels

MOST_SAMPLES = 4
"""Most samples a side for one pixel of a reflected crop. A face of 256 px and a crop scale of 2 need so many. With all
pixels, scores of eight photographs changed by at most 0.04.
"""


def crop_box(box: Box, scale: float, frame_size: tuple[int, int]) -> Box:
    """Grow the box by `scale` around its centre. Reduce the scale until the box fits into the frame, then shift it
    inside.

    As in training (minivision-ai/Silent-Face-Anti-Spoofing): the box keeps its shape, the crop is squeezed to a square.
    """
    x, y, width, height = box
    scale = seen_scale(box, scale, frame_size)
    left = _shifted(x + width / 2, width * scale, frame_size[0])
    top = _shifted(y + height / 2, height * scale, frame_size[1])
    return left, top, width * scale, height * scale


def seen_scale(box: Box, scale: float, frame_size: tuple[int, int]) -> float:
    """Return the crop scale that fits into the frame (width, height): at most `scale`."""
    return min(scale, frame_size[0] / box[2], frame_size[1] / box[3])


def _shifted(middle: float, extent: float, limit: float) -> float:
    """Return the start of an interval around `middle`, shifted so that it lies within 0..`limit`."""
    return min(max(middle - extent / 2, 0.0), limit - extent)


def reflected_crop(picture: Pixels, box: Box, scale: float, target: int) -> Pixels:
    """Return the square around the box, `scale` times its longer side, mirrored at the border of the picture.

    (s, s, 3) uint8. A square of less than twice `target` px keeps its pixels. A larger one has s = `target`, and each
    pixel is the mean of up to 4 x 4 pixels spread evenly. As in training (johnraivenolazo/face-antispoof-onnx,
    `src/inference/preprocess.py`), the border is OpenCV's REFLECT_101, and a smaller picture has the mean of areas.
    """
    x, y, width, height = box
    side = max(2, round(max(width, height) * scale))
    step = min(max(1, side // target), MOST_SAMPLES)
    count = side if step == 1 else target * step
    offsets = ((np.arange(count) + 0.5) * (side / count)).astype(np.intp)
    columns = _mirrored(round(x + width / 2 - side / 2) + offsets, picture.shape[1])
    rows = _mirrored(round(y + height / 2 - side / 2) + offsets, picture.shape[0])
    return _means(picture.take(rows, 0).take(columns, 1), step)


def _means(square: Pixels, step: int) -> Pixels:
    """Return the means of the fields of `step` x `step` px of an (s, s, 3) picture. `step` divides s."""
    if step == 1:
        return square
    rows = np.add.reduce([square[i::step] for i in range(step)], 0, np.uint16)
    fields = np.add.reduce([rows[:, i::step] for i in range(step)], 0, np.uint16)
    means: Pixels = ((fields + step * step // 2) // (step * step)).astype(np.uint8)
    return means


def _mirrored(places: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    """Return the places, mirrored at 0 and at `length` - 1 without repeating the border itself."""
    period = max(1, 2 * (length - 1))
    inside = places % period
    return np.minimum(inside, period - inside)

"""Presentation attack detection: is this a face, or a picture of one? Never asks anybody to do anything.

MiniFASNet looks at how far the surroundings go on around a face: paper and screens have edges, and shine otherwise.
"""

from gated.face.detect import Box
from gated.face.manifest import PadEntry
from gated.face.onnx import Model
from gated.face.sample import Sampler
from gated.face.tensor import InputTensor
from gated.frame import Pixels


class PadNet:
    """One net, with the crop that it wants."""

    def __init__(self, model: Model, entry: PadEntry) -> None:
        self.model, self._entry = model, entry
        self._sampler = Sampler(entry.input.size)
        self.tensor = InputTensor(entry.input)

    def score(self, picture: Pixels, box: Box) -> float:
        """Whether the face in a box of an (H, W, 3) picture is bona fide, 0 (no) to 1; 0 for odd numbers."""
        height, width = picture.shape[:2]
        crop = self._sampler.box(picture, crop_box(box, self._entry.crop_scale, (width, height)))
        output = next(iter(self.model.run(self.tensor.fill(crop)).values())).reshape(-1)
        score = float(output[self._entry.bona_fide])
        return score if 0 <= score <= 1 else 0.0


def crop_box(box: Box, scale: float, frame_size: tuple[int, int]) -> Box:
    """The box grown by `scale` around its middle, made less until it fits into the frame, then shifted into it.

    As in training (minivision-ai/Silent-Face-Anti-Spoofing): the box keeps its shape; the crop is squeezed to a square.
    """
    x, y, width, height = box
    scale = min(scale, frame_size[0] / width, frame_size[1] / height)
    left = _shifted(x + width / 2, width * scale, frame_size[0])
    top = _shifted(y + height / 2, height * scale, frame_size[1])
    return left, top, width * scale, height * scale


def _shifted(middle: float, extent: float, limit: float) -> float:
    """Where a stretch around the middle starts, once it lies within 0..limit."""
    return min(max(middle - extent / 2, 0.0), limit - extent)


def pad_score(nets: list[PadNet], picture: Pixels, box: Box) -> float:
    """The mean of the nets' scores."""
    return sum(net.score(picture, box) for net in nets) / len(nets)

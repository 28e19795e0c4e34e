"""Presentation attack detection (PAD): scores whether a face is bona fide. Never asks the resident to do anything.

MiniFASNet judges the surroundings of a face: paper and screens have edges, and reflect light in another way.
"""

from gated.face.detect import Box
from gated.face.manifest import PadEntry
from gated.face.onnx import Model
from gated.face.sample import Sampler
from gated.face.tensor import InputTensor
from gated.frame import Pixels


class PadNet:
    """One PAD network with its crop and input tensor."""

    def __init__(self, model: Model, entry: PadEntry) -> None:
        self.model, self._entry = model, entry
        self._sampler = Sampler(entry.input.size)
        self.tensor = InputTensor(entry.input)

    def score(self, picture: Pixels, box: Box) -> float:
        """Return the score of the face in a box of an (H, W, 3) picture: 0 (attack) to 1 (bona fide). NaN gives 0."""
        height, width = picture.shape[:2]
        crop = self._sampler.box(picture, crop_box(box, self._entry.crop_scale, (width, height)))
        output = next(iter(self.model.run(self.tensor.fill(crop)).values())).reshape(-1)
        score = float(output[self._entry.bona_fide])
        return score if 0 <= score <= 1 else 0.0


def crop_box(box: Box, scale: float, frame_size: tuple[int, int]) -> Box:
    """Grow the box by `scale` around its centre. Reduce the scale until the box fits into the frame, then shift it
    inside.

    As in training (minivision-ai/Silent-Face-Anti-Spoofing): the box keeps its shape, the crop is squeezed to a square.
    """
    x, y, width, height = box
    scale = min(scale, frame_size[0] / width, frame_size[1] / height)
    left = _shifted(x + width / 2, width * scale, frame_size[0])
    top = _shifted(y + height / 2, height * scale, frame_size[1])
    return left, top, width * scale, height * scale


def _shifted(middle: float, extent: float, limit: float) -> float:
    """Return the start of an interval around `middle`, shifted so that it lies within 0..`limit`."""
    return min(max(middle - extent / 2, 0.0), limit - extent)


def pad_score(nets: list[PadNet], picture: Pixels, box: Box) -> float:
    """Return the mean of the networks' scores."""
    return sum(net.score(picture, box) for net in nets) / len(nets)

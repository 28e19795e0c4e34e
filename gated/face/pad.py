"""Presentation attack detection (PAD): scores whether a face is bona fide. Never asks the resident to do anything.

The nets judge a face and its surroundings. Paper and screens have edges, and reflect light in another way than skin.
Nets of one group are averaged as probabilities. Each group was trained on other pictures with other crops, so their
errors differ. Their log-odds are added, each with its weight. A net abstains where it was not measured. The pipeline
runs the nets.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gated.face.detect import Box
from gated.face.log_odds import log_odds, probability
from gated.face.model_entry import PadEntry
from gated.face.onnx import Model
from gated.face.pad_crop import crop_box, reflected_crop, seen_scale
from gated.face.sample import Planes, Sampler
from gated.face.tensor import InputTensor
from gated.frame import Pixels


class PadNet:
    """One PAD network with its crop and input tensor."""

    def __init__(self, model: Model, entry: PadEntry) -> None:
        self.model, self.entry = model, entry
        self._sampler = Sampler(entry.input.size)
        self.tensor = InputTensor(entry.input)

    def votes(self, picture: Pixels, box: Box) -> bool:
        """Return whether the net was measured at this size of the face, and at the crop scale that fits."""
        least, most = self.entry.face_px or (0.0, float("inf"))
        size = picture.shape[1], picture.shape[0]
        return least <= max(box[2:]) <= most and seen_scale(box, self.entry.crop_scale, size) >= self.entry.least_scale

    def score(self, picture: Pixels, box: Box) -> float:
        """Return the score of the face in a box of an (H, W, 3) picture: 0 (attack) to 1 (bona fide). NaN gives 0."""
        output = next(iter(self.model.run(self.tensor.fill(self._crop(picture, box))).values())).reshape(-1)
        shares = _softmax(output) if self.entry.output == "logits" else output
        score = float(shares[self.entry.bona_fide])
        return score if 0 <= score <= 1 else 0.0

    def _crop(self, picture: Pixels, box: Box) -> Planes:
        """Return the crop (3, h, w) as in the training of this net."""
        scale = self.entry.crop_scale
        if self.entry.border == "reflect":
            square = reflected_crop(picture, box, scale, self.entry.input.size[0])
            return self._sampler.box(square, (0.0, 0.0, float(square.shape[1]), float(square.shape[0])))
        return self._sampler.box(picture, crop_box(box, scale, (picture.shape[1], picture.shape[0])))


def joined_score(voting: Sequence[PadNet], scores: Sequence[float]) -> float | None:
    """Return one score for the scores of the nets that vote, in their order. None without any."""
    groups: dict[str, list[float]] = defaultdict(list)
    weights: dict[str, float] = {}
    for net, score in zip(voting, scores, strict=True):
        groups[net.entry.group].append(score)
        weights[net.entry.group] = net.entry.weight
    return combined({name: sum(scores) / len(scores) for name, scores in groups.items()}, weights)


def combined(scores: dict[str, float], weights: dict[str, float]) -> float | None:
    """Return one score for the scores of the groups: the logistic function of the weighted sum of their log-odds.

    One group of weight 1 keeps its score. None without groups. NaN gives 0.
    """
    if not scores:
        return None
    if len(scores) == 1 and set(weights.values()) == {1.0}:
        return next(iter(scores.values()))
    return probability(sum(weights[name] * log_odds(score) for name, score in scores.items()))


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probabilities of logits. Any NaN or infinity gives NaN throughout."""
    with np.errstate(all="ignore"):
        raised = np.exp(logits.astype(np.float64) - np.max(logits))
        shares: NDArray[np.float64] = raised / raised.sum()
    return shares if np.isfinite(logits).all() else np.full(shares.shape, np.nan)

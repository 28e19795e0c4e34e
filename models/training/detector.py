"""Trains the detector: on pictures of the street as small as lores, and on faces as the second look sees them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fit import as_input, fit, shuffled
from nets import Detector
from people import Pixels
from scenes import LORES, Truth

LEVELS = ((8, 0, 34), (16, 26, 150), (32, 110, 1000))
"""Which stride answers for faces of which size (the side of a square as large as the box), px."""
MIDDLE = 0.18
"""So near to a face's middle, in shares of its box, a place is to see it."""
HELD_OUT = 0.1
Examples = list[tuple[Pixels, list[Truth]]]


def targets(faces: list[Truth], size: tuple[int, int]) -> np.ndarray[Any, Any]:
    """(places, 16) for one picture: 1 where a face is to be seen, 0 where not, -1 where either will do; then box,
    landmarks, and last the face's side over the stride.
    """
    parts = []
    for stride, low, high in LEVELS:
        rows, columns = np.mgrid[: size[1] // stride, : size[0] // stride]
        at = np.stack([columns, rows], -1).reshape(-1, 2).astype(np.float32)
        wanted = np.zeros((len(at), 16), np.float32)
        for (x, y, w, h), marks in faces:
            middle, side = np.array([x + w / 2, y + h / 2]), float(np.sqrt(w * h))
            away = np.abs((at + 0.5) * stride - middle) / np.array([w, h])
            wanted[(away < 0.5).all(1) & (wanted[:, 0] == 0), 0] = -1
            if low <= side < high:
                here = (away < MIDDLE).all(1) | (np.abs((at + 0.5) * stride - middle) <= stride / 2).all(1)
                wanted[here, 0] = 1
                wanted[here, 1:3] = middle / stride - at[here]
                wanted[here, 3:5] = np.log(np.array([w, h]) / stride)
                wanted[here, 5:15] = (marks[None] / stride - at[here][:, None]).reshape(-1, 10)
                wanted[here, 15] = side / stride
        parts.append(wanted)
    return np.concatenate(parts)


def loss_of(net: Detector, x: Tensor, wanted: Tensor) -> Tensor:
    """Focal loss for faces (Lin et al. 2017); smooth L1 for where they are, landmarks in shares of the face."""
    cls, obj, box, marks = (torch.cat(list(kind), 1).float() for kind in zip(*net.raw(x), strict=True))
    truth, cares, there = wanted[..., :1].clamp(min=0), wanted[..., 0] >= 0, wanted[..., 0] == 1
    count = there.sum().clamp(min=1)
    loss = torch.zeros(())
    for logits in (cls, obj):
        hard = (truth - logits.sigmoid()).abs().pow(2) * (0.25 + 0.5 * truth)
        entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        loss = loss + (hard * entropy)[cares].sum() / count
    side = wanted[there][:, 15:]
    off = (marks[there] - wanted[there][:, 5:15]) / side
    loss = loss + F.smooth_l1_loss(box[there], wanted[there][:, 1:5], reduction="sum", beta=0.1) / count
    return loss + 3 * F.smooth_l1_loss(off, torch.zeros_like(off), reduction="sum", beta=0.01) / count


def train_detector(seed: int, small: Examples, near: Examples, steps: int) -> Detector:
    """`small` and `near`: pictures with the faces in them, those of people who know each other side by side."""
    net = Detector().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    kept = [round(len(examples) * (1 - HELD_OUT)) for examples in (small, near)]
    rng = np.random.default_rng(seed)

    def batches() -> Any:
        far_ones, near_ones = (
            shuffled(np.random.default_rng([seed, size]), count, min(size, count))
            for size, count in zip((16, 64), kept, strict=True)
        )
        while True:
            yield batch_of([small[i] for i in next(far_ones)], rng)
            yield batch_of([near[i] for i in next(near_ones)], rng)

    fit(net, steps, 4e-3, batches(), lambda _, x, wanted: loss_of(net, x, wanted))
    measure(net, near[kept[1] :], "near")
    measure(net, small[kept[0] :], "in the street")
    return net


def batch_of(examples: Examples, rng: np.random.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Pictures as input, and what is wanted of each place; mirrored at random if `rng` is given."""
    pairs = [mirrored(*example) if rng is not None and rng.random() < 0.5 else example for example in examples]
    pictures = np.stack([picture for picture, _ in pairs])
    height, width = pictures.shape[1:3]
    x = as_input(pictures)
    if width > LORES[0] - 1:
        x[:, :, LORES[1] :] = 0
    wanted = np.stack([targets(faces, (width, height)) for _, faces in pairs])
    return x.contiguous(memory_format=torch.channels_last), torch.from_numpy(wanted)


def mirrored(picture: Pixels, faces: list[Truth]) -> tuple[Pixels, list[Truth]]:
    """The same from the other side: eyes and corners of the mouth change places."""
    width, others = picture.shape[1], [1, 0, 2, 4, 3]
    turned = [
        (np.array([width - b[0] - b[2], *b[1:]]), (np.array([width, 0]) + m * np.array([-1, 1]))[others])
        for b, m in faces
    ]
    return np.ascontiguousarray(picture[:, ::-1]), turned


@torch.no_grad()
def measure(net: Detector, examples: Examples, what: str) -> None:
    """How many faces of people never seen are found, how far landmarks are off, and how often nothing is a face."""
    parts = [batch_of(examples[start : start + 50]) for start in range(0, len(examples), 50)]
    hits, misses, ghosts, errors = 0, 0, 0, []
    for x, wanted in parts:
        cls, obj, _, marks = (torch.cat(list(kind), 1) for kind in zip(*net.raw(x), strict=True))
        score = (cls.sigmoid() * obj.sigmoid()).sqrt()[..., 0]
        there = wanted[..., 0] == 1
        best = score.argmax(1)
        rows = torch.arange(len(x))
        sees, has = score[rows, best] >= 0.6, there.any(1)
        hits, misses = hits + int((sees & has).sum()), misses + int((~sees & has).sum())
        ghosts += int((sees & ~has & ~(wanted[..., 0] < 0).any(1)).sum())
        good = sees & there[rows, best]
        truth, seen = (t[rows, best][good].view(-1, 5, 2) for t in (wanted[..., 5:15], marks))
        eyes = (truth[:, 0] - truth[:, 1]).norm(dim=1, keepdim=True)
        errors.append(((truth - seen).norm(dim=2) / eyes).mean(1))
    off = torch.cat([*errors, torch.tensor([float("nan")])])  # no face was found after the quickest of trainings
    print(
        f"detector, {what}: no face found in {misses} of {hits + misses} pictures with one, one found in {ghosts} of "
        f"{len(examples) - hits - misses} without; landmarks off by {off.nanmedian():.3f} eye distances (median), "
        f"{off.nanquantile(0.95):.3f} (95 %)"
    )

"""Trains presentation attack detection: bona fide or not, from what is seen around a face."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fit import as_input, fit, shuffled
from nets import Pad
from people import Pixels

HELD_OUT = 0.1
"""The share of the groups that are kept from training, to measure on."""


def shaken(x: Tensor, rng: torch.Generator) -> Tensor:
    """Mirrored for half of the batches, and moved by up to 2 px."""
    x = torch.flip(x, (3,)) if torch.rand(1, generator=rng) < 0.5 else x
    down, across = (int(by) for by in torch.randint(-2, 3, (2,), generator=rng))
    return torch.roll(x, (down, across), (2, 3)).contiguous(memory_format=torch.channels_last)


def train_pad(seed: int, groups: list[list[tuple[Pixels, bool]]], epochs: int) -> Pad:
    """`groups`: the crops of each group, and whether they are bona fide; both kinds count the same."""
    kept = round(len(groups) * (1 - HELD_OUT))
    crops, truth = _flat(groups[:kept])
    weight = torch.tensor([1 / max(1, int((truth == kind).sum())) for kind in (0, 1)])
    net, rng = Pad().to(memory_format=torch.channels_last), torch.Generator().manual_seed(seed)  # type: ignore[call-overload]
    batch = min(128, len(crops))

    def batches() -> Any:
        for chosen in shuffled(np.random.default_rng(seed), len(crops), batch):
            yield shaken(as_input(crops[chosen]), rng), torch.from_numpy(truth[chosen])

    def loss_of(_: float, x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(net.logits(x).float(), y, weight / weight.mean(), label_smoothing=0.02)

    fit(net, epochs * len(crops) // batch, 2e-3, batches(), loss_of)
    measure(net, *_flat(groups[kept:]))
    return net


def _flat(groups: list[list[tuple[Pixels, bool]]]) -> tuple[Pixels, np.ndarray[Any, Any]]:
    crops = [crop for group in groups for crop, _ in group]
    return np.stack(crops), np.array([int(genuine) for group in groups for _, genuine in group])


@torch.no_grad()
def measure(net: Pad, crops: Pixels, truth: np.ndarray[Any, Any]) -> None:
    """Errors on people never seen."""
    score = net(as_input(crops))[:, 1].numpy()
    attacks, genuine = score[truth == 0], score[truth == 1]
    print(
        f"PAD: APCER {np.mean(attacks >= 0.5):.4f} (n {len(attacks)}), BPCER {np.mean(genuine < 0.5):.4f} "
        f"(n {len(genuine)}), single looks at people never seen"
    )

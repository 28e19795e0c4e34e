"""Trains the embedder: people are to be told apart, and what makes them who they are is to be read off them."""

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import looks
from fit import fit, shuffled
from nets import Embedder

HELD_OUT = 300
"""So many people are kept from training, to measure on."""
SCALE, MARGIN = 30.0, 0.35
"""Of the large-margin cosine loss (CosFace, Wang et al. 2018)."""
SHIFT_PX, TURN_RAD, ZOOM = 0.8, 0.045, 0.05
"""How far the detector's landmarks may put a crop off, as standard deviations."""
ABOVE = 0.04
"""The threshold lies so far above the score that 1 in 100,000 single looks at strangers reaches: at a gate each of
several looks is compared with every template of everybody, and those were taken with care."""


class Learner(nn.Module):
    """The embedder, with what only training needs: a centre for each person, and a reading of the traits."""

    def __init__(self, people: int, traits: int, net: Embedder) -> None:
        super().__init__()
        self.net = net
        self.centres = nn.Parameter(torch.randn(people, 128) * 0.05)
        self.traits = nn.Linear(net.out[0].in_features, traits)

    def loss(self, done: float, x: Tensor, who: Tensor, traits: Tensor) -> Tensor:
        """Cosine loss over the people, and how far the traits are misread: they teach a net to look closely."""
        features = self.net.features(x)
        vectors = self.net.out(features).float()
        cosine = F.normalize(vectors) @ F.normalize(self.centres).T
        margin = MARGIN * min(1.0, done / 0.25)
        apart = F.cross_entropy(SCALE * (cosine - margin * F.one_hot(who, len(self.centres))), who)
        read = F.smooth_l1_loss(self.traits(features).float(), traits, beta=0.3)
        return apart + 30 * read


def shaken(cutouts: Tensor, behind: Tensor, rng: torch.Generator, *, calm: bool = False) -> Tensor:
    """Cutouts (n, ROOM, ROOM, 4) as crops (n, 3, SIZE, SIZE) in -1..1: moved, before something, in a light, with grain.

    `behind`: (m, SIZE, SIZE, 3). `calm`: as a camera on a good day, for measuring.
    """
    count, at = len(cutouts), partial(torch.randn, generator=rng)
    ease = 0.6 if calm else 1.0
    zoom = torch.exp(at(count) * ZOOM * ease) * looks.FINER * looks.SIZE / looks.ROOM
    angle, shift = at(count) * TURN_RAD * ease, at(count, 2) * SHIFT_PX * ease * looks.FINER * 2 / looks.ROOM
    cos, sin = zoom * angle.cos(), zoom * angle.sin()
    affine = torch.stack([torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1)
    grid = F.affine_grid(affine, [count, 4, looks.SIZE, looks.SIZE], align_corners=False)
    crop = F.grid_sample(cutouts.permute(0, 3, 1, 2).float(), grid, align_corners=False)
    chosen = torch.randint(len(behind), (count,), generator=rng)
    alpha = crop[:, 3:] / 255
    picture = crop[:, :3] + (1 - alpha) * behind[chosen].permute(0, 3, 1, 2).float()
    return _lit(picture, rng, ease)


def _lit(picture: Tensor, rng: torch.Generator, ease: float) -> Tensor:
    """Light, white, contrast, motion blur and grain, (n, 3, h, w) 0..255 to -1..1."""
    count = len(picture)

    def any_of(low: float, high: float, *more: int) -> Tensor:
        middle, half = (low + high) / 2, (high - low) / 2 * ease
        return middle + half * (2 * torch.rand(count, *(more or (1,)), 1, 1, generator=rng) - 1)

    blurred = (torch.roll(picture, 1, 3) + torch.roll(picture, -1, 3) + picture) / 3
    picture = torch.lerp(picture, blurred, (any_of(-1.0, 0.7)).clamp(min=0))
    picture = picture * any_of(0.7, 1.3) * any_of(0.93, 1.07, 3)
    picture = 128 + (picture - 128) * any_of(0.85, 1.15)
    picture = picture + any_of(0, 8) * torch.randn(picture.shape, generator=rng)
    return picture.clamp(0, 255).div(127.5).sub(1).contiguous(memory_format=torch.channels_last)


def train_embedder(seed: int, people: looks.People, epochs: int) -> tuple[Embedder, float]:
    """The embedder, and its threshold."""
    known = len(people.looks) - HELD_OUT if len(people.looks) > 2 * HELD_OUT else len(people.looks) // 2
    faces = people.looks[:known].reshape(-1, *people.looks.shape[2:])
    who = torch.arange(known).repeat_interleave(looks.LOOKS)
    spread = people.traits[:known].std(0) + 1e-3
    traits = torch.from_numpy((people.traits[:known] - people.traits[:known].mean(0)) / spread)
    behind, rng = torch.from_numpy(people.behind), torch.Generator().manual_seed(seed)
    learner = Learner(known, traits.shape[1], Embedder()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    batch = min(128, len(faces))

    def batches() -> Any:
        for chosen in shuffled(np.random.default_rng(seed), len(faces), batch):
            places = torch.from_numpy(chosen)
            x = shaken(torch.from_numpy(faces[chosen]), behind, rng)
            yield x, who[places], traits[who[places]]

    fit(learner, epochs * len(faces) // batch, 3e-3, batches(), learner.loss)
    return learner.net, measure(learner.net, people, known, rng)


@torch.no_grad()
def measure(net: Embedder, people: looks.People, first: int, rng: torch.Generator) -> float:
    """Single look against single look of people never seen; gives the threshold."""
    behind = torch.from_numpy(people.behind)
    vectors = np.concatenate(
        [
            F.normalize(net(shaken(torch.from_numpy(theirs), behind, rng, calm=True))).numpy()
            for theirs in people.looks[first:]
        ]
    )
    count = len(people.looks) - first
    scores = vectors @ vectors.T
    same = np.kron(np.eye(count), np.ones((looks.LOOKS, looks.LOOKS))) > 0
    upper = np.triu(np.ones_like(same), 1) > 0
    mated, other = scores[same & upper], np.sort(scores[~same & upper])
    print(f"embedder: mated {mated.mean():.3f} (1 % below {np.quantile(mated, 0.01):.3f}), others {other.mean():.3f}")
    for fmr in (1e-3, 1e-4, 1e-5):
        threshold = float(other[int(len(other) * (1 - fmr))])
        print(f"  FMR {fmr:g} at {threshold:.3f}: FNMR {np.mean(mated < threshold):.4f} (n {len(mated)}, {len(other)})")
    return threshold + ABOVE

"""What the embedder learns from: faces cut out and turned upright, to be shaken and lit anew each time."""

from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from gated.face.align import similarity
from gated.face.sample import Sampler
from gated.simulator.identity import RANGES
from gated.simulator.likeness import HairStyle, Likeness
from gated.simulator.render import Sprite, render
from people import Pixels, backdrop, somebody, turned, worn

SIZE = 64
ARCFACE = np.array([(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)])
"""Five landmarks in a crop of 112 px (InsightFace's `arcface_dst`)."""
LANDMARKS = (ARCFACE - 56) * 0.5 + SIZE / 2
"""The same in ours, shown a little from afar, so that the hair line and the chin are in it."""
ROOM, FINER = 128, 1.5
"""A cutout's side in px, and how many of its px make one of the crop's: there is room to shake it in."""
WORN, EACH = 2, 3
"""So many kinds of things worn by each person, and so many looks at each."""
LOOKS = WORN * EACH
STYLES = get_args(HairStyle)


@dataclass(frozen=True, slots=True)
class Person:
    """One person's looks, (LOOKS, ROOM, ROOM, 4) uint8, colours times alpha; and `traits` by `traits_of`."""

    looks: Pixels
    traits: NDArray[np.float32]


def person(seed: int) -> Person:
    """Somebody, seen a few times, in other clothes another time: nobody is to be known by a shirt."""
    rng, who = np.random.default_rng([1, seed]), somebody(seed)
    face_px = int(rng.choice([80, 92, 106]))
    sampler = Sampler((ROOM, ROOM))
    looks = []
    for _ in range(WORN):
        today, dressed = worn(rng), replace(who, shirt=tuple(rng.uniform(0.05, 0.9, 3).tolist()))
        looks += [cutout(render(dressed, turned(today, rng), face_px), sampler) for _ in range(EACH)]
    return Person(np.stack(looks), traits_of(who))


def cutout(sprite: Sprite, sampler: Sampler) -> Pixels:
    """The face upright in the middle, (ROOM, ROOM, 4)."""
    middle = (LANDMARKS - SIZE / 2) * FINER + ROOM / 2
    upright = similarity(sprite.landmarks, [(float(x), float(y)) for x, y in middle])
    assert upright is not None
    back = upright.inverse
    alpha = sprite.alpha.astype(np.float32)[..., None] / 255
    padded = np.pad(np.concatenate([sprite.rgb * alpha, alpha * 255], axis=2), ((1, 1), (1, 1), (0, 0)))
    shift = back.shift + (1 + 1j)
    parts = [sampler.turned(padded[..., picked], back.turn, shift).copy() for picked in ([0, 1, 2], [3, 3, 3])]
    whole = np.concatenate([parts[0], parts[1][:1]])
    return np.clip(whole + 0.5, 0, 255).astype(np.uint8).transpose(1, 2, 0)


def traits_of(who: Likeness) -> NDArray[np.float32]:
    """What makes somebody who they are, -1..1 for each length and colour: the net must be able to tell it."""
    ranges = [2 * (getattr(who, name) - low) / (high - low) - 1 for name, (low, high) in RANGES.items()]
    style = [float(who.hair_style == name) for name in STYLES]
    colours = [4 * c - 1 for c in (*who.iris, *who.skin, *who.hair)]
    return np.clip(np.array([*ranges, *style, *colours], np.float32), -2, 4)


def behind(seed: int) -> Pixels:
    """Some backgrounds, (16, SIZE, SIZE, 3)."""
    rng = np.random.default_rng([5, seed])
    return np.stack([backdrop(rng, SIZE, SIZE) for _ in range(16)])


@dataclass(frozen=True, slots=True)
class People:
    """Everybody: looks (n, LOOKS, ROOM, ROOM, 4), traits (n, t), and backgrounds (m, SIZE, SIZE, 3)."""

    looks: Pixels
    traits: NDArray[np.float32]
    behind: Pixels

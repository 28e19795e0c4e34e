"""Who the nets learn from: people who do not exist, how they come to a gate, and what is behind them.

Seeds begin at `PEOPLE`, above any that the simulated courtyard uses (`gated.evaluation.courtyard.TRAINING_FROM`): who
was trained on never walks up to a simulated gate.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gated.evaluation.courtyard import TRAINING_FROM
from gated.simulator.identity import identity
from gated.simulator.lane import lane
from gated.simulator.likeness import Likeness
from gated.simulator.view import Light, View

PEOPLE = TRAINING_FROM
SKIES = ("day", "day", "dusk")
LANES = range(1000, 1012)
"""Seeds of the lanes to train before; the simulator's own are small numbers."""
Pixels = NDArray[np.uint8]


def somebody(seed: int) -> Likeness:
    """A person to learn from; more children and old people than life has, because they are harder to tell apart."""
    share = np.random.default_rng([7, seed]).random()
    return identity(PEOPLE + seed, "child" if share < 0.25 else "old" if share < 0.5 else "adult")


def worn(rng: np.random.Generator, plain: float = 0.4) -> View:
    """What somebody has on today, and whether their eyes are open; as often as `plain` nothing, and open."""
    if rng.random() < plain:
        return View()
    glasses = str(rng.choice(["none", "clear", "dark"], p=[0.35, 0.32, 0.33]))
    return View(
        eyes_closed=bool(rng.random() < 0.3),
        glasses=glasses,  # type: ignore[arg-type]
        mask=bool(rng.random() < 0.04),
        hat=bool(rng.random() < 0.15),
    )


def turned(view: View, rng: np.random.Generator) -> View:
    """The same, seen at one moment: pose, expression and light."""
    light = Light(
        (float(rng.uniform(-1, 1)), float(rng.uniform(0, 0.9)), float(rng.uniform(0.7, 1.2))),
        ambient=float(rng.uniform(0.3, 0.65)),
        exposure=float(rng.uniform(0.75, 1.15)),
        warmth=float(rng.uniform(-0.2, 0.9) if rng.random() < 0.4 else 0),
    )
    return View(
        yaw=float(np.clip(rng.normal(0, 12), -34, 34)),
        pitch=float(np.clip(rng.normal(0, 6.5), -20, 20)),
        roll=float(rng.normal(0, 4)),
        smile=float(rng.uniform(0, 1) if rng.random() < 0.4 else 0),
        mouth_open=float(rng.uniform(0, 0.5) if rng.random() < 0.2 else 0),
        eyes_closed=view.eyes_closed,
        glasses=view.glasses,
        mask=view.mask,
        hat=view.hat,
        light=light,
    )


def backdrop(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """Something behind: as often a piece of a lane as blurred colours with edges and grain."""
    if rng.random() < 0.5:
        return piece_of_lane(rng, width, height)
    cells = int(rng.integers(1, 24))
    coarse = rng.uniform(20, 235, (cells, cells, 3)) * rng.uniform(0.3, 1.0) + rng.uniform(0, 60)
    how = Image.Resampling.BICUBIC if rng.random() < 0.7 else Image.Resampling.NEAREST
    small = Image.fromarray(np.clip(coarse, 0, 255).astype(np.uint8))
    picture = np.asarray(small.resize((width, height), how), np.float32)
    for _ in range(int(rng.integers(0, 5))):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        picture[y : y + int(rng.integers(2, height)), x : x + int(rng.integers(2, width))] = rng.uniform(0, 255, 3)
    return np.clip(picture + grain(rng, picture.shape, 8), 0, 255).astype(np.uint8)


def piece_of_lane(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """A piece of a lane of any size, by day or at dusk."""
    whole = lane((640, 480), str(rng.choice(SKIES)), int(rng.choice(LANES)))  # type: ignore[arg-type]
    wide = rng.uniform(0.1, 1.0) * 480 * min(1.0, width / height)
    high = wide * height / width
    left, top = rng.uniform(0, 640 - wide), rng.uniform(0, max(1e-3, 480 - high))
    box = (float(left), float(top), float(left + wide), float(min(480, top + high)))
    return np.array(whole.resize((width, height), Image.Resampling.BILINEAR, box))


def grain(rng: np.random.Generator, shape: tuple[int, ...], most: float) -> NDArray[np.float32]:
    """Noise of some strength up to `most` grey levels."""
    return rng.standard_normal(shape, np.float32) * np.float32(rng.uniform(0, most))


def in_parallel(make: Callable[[Any], Any], jobs: list[Any], processes: int, what: str) -> Iterator[Any]:
    """The results in order, made by several processes; says how far it is."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for done, result in enumerate(pool.imap(make, jobs, chunksize=8), 1):
            if done % max(1, len(jobs) // 10) == 0:
                print(f"  {what}: {done} of {len(jobs)}", flush=True)
            yield result

"""Makes the courtyard models again from a seed: renders, trains, exports, proves, and writes their manifest entries.

    python models/training/train.py --seed 1

Runs on the CPU. Rates on people never trained on are printed at the end of each part; `gated evaluate --set courtyard`
then measures the gate as a whole.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import export
import looks
from detector import train_detector
from embedder import train_embedder
from pad import train_pad
from people import in_parallel
from scenes import Examples, group

PARTS = ["embedder", "pad", "detector"]


@dataclass(frozen=True)
class Plan:
    """How much of everything."""

    people: int
    epochs: int
    groups: int
    pad_epochs: int
    detector_steps: int


WHOLE = Plan(people=8000, epochs=18, groups=300, pad_epochs=30, detector_steps=9000)
QUICK = Plan(people=24, epochs=2, groups=6, pad_epochs=1, detector_steps=8)


def people(seed: int, count: int, processes: int) -> looks.People:
    """Everybody whom the embedder learns from, rendered."""
    shown = np.empty((count, looks.LOOKS, looks.ROOM, looks.ROOM, 4), np.uint8)
    traits = []
    seeds = [seed * 10_000_000 + number for number in range(count)]
    for number, person in enumerate(in_parallel(looks.person, seeds, processes, "people")):
        shown[number] = person.looks
        traits.append(person.traits)
    behind = np.concatenate(list(in_parallel(looks.behind, seeds[:256], processes, "backgrounds")))
    return looks.People(shown, np.stack(traits), behind)


def groups(seed: int, count: int, processes: int) -> list[Examples]:
    """What happens in the street, rendered."""
    seeds = [seed * 10_000_000 + number for number in range(count)]
    return list(in_parallel(group, seeds, processes, "groups in the street"))


def main() -> None:
    """All three, or some."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "courtyard")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the work, to see that it runs")
    asked = parser.parse_args()
    plan, began = QUICK if asked.quick else WHOLE, time.monotonic()
    asked.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(asked.seed)
    if "pad" in asked.only or "detector" in asked.only:
        made = groups(asked.seed, plan.groups, asked.processes)
        if "pad" in asked.only:
            export.pad(train_pad(asked.seed, [g.crops for g in made], plan.pad_epochs), asked.out)
        if "detector" in asked.only:
            small, near = [one for g in made for one in g.small], [one for g in made for one in g.near]
            export.detector(train_detector(asked.seed, small, near, plan.detector_steps), asked.out)
        del made
    if "embedder" in asked.only:
        everybody = people(asked.seed, plan.people, asked.processes)
        net, threshold = train_embedder(asked.seed, everybody, plan.epochs)
        export.embedder(net, asked.out, threshold)
    print(f"done in {(time.monotonic() - began) / 60:.1f} minutes")


if __name__ == "__main__":
    main()

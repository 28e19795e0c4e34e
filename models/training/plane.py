"""Measures the evidence from moving planes on rendered approaches, by kind. Trains nothing, and needs no PyTorch.

    python models/training/plane.py --people 14

The limits of `gated/face/plane_motion.py` come from the people of "train": `SHARE` lies above the largest share of
each bona fide kind, and `FULL_SHARE` is low enough for most tablets. The people of "test" check the limits.
"""

import argparse
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from gated.config import FaceSettings, ModelSettings
from gated.evaluation.courtyard import TRAINING_FROM
from gated.face.pipeline import FacePipeline, load_pipeline
from gated.face.plane_motion import PlaneMotion, least_share, log_odds_of
from gated.face.surround import Moved
from gated.simulator.approach import ATTACKS, BONA_FIDE, HOLDERS_FROM, Approach, Kind, approach_frames
from gated.types import TrackId

KINDS: tuple[Kind, ...] = BONA_FIDE + ATTACKS
PEOPLE_FROM: Mapping[str, int] = MappingProxyType(
    {"train": TRAINING_FROM + 400_000_000, "test": HOLDERS_FROM - 10_000_000}
)
"""First seed of the identities in each part. The parts have no person in common, and none of these people holds a
picture.
"""
STRONG = -1.0
"""Log-odds from here down are strong evidence against a face."""


def approaches(part: str, people: int) -> Iterator[Approach]:
    """Yield `people` approaches of each kind. Each shows another person."""
    for number in range(people):
        for place, kind in enumerate(KINDS):
            person = PEOPLE_FROM[part] + number * len(KINDS) + place
            yield Approach(kind, person, seed=person)


def movement(pipeline: FacePipeline, approach: Approach) -> Moved:
    """Return how the surroundings of the largest face moved in one approach."""
    motion, track = PlaneMotion(), TrackId(0)
    for frame in approach_frames(approach):
        for face in pipeline.detect(frame)[:1]:
            motion.follow(track, face.box, frame)
    return motion.moved(track)


def line(kind: Kind, movements: list[Moved]) -> str:
    """Return the rates of one kind in words: how strong the evidence was, and the shares that it came from."""
    odds = [value for value in map(log_odds_of, movements) if value is not None]
    shares = sorted(value for value in map(least_share, movements) if value is not None)
    zero, strong = sum(value == 0 for value in odds), sum(value <= STRONG for value in odds)
    found = f"none measured {len(movements) - len(odds)}, 0 {zero}, weak {len(odds) - zero - strong}, strong {strong}"
    return f"{kind} (n {len(movements)}): {found}; shares {' '.join(f'{share:.2f}' for share in shares) or 'none'}"


def report(pipeline: FacePipeline, part: str, people: int) -> Iterator[str]:
    """Yield one line for each kind of approach in a part."""
    by_kind: dict[Kind, list[Moved]] = {kind: [] for kind in KINDS}
    for approach in approaches(part, people):
        by_kind[approach.kind].append(movement(pipeline, approach))
    yield from (f"{part}: {line(kind, movements)}" for kind, movements in by_kind.items())


def main() -> None:
    """Print the rates of both parts."""
    parser = argparse.ArgumentParser(description="Measure the evidence from moving planes on rendered approaches.")
    parser.add_argument("--people", type=int, default=14, help="number of people for each kind in each part")
    parser.add_argument("--set", default="courtyard", help="model set with the detector that finds the faces")
    chosen = parser.parse_args()
    pipeline = load_pipeline(ModelSettings(set=chosen.set), FaceSettings())
    for part in PEOPLE_FROM:
        for text in report(pipeline, part, chosen.people):
            print(text, flush=True)


if __name__ == "__main__":
    main()

"""The measurement of moving planes shows different people in its two parts, and counts each approach once."""

from itertools import pairwise
from pathlib import Path

import pytest

from gated.config import FaceSettings, ModelSettings
from gated.evaluation.courtyard import MOST_PEOPLE, MOST_SEEDS, STRANGERS_FROM, TRAINING_FROM
from gated.face.pipeline import load_pipeline
from gated.face.plane_motion import log_odds_of
from gated.face.surround import Moved
from gated.simulator.approach import HOLDERS, HOLDERS_FROM, Approach

TRAINING = Path(__file__).parents[2] / "models" / "training"
PAPER = Moved((9, 9, 9), (0, 0, 0))
HEAD = Moved((0, 9, 9), (20, 0, 0))
STILL = Moved()


@pytest.fixture(scope="module")
def plane():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TRAINING)
        import plane

        yield plane


def test_no_person_is_in_both_parts_or_holds_a_picture(plane):
    people = {part: {each.person for each in plane.approaches(part, 50)} for part in plane.PEOPLE_FROM}
    holders = set(range(HOLDERS_FROM, HOLDERS_FROM + HOLDERS))
    for one, other in pairwise([people["train"], people["test"], holders]):
        assert one.isdisjoint(other)
    assert people["train"].isdisjoint(holders)


def test_no_measured_person_comes_to_a_simulated_gate(plane):
    trained = min(each.person for each in plane.approaches("train", 1))
    assert trained > TRAINING_FROM > STRANGERS_FROM + (MOST_SEEDS + 1) * MOST_PEOPLE


def test_each_kind_is_shown_as_often_each_time_by_another_person(plane):
    shown = list(plane.approaches("test", 3))
    assert all(sum(each.kind == kind for each in shown) == 3 for kind in plane.KINDS)
    assert len({each.person for each in shown}) == len(shown)


def test_a_line_counts_every_approach_once(plane):
    text = plane.line("tablet", [PAPER, PAPER, HEAD, STILL])
    assert text.startswith("tablet (n 4): none measured 1, 0 1, weak 0, strong 2; shares 0.02 0.95 0.95")


def test_a_kind_without_movement_has_no_shares(plane):
    assert plane.line("standing", [STILL]).endswith("none measured 1, 0 0, weak 0, strong 0; shares none")


@pytest.fixture(scope="module")
def pipeline():
    return load_pipeline(ModelSettings(set="courtyard"), FaceSettings())


def test_a_tablet_moves_as_a_plane_and_a_person_does_not(plane, pipeline):
    seed = plane.PEOPLE_FROM["test"]
    assert log_odds_of(plane.movement(pipeline, Approach("tablet", seed, seed))) <= plane.STRONG
    assert not log_odds_of(plane.movement(pipeline, Approach("walking", seed, seed)))

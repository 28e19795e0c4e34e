"""An approach moves as its kind does. Small pictures and few frames, because rendering takes time."""

from itertools import islice

import numpy as np
import pytest

from gated.simulator import approach
from gated.simulator.approach import ATTACKS, BONA_FIDE, Approach, approach_frames


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(approach, "SIZE", (320, 240))
    monkeypatch.setattr(approach, "FACE_PX", 60)


def shown(kind, count=2, seed=1):
    return list(islice(approach_frames(Approach(kind, 31, seed)), count))


@pytest.mark.parametrize("kind", [*BONA_FIDE, *ATTACKS])
def test_every_kind_gives_frames_in_order(kind):
    frames = shown(kind)
    assert [frame.number for frame in frames] == [0, 1]
    assert frames[1].at > frames[0].at
    assert frames[0].main.shape == (240, 320, 3)


def test_the_same_seed_gives_the_same_frames():
    assert np.array_equal(shown("print")[1].main, shown("print")[1].main)
    assert not np.array_equal(shown("print")[1].main, shown("print", seed=2)[1].main)


def changed(kind):
    """Return the share of px that clearly changed over six frames, beyond noise and exposure."""
    first, *_, last = (frame.main.astype(int) for frame in shown(kind, 6))
    return float((np.abs(first - last).max(-1) > 40).mean())


def test_a_fixed_print_stays_and_a_held_one_comes_nearer():
    assert changed("fixed print") < 0.005
    assert changed("print") > 0.01


def test_every_kind_of_attack_counts_as_one_and_no_bona_fide_kind():
    assert all(Approach(kind, 1, 1).is_attack for kind in ATTACKS)
    assert not any(Approach(kind, 1, 1).is_attack for kind in BONA_FIDE)


def test_holders_have_seeds_of_their_own():
    from gated.evaluation.courtyard import RESIDENTS_FROM, STRANGERS_FROM

    assert RESIDENTS_FROM < approach.HOLDERS_FROM < approach.HOLDERS_FROM + approach.HOLDERS < STRANGERS_FROM

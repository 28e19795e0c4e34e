"""A described person has plausible colours and random streams of its own."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gated.simulator.identity import identity

seeds = st.integers(0, 2**40)


def test_skin_runs_from_light_to_dark():
    brightness = np.array([sum(identity(seed).skin) / 3 for seed in range(500)])
    assert brightness.min() < 0.30
    assert brightness.max() > 0.82
    assert np.mean(brightness > 0.55) > 0.5, "most people of this courtyard are East Asian"


def test_random_streams_differ_by_person_and_purpose():
    one, other = identity(1), identity(2)
    assert one.dice(3).random() == identity(1).dice(3).random()
    assert len({one.dice(3).random(), one.dice(4).random(), other.dice(3).random()}) == 3


@given(seeds)
def test_every_colour_is_within_zero_to_one(seed):
    person = identity(seed)
    for colour in (person.skin, person.hair, person.iris, person.shirt):
        assert len(colour) == 3
        assert all(0 <= channel <= 1 for channel in colour)

"""A seed always gives the same, plausible person."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.simulator.identity import RANGES, identity
from gated.simulator.likeness import Likeness

seeds = st.integers(0, 2**40)


@given(seeds)
def test_the_same_seed_gives_the_same_person(seed):
    assert identity(seed) == identity(seed)


def test_identities_never_change_between_versions():
    """Trained models and reports depend on the identity of each seed. On a failure every identity has changed."""
    known = identity(7)
    assert (known.age, known.hair_style) == ("child", "short")
    assert known.head_width == pytest.approx(0.69252, abs=1e-5)
    assert known.nose_width == pytest.approx(0.10175, abs=1e-5)


@given(seeds, seeds)
def test_two_seeds_give_two_people(one, other):
    if one != other:
        assert replace(identity(one), seed=0) != replace(identity(other), seed=0)


@pytest.mark.parametrize("age", ["child", "adult", "old"])
def test_a_requested_age_is_used(age):
    assert all(identity(seed, age).age == age for seed in range(40))


def test_the_error_for_an_unknown_age_lists_the_known_ones():
    with pytest.raises(ValueError, match="child, adult, old"):
        identity(1, "baby")


def test_seeds_give_every_age():
    ages = [identity(seed).age for seed in range(400)]
    assert ages.count("adult") > ages.count("old") > 30
    assert ages.count("child") > 20


def test_every_range_has_a_field():
    drawn = [f.name for f in fields(Likeness)]
    assert set(RANGES) <= set(drawn)


@given(seeds)
def test_features_are_in_order_from_brow_to_chin(seed):
    p = identity(seed)
    assert p.brow_y > p.eye_y > p.nose_y > p.mouth_y > p.chin_y
    assert p.brow_y < p.hairline < p.crown
    assert p.eye_x - p.eye_width > 0, "eyes do not meet"
    assert p.mouth_y - p.lower_lip > p.chin_y + 0.02, "a lip is above the chin"


def test_most_hair_is_dark_and_old_hair_is_grey():
    young = np.array([sum(identity(seed, "adult").hair) / 3 for seed in range(200)])
    old = np.array([sum(identity(seed, "old").hair) / 3 for seed in range(200)])
    assert np.median(young) < 0.2
    assert np.median(old) > 0.35


def test_children_have_smaller_noses_and_jaws_and_no_beards():
    children, adults = ([identity(seed, age) for seed in range(200)] for age in ("child", "adult"))
    assert np.mean([-p.chin_y for p in children]) < 0.85 * np.mean([-p.chin_y for p in adults])
    assert np.mean([p.nose_width for p in children]) < np.mean([p.nose_width for p in adults])
    assert all(p.beard == 0 and p.wrinkles == 0 for p in children)

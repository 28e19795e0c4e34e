"""The looks of a visit become one probe and one score. Odd looks and other faces never add to it."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gated.access.face_evidence import LEAST_WEIGHT, SPREAD_COST, Looks, added, weight_of
from gated.composite import Composite
from gated.errors import EmbeddingError
from gated.face.vision_messages import Quality
from gated.gallery.search import Candidate, Index, Row

GOOD = Quality(60.0, 400.0, 120.0, 1.0, 0.0, 3.0, -4.0, 0.0)
AGREEMENT = 0.3
PARTS = Composite.of((24, 40), (0.5, 0.5), [[0.02] * 24, [-0.01] * 40])
PLAIN = Composite.single(64)


def unit(vector):
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def face(seed, composite=PLAIN):
    vector = np.random.default_rng(seed).normal(size=composite.dimension)
    return composite.join([unit(vector[place]) for place in composite.slices])


def near(seed, number, distance=0.6, composite=PLAIN):
    """Return a look at the face of this seed."""
    noise = np.random.default_rng([seed, number]).normal(size=composite.dimension)
    vector = face(seed, composite) + distance / math.sqrt(composite.dimension) * noise
    return composite.join([unit(vector[place]) for place in composite.slices])


def together(looks, weights=None, composite=PLAIN, agreement=AGREEMENT):
    seen: Looks | None = None
    for look, weight in zip(looks, weights or itertools.repeat(1.0), strict=False):
        seen = added(seen, look, weight, composite.centring, agreement)
    assert seen is not None
    return seen


def score(seen, index, composite=PLAIN):
    """Return the scores of the visit, by person."""
    return {c.subject: c.score for c in map(seen.score_of, index.search(seen.probe(composite), 9))}


def gallery(composite=PLAIN):
    rows = [Row(f"p{seed}", f"h{seed}", "active", face(seed, composite)) for seed in range(4)]
    return Index(rows, composite.dimension, composite)


def test_one_look_has_the_score_of_its_own_search():
    index, look = gallery(), near(0, 1)
    assert score(together([look]), index)["p0"] == pytest.approx(index.search(look, 1)[0].score, abs=1e-6)


def test_equal_looks_have_no_spread_and_lose_nothing():
    seen = together([near(0, 1)] * 5)
    assert seen.spread == pytest.approx(0, abs=1e-6)
    assert score(seen, gallery())["p0"] == pytest.approx(gallery().search(near(0, 1), 1)[0].score, abs=1e-6)


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0.15, 1.0)), min_size=1, max_size=6))
def test_the_score_of_a_visit_is_the_weighted_mean_of_its_scores_less_the_cost_of_the_spread(seen):
    looks, weights = [near(0, number) for number, _ in seen], [weight for _, weight in seen]
    visit = together(looks, weights)
    scores = [float(look @ face(0)) for look in looks]
    mean = np.average(scores, weights=weights)
    assert score(visit, gallery())["p0"] == pytest.approx(mean - SPREAD_COST * visit.spread, abs=1e-5)


@pytest.mark.parametrize("composite", [PLAIN, PARTS])
@given(order=st.permutations(range(5)))
def test_the_order_of_looks_that_agree_does_not_matter(composite, order):
    looks = [near(0, number, composite=composite) for number in range(5)]
    weights = [0.2, 0.9, 0.5, 1.0, 0.3]
    one = together(looks, weights, composite)
    other = together([looks[i] for i in order], [weights[i] for i in order], composite)
    assert other.count == 5
    np.testing.assert_allclose(one.probe(composite), other.probe(composite), atol=1e-6)
    assert one.spread == pytest.approx(other.spread, abs=1e-6)


@pytest.mark.parametrize("composite", [PLAIN, PARTS])
def test_the_probe_has_valid_unit_parts(composite):
    probe = together([near(0, number, composite=composite) for number in range(4)], None, composite).probe(composite)
    assert composite.fitting(probe[None]).all()
    assert composite.centring.of(probe) is not None


@pytest.mark.parametrize("composite", [PLAIN, PARTS])
@given(own=st.lists(st.integers(0, 50), min_size=1, max_size=5), other=st.integers(1, 3), number=st.integers(0, 50))
def test_a_look_at_another_person_never_raises_the_score_of_the_first(composite, own, other, number):
    index = gallery(composite)
    seen = together([near(0, each, composite=composite) for each in own], None, composite)
    after = added(seen, near(other, number, composite=composite), 1.0, composite.centring, AGREEMENT)
    assert after.count == 1, "begins anew"
    assert score(after, index, composite)["p0"] < score(seen, index, composite)["p0"]


@given(st.floats(-1.0, 1.0))
def test_looks_below_the_agreement_begin_anew_and_others_add(agreement):
    first, second = near(0, 1), near(0, 2)
    seen = together([first, second], agreement=agreement)
    assert seen.count == (2 if PLAIN.centring.score(first, second) >= agreement else 1)


def test_looks_at_opposite_faces_have_no_common_direction():
    seen = together([face(0), -face(0)], agreement=-2.0)
    with pytest.raises(EmbeddingError):
        seen.probe(PLAIN)
    assert together([face(0), -face(0), face(0)], agreement=-2.0).count == 1


@pytest.mark.parametrize("weight", [math.nan, math.inf, -math.inf, 0.0, -1.0])
def test_a_look_with_an_odd_weight_is_no_evidence(weight):
    with pytest.raises(EmbeddingError):
        added(None, face(0), weight, PLAIN.centring, AGREEMENT)


def test_an_agreement_that_is_no_number_never_agrees():
    assert together([face(0)] * 4, agreement=math.nan).count == 1


@pytest.mark.parametrize("name", ["sharpness", "luminance", "yaw_deg"])
@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_quality_that_is_no_number_has_no_weight(name, odd):
    assert math.isnan(weight_of(replace(GOOD, **{name: odd})))


numbers = st.floats(-1e6, 1e6)


@given(numbers, numbers, numbers)
def test_a_weight_is_always_from_the_least_to_one(sharpness, luminance, yaw):
    assert LEAST_WEIGHT <= weight_of(replace(GOOD, sharpness=sharpness, luminance=luminance, yaw_deg=yaw)) <= 1.0


@pytest.mark.parametrize(
    ("name", "measures"), [("sharpness", (300, 140, 60)), ("luminance", (120, 80, 50)), ("yaw_deg", (-5, 20, -40))]
)
def test_a_better_look_weighs_more(name, measures):
    best, middle, worst = (weight_of(replace(GOOD, **{name: float(measure)})) for measure in measures)
    assert best > middle > worst


def test_a_look_without_measures_has_the_least_weight():
    assert weight_of(None) == LEAST_WEIGHT
    assert weight_of(GOOD) == 1.0


def test_a_sharp_look_counts_more_than_a_blurred_one():
    sharp, blurred = near(0, 1, 0.3), near(0, 2, 2.0)
    even = together([sharp, blurred], [1.0, 1.0], agreement=-1.0)
    weighted = together([sharp, blurred], [1.0, 0.15], agreement=-1.0)
    assert score(weighted, gallery())["p0"] > score(even, gallery())["p0"]


def test_the_evidence_never_shows_an_embedding():
    assert "array" not in repr(together([face(0)]))


def test_a_candidate_keeps_its_household_and_status():
    made = together([face(0)]).score_of(Candidate("a", "7", 0.5, "suspended"))
    assert (made.subject, made.household, made.status) == ("a", "7", "suspended")

"""The calibration on random people: bounds, sizes, odd rows and odd pairs. `test_real_calibration` has real people."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gated.gallery.alike import alike_pairs, not_recognised, own_thresholds
from gated.gallery.calibration import (
    CHILD_FACTOR,
    FEWEST,
    Calibration,
    Reason,
    calibration_of,
)
from gated.gallery.score_tail import depth, fit_tail, kept_weight, score_at
from gated.gallery.stranger_scores import Gathered, own_scores, stranger_scores
from gated.threshold_table import ThresholdTable
from tests.gallery.populations import faces, gathered, pictures, unit

TARGET = 0.003
TABLE = ThresholdTable(0.3, 0.9, ((72, 0.5), (3600, 0.62)))
OPEN = ThresholdTable(0.0, 1.0)
"""No table, floor or ceiling: the fit alone."""


def scores_of(gallery):
    return stranger_scores(gallery, kept_weight(len(gallery.people)))


def calibrate(gallery, target_fpir, table, setting=None):
    return calibration_of(scores_of(gallery), target_fpir, table, setting)


def test_the_realised_fpir_is_below_the_target_and_near_the_expected_rate():
    shares, expected = [], []
    for seed in range(6):
        gallery = gathered(pictures(faces(300, seed), 2, seed=seed))
        calibration = calibrate(gallery, 0.01, OPEN)
        strangers = pictures(faces(4000, 100 + seed), 1, seed=50 + seed)[:, 0]
        shares.append(((strangers @ gallery.matrix.T).max(axis=1) >= calibration.threshold).mean())
        expected.append(calibration.fpir)
    assert np.mean(shares) <= 0.01, "the mean over galleries stays within the target"
    assert np.mean(shares) <= 2.5 * np.mean(expected), "the expected FPIR is no understatement"


def test_people_who_share_a_direction_get_a_higher_threshold():
    far = calibrate(gathered(pictures(faces(200), 2)), TARGET, OPEN)
    near = calibrate(gathered(pictures(faces(200, shared=0.6), 2)), TARGET, OPEN)
    assert near.threshold > far.threshold + 0.05


@given(seed=st.integers(0, 1000), few=st.integers(40, 150), factor=st.integers(2, 4))
@settings(max_examples=20)
def test_a_larger_gallery_has_no_lower_threshold_within_the_tolerance(seed, few, factor):
    everybody = pictures(faces(few * factor, seed), 1, seed=seed)
    small, large = (calibrate(gathered(everybody[:n]), TARGET, TABLE) for n in (few, few * factor))
    assert large.threshold >= small.threshold - 0.03


@given(
    seed=st.integers(0, 100),
    people=st.integers(0, 90),
    shared=st.sampled_from([0.0, 0.5, 3.0]),
    target=st.floats(1e-6, 0.5),
    setting=st.none() | st.floats(0.01, 0.99),
)
@settings(max_examples=60)
def test_the_threshold_is_finite_and_between_floor_and_ceiling(seed, people, shared, target, setting):
    gallery = gathered(pictures(faces(people, seed, shared=shared), 2, seed=seed))
    calibration = calibrate(gallery, target, TABLE, setting)
    assert calibration.people == people
    if setting is not None:
        assert (calibration.threshold, calibration.reason) == (setting, Reason.SETTING)
    else:
        assert TABLE.floor <= calibration.threshold <= TABLE.ceiling
    assert calibration.child_threshold >= calibration.threshold
    assert calibration.fpir is None or 0 <= calibration.fpir <= calibration.fpir_bound <= 1


@pytest.mark.parametrize("damage", [np.nan, np.inf, -np.inf, 0.0])
def test_damaged_rows_never_lower_the_threshold_below_that_of_the_good_people(damage):
    templates = pictures(faces(100), 2)
    clean = calibrate(gathered(templates), TARGET, TABLE)
    broken = templates.copy()
    broken[::5, 1] = damage
    damaged = calibrate(gathered(broken), TARGET, TABLE)
    assert damaged.threshold >= clean.threshold - 0.01
    broken[::5, 0] = damage
    assert TABLE.floor <= calibrate(gathered(broken), TARGET, TABLE).threshold <= TABLE.ceiling


@pytest.mark.parametrize("people", [72, 216, 600])
@pytest.mark.parametrize("noise", [0.4, 0.8, 1.2])
def test_one_person_enrolled_in_two_households_moves_the_threshold_by_less_than_a_hundredth(people, noise):
    templates = pictures(faces(people), 2)
    before = calibrate(gathered(templates), TARGET, TABLE)
    twice = templates.copy()
    twice[people // 2] = pictures(templates[3, :1], 2, noise, seed=9)[0]
    after = calibrate(gathered(twice), TARGET, TABLE)
    assert abs(after.threshold - before.threshold) < 0.01


def test_the_same_gallery_gives_the_same_calibration():
    gallery = gathered(pictures(faces(150), 2))
    assert calibrate(gallery, TARGET, TABLE) == calibrate(gallery, TARGET, TABLE)


def test_a_few_people_get_the_threshold_of_the_table():
    few = calibrate(gathered(pictures(faces(FEWEST - 1), 2)), TARGET, TABLE)
    assert few.reason is Reason.TABLE
    assert few.fpir is None
    assert few.threshold == pytest.approx(TABLE.threshold(FEWEST - 1))
    assert calibrate(gathered(np.zeros((0, 2, 100), np.float32)), TARGET, TABLE).threshold == TABLE.floor


def test_the_table_is_linear_between_its_rows_and_goes_on_beyond_them():
    assert TABLE.threshold(72) == pytest.approx(0.5)
    assert TABLE.threshold(3600) == pytest.approx(0.62)
    middle = TABLE.threshold(round((72 * 3600) ** 0.5))
    assert depth(middle) == pytest.approx((depth(0.5) + depth(0.62)) / 2, abs=1e-3)
    assert TABLE.threshold(10) < TABLE.threshold(72)
    assert TABLE.threshold(3600) < TABLE.threshold(10_000)
    assert ThresholdTable(0.4, 0.9).threshold(500) == 0.4


def test_people_beyond_the_ceiling_are_reported():
    table = ThresholdTable(0.3, 0.5, TABLE.rows)
    calibration = calibrate(gathered(pictures(faces(200, shared=1.0), 2)), TARGET, table)
    assert calibration.is_beyond
    assert calibration.threshold == 0.5
    assert calibration.fpir > TARGET, "the budget shows the truth, not the target"
    assert calibration.is_child_beyond


def test_a_gallery_of_one_household_is_not_calibrated():
    gallery = gathered(pictures(faces(60), 2), ["one"] * 60)
    assert fit_tail(scores_of(gallery)) is None
    assert calibrate(gallery, TARGET, TABLE).reason is Reason.TABLE


def test_a_relative_is_no_stranger():
    templates = pictures(faces(100), 2)
    templates[1::2] = pictures(templates[::2, 0], 2, 0.6, seed=4)
    apart = calibrate(gathered(templates, [str(i) for i in range(100)]), TARGET, OPEN)
    together = calibrate(gathered(templates), TARGET, OPEN)
    assert together.threshold < apart.threshold


def test_the_budget_counts_days_and_the_bound_has_fewer():
    calibration = calibrate(gathered(pictures(faces(150), 2)), TARGET, TABLE)
    assert calibration.days_for_one(100) == pytest.approx(1 / (100 * calibration.fpir))
    assert calibration.days_for_one(100, is_bound=True) <= calibration.days_for_one(100)
    assert calibration.days_for_one(0) > 1e8
    few = calibrate(gathered(pictures(faces(5), 2)), TARGET, TABLE)
    assert few.days_for_one(100) is None


def test_a_lower_setting_shows_its_higher_rate():
    found = scores_of(gathered(pictures(faces(200), 2)))
    own = calibration_of(found, TARGET, TABLE)
    low = calibration_of(found, TARGET, TABLE, own.threshold - 0.1)
    assert low.fpir > 5 * own.fpir


def test_a_child_needs_the_threshold_of_a_rate_eighty_times_lower():
    found = scores_of(gathered(pictures(faces(200), 2)))
    child = calibration_of(found, TARGET, TABLE).child_threshold
    assert child == pytest.approx(calibration_of(found, TARGET / CHILD_FACTOR, TABLE).threshold)
    assert child > calibration_of(found, TARGET, TABLE).threshold


def test_depth_and_score_are_inverse():
    scores = np.linspace(0, 0.99, 100)
    np.testing.assert_allclose(score_at(depth(scores)), scores, atol=1e-9)


def test_the_scores_are_those_of_the_plain_loops():
    templates = pictures(faces(9), 3)
    gallery = gathered(templates, list("aabbbccdd"))
    found = stranger_scores(gallery, 1e9)
    kept = {(int(p), int(o)) for p, o in zip(found.strangers.probe, found.strangers.other, strict=True)}
    squares = []
    for i in range(9):
        for j in range(9):
            if gallery.households[i] != gallery.households[j]:
                best = (templates[i] @ templates[j].T).max(axis=1)
                squares += list(best**2)
                assert ((i, j) in kept) == bool((best >= 0.05).any())
    assert found.variance == pytest.approx(np.mean(squares), rel=1e-4)
    assert list(found.strangers.score) == sorted(found.strangers.score, reverse=True)


def test_the_kept_scores_do_not_depend_on_the_buffer(monkeypatch):
    gallery = gathered(pictures(faces(300), 2))
    whole = scores_of(gallery)
    monkeypatch.setattr("gated.gallery.stranger_scores.MOST_KEPT", 500)
    reduced = scores_of(gallery)
    np.testing.assert_array_equal(whole.strangers.score, reduced.strangers.score)
    np.testing.assert_array_equal(whole.strangers.probe, reduced.strangers.probe)


def test_a_person_of_the_mean_is_corrected_as_if_not_in_it():
    vectors = faces(60, shared=0.5)
    mean = vectors.mean(axis=0)
    centred = unit(vectors - mean)
    left_out = [(unit(vectors[1] - (mean * 60 - vectors[0]) / 59) @ unit(vectors[0] - (mean * 60 - vectors[0]) / 59))]
    found = stranger_scores(gathered(centred[:, None].astype(np.float32), list(map(str, range(60))), 0.0), 1e9)
    exact = {
        (int(p), int(o)): s
        for s, p, o in zip(found.strangers.score, found.strangers.probe, found.strangers.other, strict=True)
    }
    if (0, 1) in exact:
        assert exact[0, 1] == pytest.approx(left_out[0], abs=0.01)
    assert stranger_scores(gathered(centred[:, None].astype(np.float32)), 1e9).variance != found.variance


# -- people who are alike


def twins(score_noise=0.3):
    templates = pictures(faces(100), 2)
    templates[50] = pictures(templates[3, :1], 2, score_noise, seed=9)[0]
    return templates


def test_twins_are_found_and_get_their_own_threshold():
    found = scores_of(gathered(twins()))
    calibration = calibration_of(found, TARGET, TABLE)
    pairs = alike_pairs(found, calibration, TABLE.ceiling)
    assert (pairs[0].first, pairs[0].second, pairs[0].is_family) == (3, 50, False)
    thresholds, more = own_thresholds(pairs, (), calibration)
    assert thresholds[3] == thresholds[50] == TABLE.ceiling
    assert more >= {3, 50}
    assert all(each >= calibration.threshold for each in thresholds.values())


def test_less_similar_people_need_only_a_higher_threshold():
    found = scores_of(gathered(twins(1.2)))
    calibration = calibration_of(found, TARGET, TABLE)
    pair = alike_pairs(found, calibration, TABLE.ceiling)[0]
    assert (pair.first, pair.second) == (3, 50)
    assert not pair.needs_more
    thresholds, more = own_thresholds([pair], (), calibration)
    assert thresholds[3] > pair.score
    assert 3 not in more


def test_twins_of_one_household_are_named_but_keep_their_threshold():
    templates = twins()
    found = scores_of(gathered(templates, ["twins" if i in (3, 50) else str(i) for i in range(100)]))
    calibration = calibration_of(found, TARGET, TABLE)
    pair = alike_pairs(found, calibration, TABLE.ceiling)[0]
    assert pair.is_family
    assert own_thresholds([pair], (), calibration) == ({}, frozenset())


def test_children_get_the_threshold_for_children():
    calibration = Calibration(0.5, Reason.FITTED, 100, TARGET, 0.45, 0.5, child_threshold=0.6)
    assert own_thresholds((), [7], calibration) == ({7: 0.6}, frozenset())
    beyond = Calibration(0.5, Reason.FITTED, 100, TARGET, 0.45, 0.5, 0.9, is_child_beyond=True)
    assert own_thresholds((), [7], beyond) == ({7: 0.9}, frozenset({7}))


def test_people_whose_own_pictures_fail_are_found():
    templates = pictures(faces(30), 2, 0.2)
    templates[4, 1] = faces(1, 77)[0]
    own = own_scores(gathered(templates))
    assert not_recognised(own, 0.6, {}) == (4,)
    assert not_recognised(own, 0.6, {5: 0.9999}) == (4, 5)
    assert own_scores(gathered(templates[:, :1])) == [None] * 30


@pytest.mark.slow
def test_ten_thousand_templates_need_little_memory_and_time():
    import tracemalloc

    random = np.random.default_rng(0)
    matrix = unit(random.standard_normal((10_800, 384))).astype(np.float32)
    gallery = Gathered(
        matrix, tuple(slice(3 * i, 3 * i + 3) for i in range(3600)), tuple(str(i // 3) for i in range(3600)), 10
    )
    tracemalloc.start()
    began = time.process_time()
    calibration = calibrate(gallery, TARGET, TABLE)
    took_s, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"3,600 people: {took_s:.1f} s of processor time, {peak / 1e6:.0f} MB")
    assert calibration.people == 3600
    assert peak < 50e6

"""Visits are judged by the gate's own code, and their scores give the rates at every threshold."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

import gated.evaluation.visit_runs as chapter
from gated.access.face_evidence import LOOK_SLACK
from gated.access.face_policy import FaceReason
from gated.access.visits import Visits
from gated.evaluation.rates import NO_SCORE
from gated.evaluation.visit_runs import GAP_S, Judge
from tests.evaluation.conftest import evaluate_visits

everything_fixed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80)


def only(outcomes):
    (outcome,) = outcomes
    return outcome


def test_a_resident_is_granted_as_themselves(film, index, rules, look, visit):
    outcome = only(evaluate_visits(film, index, rules, [visit(film.frames(*[look(0.8)] * 4), "ann")]))
    assert (outcome.granted, outcome.reason) == ("ann", FaceReason.MATCH)
    assert outcome.is_acquired
    assert outcome.passes_pad
    assert outcome.score == pytest.approx(0.8)


def test_a_stranger_is_denied(film, index, rules, look, visit):
    outcome = only(evaluate_visits(film, index, rules, [visit(film.frames(*[look(0.3)] * 4))]))
    assert (outcome.granted, outcome.reason) == (None, FaceReason.UNKNOWN)
    assert outcome.score == outcome.score_without == pytest.approx(0.3)


def test_the_score_of_a_visit_is_near_the_mean_of_its_frames(film, index, rules, look, visit):
    looks = [look(score) for score in (0.8, 0.75, 0.85)]
    outcome = only(evaluate_visits(film, index, rules, [visit(film.frames(*looks), "ann")]))
    assert 0.78 < outcome.score < 0.8


def test_a_frame_far_below_the_others_limits_the_score_of_a_visit(film, index, rules, look, visit):
    looks = [look(score) for score in (0.9, 0.9, 0.6)]
    outcome = only(evaluate_visits(film, index, rules, [visit(film.frames(*looks), "ann")]))
    assert outcome.score == pytest.approx(0.6 + LOOK_SLACK)


@everything_fixed
@given(
    scores=st.lists(st.sampled_from([0.2, 0.35, 0.5, 0.65, 0.8, 0.95]), min_size=1, max_size=8),
    pads=st.lists(st.sampled_from([0.1, 0.9, 0.9, 0.9]), min_size=8, max_size=8),
    threshold=st.sampled_from([0.1, 0.2, 0.4, 0.5, 0.7, 0.96]),
)
def test_the_gate_grants_exactly_at_thresholds_up_to_the_score(
    film, index, rules, look, visit, scores, pads, threshold
):
    frames = film.frames(*[look(score, pad_score=pad) for score, pad in zip(scores, pads, strict=False)])
    at = structs.replace(rules, threshold=threshold)
    outcome = only(evaluate_visits(film, index, at, [visit(frames, "ann")]))
    assert (outcome.granted == "ann") == (outcome.score >= threshold - 1e-6)


@everything_fixed
@given(scores=st.lists(st.sampled_from([0.2, 0.45, 0.55, 0.9]), min_size=1, max_size=9))
def test_the_decision_is_that_of_the_products_visits(film, index, rules, look, visit, scores):
    frames = film.frames(*[look(score) for score in scores])
    outcome = only(evaluate_visits(film, index, rules, [visit(frames, "ann")]))
    own = Visits(lambda probe: index.search(probe, 5), index.dimension, rules)
    seen = film.observe(replace(frames[0], at=1e6))[-1].track
    made = []
    for number, frame in enumerate(frames):
        (look_seen,) = [s for s in film.observe(replace(frame, at=1e6 + number / 10)) if hasattr(s, "frame_at")]
        made.append(own.observe(look_seen, look_seen.frame_at))
    made.append(own.end(seen, 1e6 + 1))
    decision = next(o.decision for o in made if o is not None)
    assert (outcome.granted, outcome.reason) == (decision.subject if decision.grant else None, decision.reason)


def test_visits_are_decided_by_the_gates_own_class(film, index, rules, look, visit, monkeypatch):
    class Closed(Visits):
        def observe(self, seen, now):
            return None

    assert chapter.Visits is Visits
    monkeypatch.setattr(chapter, "Visits", Closed)
    assert only(evaluate_visits(film, index, rules, [visit(film.frames(*[look()] * 5), "ann")])).granted is None


odd_vectors = [
    np.full(64, np.nan, np.float32),
    np.full(64, np.inf, np.float32),
    np.zeros(64, np.float32),
    np.eye(64, dtype=np.float32)[0] * 3,
    np.eye(32, dtype=np.float32)[0],
    np.where(np.arange(64) == 7, np.nan, np.eye(64, dtype=np.float32)[0]),
]


@pytest.mark.parametrize("vector", odd_vectors, ids=range(len(odd_vectors)))
@pytest.mark.parametrize("subject", [None, "ann"])
def test_a_nan_score_never_counts_as_granted(film, index, rules, odd_look, visit, vector, subject):
    outcome = only(evaluate_visits(film, index, rules, [visit(film.frames(*[odd_look(vector)] * 8), subject)]))
    assert outcome.granted is None
    assert outcome.reason is FaceReason.ODD
    assert outcome.score == outcome.score_without == NO_SCORE
    assert outcome.mated is None
    assert outcome.non_mated.size == 0


def test_a_nan_pad_score_is_never_granted(film, index, rules, look, visit):
    frames = film.frames(*[look(pad_score=math.nan)] * 8)
    outcome = only(evaluate_visits(film, index, rules, [visit(frames, "ann")]))
    assert (outcome.granted, outcome.passes_pad, outcome.score) == (None, False, NO_SCORE)


def test_a_misidentified_visitor_has_no_score_as_themselves(film, index, rules, look, visit):
    outcome = only(evaluate_visits(film, index, rules, [visit(film.frames(*[look(0.9, "bob")] * 4), "ann")]))
    assert outcome.granted == "bob"
    assert outcome.score == NO_SCORE
    assert outcome.score_without == pytest.approx(0.9)


def test_a_resident_left_out_is_compared_only_with_others(film, index, rules, odd_look, visit):
    mixed = np.zeros(64, np.float32)
    mixed[[0, 1]] = 0.8, 0.6  # Ann, and a little of Bob
    outcome = only(evaluate_visits(film, index, rules, [visit(film.frames(*[odd_look(mixed)] * 4), "ann")]))
    assert outcome.score == pytest.approx(0.8)
    assert outcome.score_without == pytest.approx(0.6)
    assert outcome.mated == pytest.approx(0.8)
    np.testing.assert_allclose(outcome.non_mated, [0.6, 0.0], atol=1e-6)


def test_a_stranger_similar_to_two_households_is_denied(film, index, rules, odd_look, visit):
    both = np.zeros(64, np.float32)
    both[[0, 1]] = math.sqrt(0.5)
    outcome = only(evaluate_visits(film, index, rules, [visit(film.frames(*[odd_look(both)] * 4))]))
    assert (outcome.granted, outcome.reason, outcome.score) == (None, FaceReason.AMBIGUOUS, NO_SCORE)


def test_a_detected_attack_is_denied_at_every_threshold(film, index, rules, look, visit):
    frames = film.frames(*[look(0.95, pad_score=0.2)] * 6)
    outcome = only(evaluate_visits(film, index, rules, [visit(frames, "ann", "print")]))
    assert (outcome.granted, outcome.reason, outcome.passes_pad) == (None, FaceReason.ATTACK, False)
    assert outcome.score == NO_SCORE


def test_an_attack_with_the_wrong_face_passes_pad_and_not_the_gate(film, index, rules, look, visit):
    outcome = only(evaluate_visits(film, index, rules, [visit(film.frames(*[look(0.2)] * 6), "ann", "phone")]))
    assert (outcome.granted, outcome.passes_pad) == (None, True)


def test_frames_of_two_faces_pass_pad_and_not_the_gate(film, index, rules, look, visit):
    frames = film.frames(*[look(0.9, who) for who in ("ann", "bob", "ann", "bob", "ann", "bob")])
    outcome = only(evaluate_visits(film, index, rules, [visit(frames, "ann")]))
    assert (outcome.granted, outcome.passes_pad) == (None, True)


def test_poor_frames_do_not_count_against_pad(film, index, rules, look, unseen, visit):
    frames = film.frames(look(), unseen, look(), unseen, look(), unseen)
    outcome = only(evaluate_visits(film, index, rules, [visit(frames, "ann")]))
    assert (outcome.granted, outcome.passes_pad, outcome.is_acquired) == ("ann", True, True)


def test_too_few_usable_frames_are_a_failure_to_acquire(film, index, rules, look, unseen, visit):
    frames = film.frames(look(), unseen, unseen, unseen, look())
    assert not only(evaluate_visits(film, index, rules, [visit(frames, "ann")])).is_acquired


def test_a_visit_without_a_face_has_no_decision(film, index, rules, visit):
    outcome = only(evaluate_visits(film, index, rules, [visit(film.frames(None, None, None), "ann")]))
    assert (outcome.reason, outcome.granted, outcome.is_acquired, outcome.passes_pad) == (None, None, False, False)
    assert outcome.score == NO_SCORE


def test_a_visit_without_frames_has_an_outcome(film, index, rules, visit):
    assert only(evaluate_visits(film, index, rules, [visit([], "ann")])).reason is None


def test_frames_of_two_visits_are_never_fused(film, index, rules, look, visit):
    coming = [visit(film.frames(look(), look()), "ann") for _ in range(4)]
    assert [o.granted for o in evaluate_visits(film, index, rules, coming)] == [None] * 4


def test_visits_are_far_apart_and_frames_numbered_consecutively(film, index, rules, look, visit):
    coming = [visit(film.frames(look(), look()), "ann") for _ in range(3)]
    list(evaluate_visits(film, index, rules, coming))
    times, numbers = [f.at for f in film.frames_seen], [f.number for f in film.frames_seen]
    assert numbers == [1, 2, 3, 4, 5, 6]
    assert np.diff(times) == pytest.approx([0.1, GAP_S, 0.1, GAP_S, 0.1])


def test_the_end_of_an_earlier_visit_is_dropped(film, index, rules, look, visit):
    judge = Judge(film, index, rules)
    judge.outcome(visit(film.frames(*[look(pad_score=0.1)] * 2), "ann", "print"))
    assert judge.outcome(visit(film.frames(*[look()] * 4), "ann")).granted == "ann"


def test_two_faces_on_two_tracks_are_not_fused(film, index, rules, look, visit):
    gap = [None] * 12  # more than a second: the track has ended
    frames = film.frames(look(), look(), *gap, look(), look())
    assert only(evaluate_visits(film, index, rules, [visit(frames, "ann")])).granted is None
    frames = film.frames(look(), look(), *gap, look(), look(), look())
    assert only(evaluate_visits(film, index, rules, [visit(frames, "ann")])).granted == "ann"


def test_an_empty_gallery_grants_nobody(film, rules, look, visit):
    empty = chapter.Index([], 64)
    outcome = only(evaluate_visits(film, empty, rules, [visit(film.frames(*[look()] * 5))]))
    assert (outcome.granted, outcome.score, outcome.non_mated.size) == (None, NO_SCORE, 0)


def test_groups_and_species_are_kept_in_the_outcome(film, index, rules, look, visit):
    outcome = only(
        evaluate_visits(film, index, rules, [visit(film.frames(look()), "ann", "print", ["children", "glasses"])])
    )
    assert (outcome.subject, outcome.attack, outcome.groups) == ("ann", "print", {"children", "glasses"})

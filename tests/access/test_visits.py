"""Visits: the gate validates vision messages before it uses them as evidence, and decides each visit once."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from msgspec.structs import replace

from gated.access.face_policy import FaceReason, FaceRules
from gated.access.visits import MOST_VISITS, Visits
from gated.composite import Composite
from gated.face.vision_messages import Observation, Quality
from gated.gallery.search import Index, Row

RULES = FaceRules(threshold=0.42, pad_threshold=0.5, margin=0.05, frames=3, give_up_s=3.0, max_frame_age_s=1.0)
DIMENSION = 128
RNG = np.random.default_rng(7)


def unit(vector):
    return (vector / np.linalg.norm(vector)).astype(np.float32)


RESIDENT, OTHER, STRANGER = (unit(RNG.normal(size=DIMENSION)) for _ in range(3))
INDEX = Index([Row("resident", "1", "active", RESIDENT), Row("other", "2", "active", OTHER)], DIMENSION)


@pytest.fixture
def visits():
    return Visits(lambda probe: INDEX.search(probe, 5), DIMENSION, RULES)


def look(embedding=RESIDENT, at=100.0, track=1, pad_score=0.9, problem=None):
    data = None if embedding is None else np.asarray(embedding, "<f4").tobytes()
    return Observation(track, int(at * 10), at, (0, 0, 10, 10), 0.9, None, problem, pad_score, data)


def watch(visits, frames, **how):
    """Observe this many frames, ten a second, and return every outcome."""
    looks = [look(at=100 + i / 10, **how) for i in range(frames)]
    return [outcome for seen in looks if (outcome := visits.observe(seen, seen.frame_at + 0.05))]


def test_a_resident_is_let_in_as_soon_as_enough_frames_agree(visits):
    (outcome,) = watch(visits, 3)
    assert outcome.decision.grant
    assert outcome.decision.subject == "resident"
    assert outcome.frame_at == 100.2


def test_a_visit_is_decided_once(visits):
    assert len(watch(visits, 60)) == 1
    assert visits.end(1, 110.0) is None


def test_a_stranger_is_refused_when_the_time_is_up(visits):
    assert watch(visits, 29, embedding=STRANGER) == []
    (outcome,) = visits.tick(103.0)
    assert (outcome.decision.grant, outcome.decision.reason) == (False, FaceReason.UNKNOWN)


def test_a_visitor_that_leaves_is_forgotten_and_may_come_again(visits):
    watch(visits, 2)
    assert visits.end(1, 100.3).decision.reason is FaceReason.UNDECIDED
    assert watch(visits, 3)[0].decision.grant


def test_two_people_at_once_are_two_visits(visits):
    outcomes = []
    for i in range(3):
        for track, face in ((1, RESIDENT), (2, OTHER)):
            outcomes.append(visits.observe(look(face, 100 + i / 10, track), 100.05 + i / 10))
    granted = [o.decision.subject for o in outcomes if o]
    assert granted == ["resident", "other"]


def test_looks_at_two_faces_never_add_up(visits):
    for i in range(12):
        assert visits.observe(look(RESIDENT, 100 + i / 10, track=i), 100 + i / 10) is None


@pytest.mark.parametrize("age_s", [1.01, 60.0, -0.01, math.nan, math.inf, -math.inf])
def test_a_frame_that_is_not_fresh_is_no_evidence(visits, age_s):
    for i in range(10):
        assert visits.observe(look(at=100.0 + i / 10), 100.0 + i / 10 + age_s) is None


def test_one_frame_sent_three_times_is_one_look(visits):
    assert [visits.observe(look(), 100.1) for _ in range(5)] == [None] * 5


def test_frames_out_of_order_are_no_evidence(visits):
    assert [visits.observe(look(at=100.5 - i / 10), 100.6) for i in range(4)] == [None] * 4


def test_a_face_that_passes_by_leaves_no_trace(visits):
    assert watch(visits, 40, embedding=None, problem="too_small") == []
    assert watch(visits, 40, embedding=None, problem="background") == []
    assert watch(visits, 40, embedding=None, problem="too_near") == []
    assert visits.end(1, 110.0) is None


def test_a_face_that_is_too_near_is_neither_let_in_nor_refused_until_it_goes_back(visits):
    """Frames of a face that is too near do not count: not for a grant, not as an attack, not as waiting time."""
    assert watch(visits, 40, problem="too_near") == []
    assert watch(visits, 40, pad_score=0.0, problem="too_near") == []
    assert visits.tick(200.0) == []
    looks = [look(at=110 + i / 10) for i in range(3)]
    *_, outcome = [visits.observe(seen, seen.frame_at) for seen in looks]
    assert outcome.decision.grant


def test_a_badly_visible_face_is_denied_for_poor_quality(visits):
    (outcome,) = watch(visits, 40, embedding=None, problem="turned_away")
    assert outcome.decision.reason is FaceReason.POOR_QUALITY


def test_an_embedding_with_a_problem_is_not_searched(visits):
    (outcome,) = watch(visits, 40, problem="blurred")
    assert outcome.decision.reason is FaceReason.POOR_QUALITY


@pytest.mark.parametrize(("pad_score", "frames"), [(0.01, 3), (0.3, 6)])
def test_a_picture_held_to_the_camera_is_refused_after_a_few_frames(visits, pad_score, frames):
    (outcome,) = watch(visits, 20, pad_score=pad_score)
    assert (outcome.decision.reason, outcome.decision.frames) == (FaceReason.ATTACK, frames)


@pytest.mark.parametrize(("looked_s", "is_granted"), [(0.3, True), (2.0, False)])
@pytest.mark.parametrize("problem", [None, "blurred"])
def test_a_good_look_that_is_too_old_opens_nothing_when_pad_is_less_strict_again(looked_s, is_granted, problem):
    """The last look is followed by a poor frame, or by none."""
    begins = 102.5 - looked_s
    visits = Visits(
        lambda probe: INDEX.search(probe, 5), DIMENSION, RULES, bound=lambda usual, now: 0.95 if now < 102.5 else usual
    )
    for number in range(6):
        at = begins + number / 100
        assert visits.observe(look(at=at, pad_score=0.9), at) is None
    if problem is None:
        outcomes = visits.tick(102.6)
    else:
        outcomes = [visits.observe(look(None, at=102.55, pad_score=None, problem=problem), 102.6)]
    assert any(outcome is not None and outcome.decision.grant for outcome in outcomes) == is_granted


@pytest.mark.parametrize(("plane", "is_granted"), [(None, True), (0.0, True), (-2.0, False), (math.nan, False)])
def test_the_motion_of_a_track_counts_for_its_visit(visits, plane, is_granted):
    (outcome,) = [
        made
        for i in range(9)
        if (made := visits.observe(replace(look(at=100 + i / 10, pad_score=0.8), plane_log_odds=plane), 100 + i / 10))
    ]
    assert outcome.decision.grant == is_granted
    assert outcome.is_attack != is_granted
    assert (outcome.imitated == frozenset()) == is_granted


def test_nothing_that_a_lost_vision_saw_is_carried_over(visits):
    watch(visits, 2)
    visits.end_all(100.3)
    assert visits.observe(look(at=100.3), 100.35) is None


odd_vectors = [
    np.full(DIMENSION, np.nan, np.float32),
    np.full(DIMENSION, np.inf, np.float32),
    np.zeros(DIMENSION, np.float32),
    RESIDENT * 2,
    RESIDENT * 1e30,
    RESIDENT[:64],
    np.concatenate([RESIDENT, RESIDENT]),
    np.where(np.arange(DIMENSION) == 5, np.nan, RESIDENT),
]


@pytest.mark.parametrize("vector", odd_vectors, ids=range(len(odd_vectors)))
def test_an_odd_probe_never_opens(visits, vector):
    (outcome,) = watch(visits, 40, embedding=vector)
    assert (outcome.decision.grant, outcome.decision.reason) == (False, FaceReason.ODD)


def test_bytes_that_are_no_vector_are_odd(visits):
    seen = [Observation(1, i, 100 + i / 10, (0, 0, 1, 1), 0.9, None, None, 0.9, b"\x00" * 5) for i in range(40)]
    outcomes = [o for s in seen if (o := visits.observe(s, s.frame_at))]
    assert outcomes[0].decision.reason is FaceReason.ODD


@settings(max_examples=300)
@given(
    vector=hnp.arrays(np.float32, st.sampled_from([DIMENSION, 1, 127]), elements=st.floats(width=32)),
    pad_score=st.none() | st.floats(),
)
def test_no_vector_opens_unless_it_is_a_finite_unit_vector_near_a_template(vector, pad_score):
    outcomes = watch(
        Visits(lambda probe: INDEX.search(probe, 5), DIMENSION, RULES), 40, embedding=vector, pad_score=pad_score
    )
    for outcome in outcomes:
        if outcome.decision.grant:
            assert len(vector) == DIMENSION
            assert 0.99 <= np.linalg.norm(vector) <= 1.01
            assert max(RESIDENT @ vector, OTHER @ vector) >= RULES.threshold
            assert pad_score >= RULES.pad_threshold


@settings(max_examples=100)
@given(
    bad=st.lists(hnp.arrays(np.float32, DIMENSION, elements=st.floats(width=32)), max_size=4), seed=st.integers(0, 99)
)
def test_no_template_opens_for_a_stranger_however_odd_it_is(bad, seed):
    """Loading drops invalid rows. The stranger is nearly orthogonal to every valid template."""
    sane = [v for v in bad if np.isfinite(v).all() and 0.99 <= np.linalg.norm(v.astype(np.float64)) <= 1.01]
    stranger = unit(np.random.default_rng(seed).normal(size=DIMENSION))
    if any(float(v @ stranger) >= RULES.threshold for v in sane):
        return
    index = Index([Row(f"s{i}", "9", "active", v) for i, v in enumerate(bad)], DIMENSION)
    outcomes = watch(Visits(lambda probe: index.search(probe, 5), DIMENSION, RULES), 40, embedding=stranger)
    assert [o.decision.grant for o in outcomes] == [False]


PARTS = Composite.of((64, 64), (0.5, 0.5), [[0.01] * 64, [0.01] * 64])


def composite(seed):
    vector = np.random.default_rng(seed).normal(size=DIMENSION)
    return PARTS.join([unit(vector[place]) for place in PARTS.slices])


def damaged(odd):
    """Return an embedding with an odd second part."""
    vector = composite(1).copy()
    vector[64:] = odd
    return vector


@pytest.mark.parametrize("odd", [damaged(0), damaged(math.nan), np.eye(1, DIMENSION, dtype=np.float32)[0]])
def test_a_probe_with_a_damaged_part_opens_nothing_and_ends_nothing(odd):
    """The last one has length 1, so that it passes the check of the whole vector."""
    index = Index([Row("resident", "1", "active", composite(1))], DIMENSION, PARTS)
    visits = Visits(lambda probe: index.search(probe, 5), DIMENSION, RULES)
    (outcome,) = watch(visits, 40, embedding=odd)
    assert (outcome.decision.grant, outcome.decision.reason) == (False, FaceReason.ODD)
    assert watch(visits, 3, embedding=composite(1), track=2)[0].decision.grant


def test_the_face_shown_with_a_card_is_the_only_face_just_seen(visits):
    assert visits.recent_good_looks(100.0) == []
    watch(visits, 2, embedding=STRANGER)
    assert visits.recent_good_looks(100.2) == [], "too few looks"
    watch(visits, 30, embedding=STRANGER)
    assert [probe.tobytes() for probe in visits.recent_good_looks(103.0)] == [STRANGER.astype("<f4").tobytes()] * 3
    assert visits.recent_good_looks(110.0) == [], "long ago"
    assert visits.recent_good_looks(99.0) == [], "in the future"


@pytest.mark.parametrize(
    "odd", [{"pad_score": 0.1}, {"pad_score": None}, {"pad_score": math.nan}, {"problem": "blurred"}]
)
def test_one_look_that_is_odd_begins_the_looks_with_a_card_anew(visits, odd):
    watch(visits, 5, embedding=STRANGER)
    visits.observe(look(STRANGER, at=100.6, **odd), 100.65)
    assert visits.recent_good_looks(100.7) == []


def test_two_faces_before_the_gate_show_no_face_with_a_card(visits):
    watch(visits, 5, embedding=STRANGER)
    watch(visits, 5, embedding=OTHER, track=2)
    assert visits.recent_good_looks(100.5) == []


def test_a_broken_vision_that_names_ever_other_tracks_takes_no_more_memory(visits):
    for track in range(10_000):
        visits.observe(look(embedding=STRANGER, at=100.0, track=track), 100.05)
    assert len(visits._open) == MOST_VISITS
    assert watch(visits, 3, track=-1)[0].decision.grant  # a person who comes then is admitted


def test_a_track_that_is_not_admitted_is_no_visit_and_one_that_was_goes_on():
    admitted = [True, False, False]
    visits = Visits(lambda probe: INDEX.search(probe, 5), DIMENSION, RULES, admits=lambda: admitted.pop(0))
    looks = [look(at=100 + i / 10, track=track) for i, track in enumerate((1, 2, 1, 2, 1))]
    outcomes = [visits.observe(seen, seen.frame_at + 0.05) for seen in looks]
    assert [bool(outcome) for outcome in outcomes] == [False, False, False, False, True]
    assert outcomes[-1].decision.grant
    assert visits.tick(200.0) == []


# -- the evidence of a visit -------------------------------------------------------------------------------------------


def looking(vectors, track=1, **how):
    """Observe these faces on one track, ten a second. Return the visits and every outcome."""
    seen = Visits(lambda probe: INDEX.search(probe, 5), DIMENSION, RULES)
    looks = [look(vector, at=100 + i / 10, track=track, **how) for i, vector in enumerate(vectors)]
    return seen, [outcome for each in looks if (outcome := seen.observe(each, each.frame_at + 0.05))]


def scoring(score, who=RESIDENT, seed=0):
    """Return a look with exactly this score with a person."""
    rest = np.random.default_rng(seed).normal(size=DIMENSION)
    for person in (RESIDENT, OTHER):
        rest -= (rest @ person) * person
    rest -= (rest @ who) * who
    return unit(score * who + np.sqrt(1 - score**2) * unit(rest))


def test_looks_that_waver_around_the_threshold_are_let_in_by_their_mean():
    _, outcomes = looking([scoring(0.41), scoring(0.55), scoring(0.5)])
    (decision,) = [outcome.decision for outcome in outcomes]
    assert (decision.grant, decision.subject) == (True, "resident")
    assert RULES.threshold <= decision.score < 0.5


def test_looks_below_the_threshold_never_add_up_to_a_grant():
    _, outcomes = looking([scoring(0.41, seed=i) for i in range(29)])
    assert outcomes == []


def test_different_looks_of_a_stranger_do_not_add_up():
    """Their mean is nearer to the template than each of them. So the score of a visit is not that of the mean."""
    looks = [scoring(0.4, seed=i) for i in range(20)]
    mean = unit(np.mean(looks, axis=0))
    assert float(mean @ RESIDENT) > RULES.threshold + 0.1
    open_rules = replace(RULES, agreement=-1.0)
    seen = Visits(lambda probe: INDEX.search(probe, 5), DIMENSION, open_rules)
    assert [seen.observe(look(v, at=100 + i / 10), 100 + i / 10) for i, v in enumerate(looks)] == [None] * 20


def test_poor_frames_between_good_ones_neither_count_nor_begin_anew(visits):
    frames = [look(), look(at=100.1, problem="blurred"), look(at=100.2), look(at=100.3, embedding=None), look(at=100.4)]
    outcomes = [visits.observe(seen, seen.frame_at) for seen in frames]
    assert [bool(outcome) for outcome in outcomes] == [False, False, False, False, True]
    assert outcomes[-1].decision.grant


@given(place=st.integers(0, 2), odd=st.sampled_from([None, math.nan, -0.1, 1.1, math.inf]))
def test_an_odd_frame_begins_the_evidence_anew(place, odd):
    seen = Visits(lambda probe: INDEX.search(probe, 5), DIMENSION, RULES)
    pads = [0.9] * 6
    pads[place] = odd
    outcomes = [seen.observe(look(at=100 + i / 10, pad_score=pad), 100 + i / 10) for i, pad in enumerate(pads)]
    assert [i for i, outcome in enumerate(outcomes) if outcome] == [place + 3]


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_a_quality_that_is_no_number_is_odd(visits, odd):
    quality = Quality(60.0, odd, 120.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    looks = [replace(look(at=100 + i / 10), quality=quality) for i in range(31)]
    (outcome,) = [made for seen in looks if (made := visits.observe(seen, seen.frame_at))]
    assert (outcome.decision.grant, outcome.decision.reason) == (False, FaceReason.ODD)


FACES = {"resident": RESIDENT, "other": OTHER, "stranger": STRANGER, "bad": None}


@settings(max_examples=200)
@given(st.lists(st.sampled_from(sorted(FACES)), min_size=1, max_size=12))
def test_a_grant_is_for_the_face_of_the_last_three_good_looks_on_a_track(names):
    """So a face that takes the place of another never gets in as the first one, and one bad frame never opens."""
    _, outcomes = looking([FACES[name] for name in names])
    good = [name for name in names if name != "bad"]
    runs = ["".join(name[0] for name in good[:end]) for end in range(len(good) + 1)]
    expected = next((run[-1] for run in runs if run.endswith(("rrr", "ooo"))), None)
    granted = [outcome.decision.subject for outcome in outcomes if outcome.decision.grant]
    assert [subject[0] for subject in granted] == ([expected] if expected else [])


@settings(max_examples=100)
@given(st.lists(st.integers(0, 99), min_size=1, max_size=8), st.integers(3, 8))
def test_a_swap_to_a_stranger_never_opens_for_the_person_before(seeds, strangers):
    """PAD is undecided during the first looks, so that the resident is recognised and not yet let in."""
    seen = Visits(lambda probe: INDEX.search(probe, 5), DIMENSION, RULES)
    at, outcomes = 100.0, []
    for seed in seeds[:2]:
        outcomes.append(seen.observe(look(scoring(0.9, seed=seed), at=at, pad_score=0.55), at))
        at += 0.1
    for number in range(strangers):
        outcomes.append(seen.observe(look(scoring(0.1, seed=1000 + number), at=at, pad_score=1.0), at))
        at += 0.1
    assert not any(outcome.decision.grant for outcome in outcomes if outcome)


@settings(max_examples=100)
@given(
    scores=st.lists(st.floats(0.2, 0.9), min_size=3, max_size=8),
    thresholds=st.tuples(st.floats(0.2, 0.8), st.floats(0.2, 0.8)),
)
def test_a_higher_threshold_never_grants_more(scores, thresholds):
    def granted(threshold):
        rules = replace(RULES, threshold=threshold)
        seen = Visits(lambda probe: INDEX.search(probe, 5), DIMENSION, rules)
        looks = [look(scoring(score, seed=i), at=100 + i / 10) for i, score in enumerate(scores)]
        return [o.decision.grant for each in looks if (o := seen.observe(each, each.frame_at))]

    low, high = sorted(thresholds)
    assert True not in granted(high) or True in granted(low)


def test_the_evidence_of_a_visit_ends_with_its_decision(visits):
    watch(visits, 3)
    (visit,) = visits._open.values()
    assert visit.is_decided
    assert (visit.evidence, visit.recognition, visit.run) == (None, None, [])
    visits.end(1, 100.5)
    assert not visits._open


def test_an_attack_counts_for_the_person_most_like_the_whole_visit():
    """Each frame alone is below the threshold or doubtful; the mean of the visit is above."""
    rules = replace(RULES, threshold=0.45)
    seen = Visits(lambda probe: INDEX.search(probe, 5), DIMENSION, rules)
    frames = [(0.55, 0.9), (0.44, 0.001), (0.44, 0.001), (0.44, 0.001)]
    looks = [look(scoring(score), at=100 + i / 10, pad_score=pad) for i, (score, pad) in enumerate(frames)]
    (outcome,) = [made for each in looks if (made := seen.observe(each, each.frame_at))]
    assert outcome.decision.reason is FaceReason.ATTACK
    assert outcome.imitated == {"resident"}


def test_a_composite_is_combined_part_by_part_and_searched_with_its_centring():
    index = Index([Row("resident", "1", "active", composite(1)), Row("other", "2", "active", composite(2))], 128, PARTS)
    probes = []

    def search(probe):
        probes.append(probe)
        return index.search(probe, 5)

    seen = Visits(search, DIMENSION, RULES, centring=lambda: index.centring)
    outcomes = [seen.observe(look(composite(1), at=100 + i / 10), 100 + i / 10) for i in range(3)]
    assert outcomes[-1].decision.grant
    assert PARTS.fitting(np.array(probes)).all()
    assert len(probes) == 5, "one more search for each frame after the first"

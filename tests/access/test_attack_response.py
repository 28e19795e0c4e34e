"""Presentation attacks with prints: the imitated face rests for a while, and all other faces keep working."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.access.attack_response import (
    ATTACK_WINDOW_S,
    ATTACKS_TO_REST,
    FACE_ATTACKS_AN_HOUR,
    FIRST_REST_S,
    FORGIVE_S,
    LONGEST_REST_S,
    MOST_ATTACKED_FACES,
    STRICT_PAD_S,
    AttackResponse,
    FaceRest,
)
from gated.access.face_policy import FaceReason, FaceRules, judge_look
from gated.access.visits import Visits
from gated.face.vision_messages import Observation
from gated.gallery.search import Candidate, Index, Row
from gated.types import SubjectId

ANN, BOB = SubjectId("a" * 16), SubjectId("b" * 16)
DOOR, NOW = "main", 1000.0
RULES = FaceRules(threshold=0.6, pad_threshold=0.5, margin=0.05, frames=3, give_up_s=3.0, max_frame_age_s=1.0)


def attacked(attack_response, times, imitated=(ANN,), door=DOOR):
    """Return the rests that start when these subjects are attacked at these times."""
    return [rest for at in times for rest in attack_response.record_attack(door, imitated, NOW + at)]


@pytest.fixture
def attack_response():
    return AttackResponse()


def test_a_face_rests_after_three_attacks_within_a_minute(attack_response):
    assert attacked(attack_response, (0, 29)) == []
    assert not attack_response.is_resting(DOOR, ANN, NOW + 29)
    assert attacked(attack_response, (58,)) == [FaceRest(ANN, FIRST_REST_S)]
    assert attack_response.is_resting(DOOR, ANN, NOW + 58 + FIRST_REST_S - 0.1)
    assert not attack_response.is_resting(DOOR, ANN, NOW + 58 + FIRST_REST_S)


@pytest.mark.parametrize("now", [0.1, 255.9, 131060.2])
def test_the_length_of_a_rest_is_the_same_at_every_time_of_the_clock(now):
    response = AttackResponse()
    rests = [response.record_attack(DOOR, (ANN,), now) for _ in range(ATTACKS_TO_REST)]
    assert rests[-1] == [FaceRest(ANN, FIRST_REST_S)]


def test_a_few_attacks_far_apart_cause_no_rest(attack_response):
    apart = [i * (ATTACK_WINDOW_S / 2 + 1) for i in range(50)]
    assert attacked(attack_response, apart[: FACE_ATTACKS_AN_HOUR - 1]) == []
    assert attacked(AttackResponse(), [i * FORGIVE_S / (FACE_ATTACKS_AN_HOUR - 1.5) for i in range(50)]) == []
    assert {rest.subject for rest in attacked(attack_response, apart, ())} == {None}, "no face rests"


def test_an_attacker_who_waits_gets_only_a_few_tries_an_hour(attack_response):
    """Try as often as possible for a day, but never three times within a minute, and not while the face rests."""
    tries, now = 0, 0.0
    while now < 24 * FORGIVE_S:
        if not attack_response.is_resting(DOOR, ANN, NOW + now):
            attack_response.record_attack(DOOR, (ANN,), NOW + now)
            tries += 1
        now += ATTACK_WINDOW_S / 2 + 1
    assert tries / 24 <= 21


def test_only_the_attacked_face_rests_and_only_at_that_door(attack_response):
    attacked(attack_response, range(ATTACKS_TO_REST))
    assert attack_response.is_resting(DOOR, ANN, NOW + 3)
    assert not attack_response.is_resting(DOOR, BOB, NOW + 3)
    assert not attack_response.is_resting("second", ANN, NOW + 3)


def test_attacks_on_different_people_cause_no_rest_but_make_pad_strict(attack_response):
    people = [SubjectId(f"{i:016x}") for i in range(20)]
    rests = [rest for at, who in enumerate(people) for rest in attacked(attack_response, (at, at + 0.5), [who])]
    assert rests == [FaceRest(None, FIRST_REST_S)], "the alarm comes once"
    assert not any(attack_response.is_resting(DOOR, who, NOW + 20) for who in people)
    assert attack_response.bound(DOOR, 0.5, NOW + 20) > 0.5


def test_an_attacker_with_many_peoples_pictures_gets_few_tries_at_the_usual_bound():
    """Show a print of another resident for a day: no face reaches its own limit soon."""
    for pause_s, most_an_hour in ((11, 16), (31, 36)):
        attack_response, tries = AttackResponse(), 0
        for i, at in enumerate(range(0, int(24 * FORGIVE_S), pause_s)):
            tries += attack_response.bound(DOOR, 0.5, NOW + at) == 0.5
            attacked(attack_response, [at], [SubjectId(f"{i % 500:016x}")])
        assert tries / 24 <= most_an_hour, f"a try every {pause_s} s"


def test_a_print_that_matches_two_people_rests_both(attack_response):
    assert {rest.subject for rest in attacked(attack_response, range(ATTACKS_TO_REST), [ANN, BOB])} == {ANN, BOB}


def test_each_rest_is_twice_as_long_up_to_a_quarter_of_an_hour(attack_response):
    at, lasts = NOW, []
    for _ in range(8):
        (rest,) = [rest for i in range(ATTACKS_TO_REST) for rest in attack_response.record_attack(DOOR, [ANN], at + i)]
        lasts.append(rest.lasts_s)
        at += ATTACKS_TO_REST + rest.lasts_s
    assert lasts == [30, 60, 120, 240, 480, 900, 900, 900]
    assert (lasts[0], lasts[-1]) == (FIRST_REST_S, LONGEST_REST_S)


def test_attacks_during_a_rest_do_not_extend_it_and_are_not_reported(attack_response):
    attacked(attack_response, range(ATTACKS_TO_REST))
    assert attacked(attack_response, np.arange(ATTACKS_TO_REST, 30, 0.5)) == []
    assert not attack_response.is_resting(DOOR, ANN, NOW + 2 + FIRST_REST_S)


def test_after_a_quiet_hour_the_first_rest_is_short_again(attack_response):
    attacked(attack_response, range(ATTACKS_TO_REST))
    later = FORGIVE_S + 2
    assert attacked(attack_response, (later - 1, later, later + 1))[0].lasts_s == 2 * FIRST_REST_S, "not quite an hour"
    assert attacked(attack_response, [2 * later + i for i in range(ATTACKS_TO_REST)])[0].lasts_s == FIRST_REST_S


def test_attacks_without_a_match_cause_no_rest_and_are_reported(attack_response):
    assert attacked(attack_response, range(ATTACKS_TO_REST), ()) == [FaceRest(None, FIRST_REST_S)]
    assert not attack_response.is_resting(DOOR, ANN, NOW + 3)


def test_one_attack_without_a_match_makes_pad_strict_for_a_while(attack_response):
    assert attack_response.bound(DOOR, 0.5, NOW) == 0.5
    attacked(attack_response, (0,), ())
    assert attack_response.bound(DOOR, 0.5, NOW + STRICT_PAD_S - 1) == pytest.approx(math.sqrt(0.5))
    assert attack_response.bound("second", 0.5, NOW + 1) == 0.5
    assert attack_response.bound(DOOR, 0.5, NOW + STRICT_PAD_S) == 0.5


def test_an_attack_on_a_person_makes_pad_strict_only_after_a_rest(attack_response):
    attacked(attack_response, (0, 1))
    assert attack_response.bound(DOOR, 0.5, NOW + 1) == 0.5
    attacked(attack_response, (2,))
    assert attack_response.bound(DOOR, 0.5, NOW + 3) > 0.5
    assert attack_response.bound(DOOR, 0.5, NOW + 2 + FIRST_REST_S) == 0.5


@given(usual=st.floats(0, 1), at=st.floats() | st.floats(0, 5000))
def test_pad_is_never_looser_than_usual_and_always_satisfiable(usual, at):
    attack_response = AttackResponse()
    attacked(attack_response, range(ATTACKS_TO_REST), ())
    assert usual <= attack_response.bound(DOOR, usual, at) <= 1


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_an_invalid_time_counts_nothing_and_opens_nothing(attack_response, odd):
    assert attack_response.record_attack(DOOR, [ANN], odd) == []
    attacked(attack_response, range(ATTACKS_TO_REST))
    if not odd > 0:
        assert attack_response.is_resting(DOOR, ANN, odd)


class Disk(dict):
    """The attacks that a gate stores: the times at each place. A new `Impostors` begins with them."""

    def __init__(self):
        self.now = NOW

    def begin(self):
        return AttackResponse(lambda place: self.get(place, ()), self.store)

    def store(self, places):
        for place in places:
            self.setdefault(place, []).append(self.now)

    def record_attack(self, attack_response, times, imitated=(ANN,)):
        rests = []
        for at in times:
            self.now = NOW + at
            rests += attack_response.record_attack(DOOR, imitated, self.now)
        return rests


def test_a_restart_between_two_tries_gives_no_extra_tries():
    disk, rests = Disk(), []
    for at in (0, 20, 40):
        rests += disk.record_attack(disk.begin(), [at])
    assert rests == [FaceRest(ANN, FIRST_REST_S)]
    again = disk.begin()
    assert again.is_resting(DOOR, ANN, NOW + 41)
    assert again.bound(DOOR, 0.5, NOW + 41) > 0.5
    assert not again.is_resting(DOOR, BOB, NOW + 41)
    assert not again.is_resting(DOOR, ANN, NOW + 40 + FIRST_REST_S)
    assert disk.record_attack(disk.begin(), (80, 81, 82)) == [FaceRest(ANN, 2 * FIRST_REST_S)], (
        "the next rest is longer as well"
    )


@given(st.lists(st.tuples(st.floats(0.1, 400), st.booleans()), max_size=40))
def test_a_restart_does_not_change_a_rest(steps):
    disk, at = Disk(), 0.0
    whole, often = AttackResponse(), disk.begin()
    for pause_s, is_restarted in steps:
        at += pause_s
        often = disk.begin() if is_restarted else often
        assert disk.record_attack(often, [at]) == whole.record_attack(DOOR, (ANN,), NOW + at)
        assert often.is_resting(DOOR, ANN, NOW + at) == whole.is_resting(DOOR, ANN, NOW + at)


def test_an_attack_that_does_not_count_is_not_stored():
    disk = Disk()
    attack_response = disk.begin()
    disk.record_attack(attack_response, np.arange(0, FIRST_REST_S, 0.01))
    assert {len(times) for times in disk.values()} == {ATTACKS_TO_REST}


def test_memory_is_bounded_and_keeps_the_newest_attacks(attack_response):
    for i in range(3 * MOST_ATTACKED_FACES):
        attack_response.record_attack(DOOR, [SubjectId(f"{i:016x}")], NOW + i / 100)
    assert len(attack_response._faces) <= MOST_ATTACKED_FACES + 1
    attack_response.record_attack(DOOR, [ANN], NOW + 2 * FORGIVE_S)
    assert len(attack_response._faces) == 2, "the face, and the door"


def test_a_flood_of_other_faces_does_not_end_a_rest(attack_response):
    attacked(attack_response, range(ATTACKS_TO_REST))
    for i in range(MOST_ATTACKED_FACES // 2):
        attack_response.record_attack(DOOR, [SubjectId(f"{i:016x}")], NOW + 3 + i / 100)
    assert attack_response.is_resting(DOOR, ANN, NOW + 10)


# -- whose face is imitated --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["active", "suspended"])
def test_an_attack_imitates_the_best_match_above_the_threshold(status):
    near = [Candidate(ANN, "1", 0.8, status), Candidate(BOB, "2", 0.79, "active")]
    assert ANN in judge_look(near, 0.1, RULES).imitated
    assert not judge_look(near, 0.9, RULES).imitated
    assert not judge_look([replace(near[0], score=0.59)], 0.1, RULES).imitated
    assert not judge_look([], 0.1, RULES).imitated


@pytest.mark.parametrize("household", ["1", "2"])
def test_an_attack_counts_against_every_person_that_it_matches(household):
    """A print of one of two near-twins can pass as the other in the next look."""
    near = Candidate(ANN, "1", 0.8, "active")
    assert judge_look([near, Candidate(BOB, household, 0.76, "active")], 0.1, RULES).imitated == {ANN, BOB}
    assert judge_look([near, Candidate(BOB, household, 0.74, "active")], 0.1, RULES).imitated == {ANN}
    low = [replace(near, score=0.62), Candidate(BOB, household, 0.59, "active")]
    assert judge_look(low, 0.1, RULES).imitated == {ANN}


@pytest.fixture
def visits():
    vectors = np.eye(2, 4, dtype=np.float32)
    index = Index([Row(ANN, "1", "active", vectors[0]), Row(BOB, "2", "active", vectors[1])], 4)
    return Visits(lambda probe: index.search(probe, 5), 4, RULES)


def shown(visits, *looks, track=1):
    """Return the outcome of a visit with these looks, each a pair of axis (one of four) and PAD score."""
    for i, (axis, pad_score) in enumerate(looks):
        vector = np.eye(4, dtype="<f4")[axis].tobytes()
        at = NOW + i / 10
        seen = Observation(track, i, at, (9, 9, 9, 9), 0.9, pad_score=pad_score, embedding=vector)
        if outcome := visits.observe(seen, at):
            return outcome
    return visits.end(track, NOW + 1)


def test_an_outcome_names_the_imitated_person(visits):
    outcome = shown(visits, (0, 0.1), (0, 0.1), (0, 0.1))
    assert (outcome.decision.reason, outcome.imitated, outcome.is_attack) == (FaceReason.ATTACK, {ANN}, True)
    outcome = shown(visits, (3, 0.1), (3, 0.1), (3, 0.1), track=2)
    assert (outcome.decision.reason, outcome.imitated, outcome.is_attack) == (FaceReason.ATTACK, set(), True)


def test_an_impostor_who_leaves_before_the_decision_still_counts(visits):
    outcome = shown(visits, (0, 0.9), (0, 0.1), (0, 0.9), (0, 0.9))
    assert not outcome.decision.grant
    assert outcome.decision.reason is FaceReason.UNDECIDED
    assert (outcome.imitated, outcome.is_attack) == ({ANN}, True)


def test_a_granted_visit_is_not_an_attack(visits):
    outcome = shown(visits, (0, 0.1), *[(0, 0.9)] * 5)
    assert outcome.decision.grant
    assert not outcome.is_attack


def test_one_odd_look_at_a_stranger_does_not_make_pad_strict(visits):
    outcome = shown(visits, (3, 0.9), (3, 0.1), (3, 0.9))
    assert outcome.decision.reason is FaceReason.UNKNOWN
    assert not outcome.is_attack


def test_the_current_bound_applies(visits):
    strict = Visits(visits._search, 4, RULES, bound=lambda usual, now: 0.7)
    assert shown(strict, *[(0, 0.6)] * 6).decision.reason is FaceReason.UNDECIDED
    assert shown(strict, *[(0, 0.8)] * 6, track=2).decision.grant


@pytest.mark.parametrize("axis", [0, 3])
def test_a_strict_bound_does_not_turn_a_living_face_into_an_attack(visits, axis):
    """Otherwise one print of nobody starts an endless strict time: each resident with a low PAD score prolongs it, and
    is counted as an attack on their own face.
    """
    strict = Visits(visits._search, 4, RULES, bound=lambda usual, now: 0.7)
    assert not shown(strict, *[(axis, 0.6)] * 3).is_attack
    assert shown(strict, *[(axis, 0.4)] * 3, track=2).is_attack


@pytest.mark.parametrize(("pad_score", "looks"), [(0.6, 0), (0.8, RULES.frames)])
def test_the_current_bound_applies_to_a_face_shown_with_a_card(visits, pad_score, looks):
    """A look that passes only the normal threshold could confirm a pending face of another person."""
    strict = Visits(visits._search, 4, RULES, bound=lambda usual, now: 0.7)
    for i in range(5):
        face = np.eye(4, dtype="<f4")[3].tobytes()
        at = NOW + i / 10
        strict.observe(Observation(1, i, at, (9, 9, 9, 9), 0.9, pad_score=pad_score, embedding=face), at)
    assert len(strict.recent_good_looks(NOW + 0.5)) == looks

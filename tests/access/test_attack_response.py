"""Presentation attacks with prints: the imitated face rests for a while, and all other faces keep working."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.access.attack_response import (
    FIRST_S,
    MOST_REMEMBERED,
    MOST_S,
    QUIET_S,
    STRICT_S,
    VISITS,
    VISITS_AN_HOUR,
    WITHIN_S,
    Impostors,
    Rest,
)
from gated.access.face_policy import Reason, Rules, judge
from gated.access.visits import Visits
from gated.face.vision_messages import Observation
from gated.gallery.search import Candidate, Index, Row
from gated.types import SubjectId

ANN, BOB = SubjectId("a" * 16), SubjectId("b" * 16)
DOOR, NOW = "main", 1000.0
RULES = Rules(threshold=0.6, pad_threshold=0.5, margin=0.05, frames=3, give_up_s=3.0, max_frame_age_s=1.0)


def attacked(impostors, times, imitated=(ANN,), door=DOOR):
    """Return the rests that start when these subjects are attacked at these times."""
    return [rest for at in times for rest in impostors.attacked(door, imitated, NOW + at)]


@pytest.fixture
def impostors():
    return Impostors()


def test_a_face_rests_after_three_attacks_within_a_minute(impostors):
    assert attacked(impostors, (0, 29)) == []
    assert not impostors.is_resting(DOOR, ANN, NOW + 29)
    assert attacked(impostors, (58,)) == [Rest(ANN, FIRST_S)]
    assert impostors.is_resting(DOOR, ANN, NOW + 58 + FIRST_S - 0.1)
    assert not impostors.is_resting(DOOR, ANN, NOW + 58 + FIRST_S)


def test_a_few_attacks_that_are_further_apart_rest_nothing(impostors):
    apart = [i * (WITHIN_S / 2 + 1) for i in range(50)]
    assert attacked(impostors, apart[: VISITS_AN_HOUR - 1]) == []
    assert attacked(Impostors(), [i * QUIET_S / (VISITS_AN_HOUR - 1.5) for i in range(50)]) == []
    assert {rest.subject for rest in attacked(impostors, apart, ())} == {None}, "no face rests"


def test_whoever_waits_between_tries_has_no_more_than_a_few_an_hour(impostors):
    """Try as often as possible for a day, but never three times within a minute, and not while the face rests."""
    tries, now = 0, 0.0
    while now < 24 * QUIET_S:
        if not impostors.is_resting(DOOR, ANN, NOW + now):
            impostors.attacked(DOOR, (ANN,), NOW + now)
            tries += 1
        now += WITHIN_S / 2 + 1
    assert tries / 24 <= 21


def test_nobody_elses_face_rests_and_none_at_another_door(impostors):
    attacked(impostors, range(VISITS))
    assert impostors.is_resting(DOOR, ANN, NOW + 3)
    assert not impostors.is_resting(DOOR, BOB, NOW + 3)
    assert not impostors.is_resting("second", ANN, NOW + 3)


def test_attacks_on_different_people_never_add_up_to_a_rest_but_make_pad_strict(impostors):
    people = [SubjectId(f"{i:016x}") for i in range(20)]
    rests = [rest for at, who in enumerate(people) for rest in attacked(impostors, (at, at + 0.5), [who])]
    assert rests == [Rest(None, FIRST_S)], "the alarm comes once"
    assert not any(impostors.is_resting(DOOR, who, NOW + 20) for who in people)
    assert impostors.bound(DOOR, 0.5, NOW + 20) > 0.5


def test_whoever_rotates_pictures_of_a_whole_courtyard_has_few_tries_at_the_usual_bound():
    """Show a print of another resident for a day: no face reaches its own limit soon."""
    for pause_s, most_an_hour in ((11, 16), (31, 36)):
        impostors, tries = Impostors(), 0
        for i, at in enumerate(range(0, int(24 * QUIET_S), pause_s)):
            tries += impostors.bound(DOOR, 0.5, NOW + at) == 0.5
            attacked(impostors, [at], [SubjectId(f"{i % 500:016x}")])
        assert tries / 24 <= most_an_hour, f"a try every {pause_s} s"


def test_a_print_of_two_people_rests_both(impostors):
    assert {rest.subject for rest in attacked(impostors, range(VISITS), [ANN, BOB])} == {ANN, BOB}


def test_each_rest_is_twice_as_long_up_to_a_quarter_of_an_hour(impostors):
    at, lasts = NOW, []
    for _ in range(8):
        (rest,) = [rest for i in range(VISITS) for rest in impostors.attacked(DOOR, [ANN], at + i)]
        lasts.append(rest.lasts_s)
        at += VISITS + rest.lasts_s
    assert lasts == [30, 60, 120, 240, 480, 900, 900, 900]
    assert (lasts[0], lasts[-1]) == (FIRST_S, MOST_S)


def test_what_is_tried_while_the_face_rests_lengthens_nothing_and_is_told_no_more(impostors):
    attacked(impostors, range(VISITS))
    assert attacked(impostors, np.arange(VISITS, 30, 0.5)) == []
    assert not impostors.is_resting(DOOR, ANN, NOW + 2 + FIRST_S)


def test_after_a_quiet_hour_the_first_rest_is_short_again(impostors):
    attacked(impostors, range(VISITS))
    later = QUIET_S + 2
    assert attacked(impostors, (later - 1, later, later + 1))[0].lasts_s == 2 * FIRST_S, "not quite an hour"
    assert attacked(impostors, [2 * later + i for i in range(VISITS)])[0].lasts_s == FIRST_S


def test_attacks_that_look_like_nobody_rest_nobody_and_are_told(impostors):
    assert attacked(impostors, range(VISITS), ()) == [Rest(None, FIRST_S)]
    assert not impostors.is_resting(DOOR, ANN, NOW + 3)


def test_one_attack_that_looks_like_nobody_makes_pad_strict_for_a_while(impostors):
    assert impostors.bound(DOOR, 0.5, NOW) == 0.5
    attacked(impostors, (0,), ())
    assert impostors.bound(DOOR, 0.5, NOW + STRICT_S - 1) == pytest.approx(math.sqrt(0.5))
    assert impostors.bound("second", 0.5, NOW + 1) == 0.5
    assert impostors.bound(DOOR, 0.5, NOW + STRICT_S) == 0.5


def test_an_attack_on_somebody_makes_pad_no_stricter_for_their_next_try_but_a_rest_does(impostors):
    attacked(impostors, (0, 1))
    assert impostors.bound(DOOR, 0.5, NOW + 1) == 0.5
    attacked(impostors, (2,))
    assert impostors.bound(DOOR, 0.5, NOW + 3) > 0.5
    assert impostors.bound(DOOR, 0.5, NOW + 2 + FIRST_S) == 0.5


@given(usual=st.floats(0, 1), at=st.floats() | st.floats(0, 5000))
def test_whatever_the_time_pad_is_never_looser_and_can_be_reached(usual, at):
    impostors = Impostors()
    attacked(impostors, range(VISITS), ())
    assert usual <= impostors.bound(DOOR, usual, at) <= 1


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_time_that_is_none_counts_nothing_and_opens_nothing(impostors, odd):
    assert impostors.attacked(DOOR, [ANN], odd) == []
    attacked(impostors, range(VISITS))
    if not odd > 0:
        assert impostors.is_resting(DOOR, ANN, odd)


class Disk(dict):
    """The attacks that a gate stores: the times at each place. A new `Impostors` begins with them."""

    def __init__(self):
        self.now = NOW

    def begin(self):
        return Impostors(lambda place: self.get(place, ()), self.store)

    def store(self, places):
        for place in places:
            self.setdefault(place, []).append(self.now)

    def attacked(self, impostors, times, imitated=(ANN,)):
        rests = []
        for at in times:
            self.now = NOW + at
            rests += impostors.attacked(DOOR, imitated, self.now)
        return rests


def test_a_restart_between_two_tries_gives_no_tries_back():
    disk, rests = Disk(), []
    for at in (0, 20, 40):
        rests += disk.attacked(disk.begin(), [at])
    assert rests == [Rest(ANN, FIRST_S)]
    again = disk.begin()
    assert again.is_resting(DOOR, ANN, NOW + 41)
    assert again.bound(DOOR, 0.5, NOW + 41) > 0.5
    assert not again.is_resting(DOOR, BOB, NOW + 41)
    assert not again.is_resting(DOOR, ANN, NOW + 40 + FIRST_S)
    assert disk.attacked(disk.begin(), (80, 81, 82)) == [Rest(ANN, 2 * FIRST_S)], "the next rest is longer as well"


@given(st.lists(st.tuples(st.floats(0.1, 400), st.booleans()), max_size=40))
def test_restarts_change_no_rest(steps):
    disk, at = Disk(), 0.0
    whole, often = Impostors(), disk.begin()
    for pause_s, is_restarted in steps:
        at += pause_s
        often = disk.begin() if is_restarted else often
        assert disk.attacked(often, [at]) == whole.attacked(DOOR, (ANN,), NOW + at)
        assert often.is_resting(DOOR, ANN, NOW + at) == whole.is_resting(DOOR, ANN, NOW + at)


def test_an_attack_that_does_not_count_is_not_stored():
    disk = Disk()
    impostors = disk.begin()
    disk.attacked(impostors, np.arange(0, FIRST_S, 0.01))
    assert {len(times) for times in disk.values()} == {VISITS}


def test_memory_has_an_end_and_keeps_what_was_attacked_last(impostors):
    for i in range(3 * MOST_REMEMBERED):
        impostors.attacked(DOOR, [SubjectId(f"{i:016x}")], NOW + i / 100)
    assert len(impostors._faces) <= MOST_REMEMBERED + 1
    impostors.attacked(DOOR, [ANN], NOW + 2 * QUIET_S)
    assert len(impostors._faces) == 2, "the face, and the door"


def test_a_flood_of_other_faces_does_not_end_a_rest(impostors):
    attacked(impostors, range(VISITS))
    for i in range(MOST_REMEMBERED // 2):
        impostors.attacked(DOOR, [SubjectId(f"{i:016x}")], NOW + 3 + i / 100)
    assert impostors.is_resting(DOOR, ANN, NOW + 10)


# -- whose face is imitated --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["active", "suspended"])
def test_an_attack_imitates_the_best_match_above_the_threshold(status):
    near = [Candidate(ANN, "1", 0.8, status), Candidate(BOB, "2", 0.79, "active")]
    assert ANN in judge(near, 0.1, RULES).imitated
    assert not judge(near, 0.9, RULES).imitated
    assert not judge([replace(near[0], score=0.59)], 0.1, RULES).imitated
    assert not judge([], 0.1, RULES).imitated


@pytest.mark.parametrize("household", ["1", "2"])
def test_an_attack_imitates_everybody_whom_the_picture_could_pass_as(household):
    """A print of one of two near-twins can pass as the other in the next look."""
    near = Candidate(ANN, "1", 0.8, "active")
    assert judge([near, Candidate(BOB, household, 0.76, "active")], 0.1, RULES).imitated == {ANN, BOB}
    assert judge([near, Candidate(BOB, household, 0.74, "active")], 0.1, RULES).imitated == {ANN}
    low = [replace(near, score=0.62), Candidate(BOB, household, 0.59, "active")]
    assert judge(low, 0.1, RULES).imitated == {ANN}


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


def test_an_outcome_says_whom_the_attack_looked_like(visits):
    outcome = shown(visits, (0, 0.1), (0, 0.1), (0, 0.1))
    assert (outcome.decision.reason, outcome.imitated, outcome.is_attack) == (Reason.ATTACK, {ANN}, True)
    outcome = shown(visits, (3, 0.1), (3, 0.1), (3, 0.1), track=2)
    assert (outcome.decision.reason, outcome.imitated, outcome.is_attack) == (Reason.ATTACK, set(), True)


def test_an_impostor_who_leaves_before_the_decision_has_tried_as_well(visits):
    outcome = shown(visits, (0, 0.9), (0, 0.1), (0, 0.9), (0, 0.9))
    assert not outcome.decision.grant
    assert outcome.decision.reason is Reason.UNDECIDED
    assert (outcome.imitated, outcome.is_attack) == ({ANN}, True)


def test_who_is_let_in_was_no_attack(visits):
    outcome = shown(visits, (0, 0.1), (0, 0.9), (0, 0.9), (0, 0.9))
    assert outcome.decision.grant
    assert not outcome.is_attack


def test_a_stranger_of_whom_one_look_was_odd_makes_nothing_strict(visits):
    outcome = shown(visits, (3, 0.9), (3, 0.1), (3, 0.9))
    assert outcome.decision.reason is Reason.UNKNOWN
    assert not outcome.is_attack


def test_the_bound_of_the_moment_counts(visits):
    strict = Visits(visits._search, 4, RULES, bound=lambda usual, now: 0.7)
    assert shown(strict, *[(0, 0.6)] * 3).decision.reason is Reason.UNDECIDED
    assert shown(strict, *[(0, 0.8)] * 3, track=2).decision.grant


@pytest.mark.parametrize("axis", [0, 3])
def test_a_strict_bound_makes_an_attack_of_no_living_face(visits, axis):
    """Otherwise one print of nobody starts an endless strict time: each resident with a low PAD score prolongs it, and
    is counted as an attack on their own face.
    """
    strict = Visits(visits._search, 4, RULES, bound=lambda usual, now: 0.7)
    assert not shown(strict, *[(axis, 0.6)] * 3).is_attack
    assert shown(strict, *[(axis, 0.4)] * 3, track=2).is_attack


@pytest.mark.parametrize(("pad_score", "looks"), [(0.6, 0), (0.8, RULES.frames)])
def test_the_bound_of_the_moment_counts_for_a_face_that_is_shown_with_a_card(visits, pad_score, looks):
    """A look that passes only the normal threshold could confirm a pending face of another person."""
    strict = Visits(visits._search, 4, RULES, bound=lambda usual, now: 0.7)
    for i in range(5):
        face = np.eye(4, dtype="<f4")[3].tobytes()
        at = NOW + i / 10
        strict.observe(Observation(1, i, at, (9, 9, 9, 9), 0.9, pad_score=pad_score, embedding=face), at)
    assert len(strict.shown(NOW + 0.5)) == looks

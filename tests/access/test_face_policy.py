"""The policy gives one verdict per frame and one decision per visit. Every invalid input denies."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gated.access.face_evidence import LOOK_SLACK
from gated.access.face_policy import FaceReason, FaceRules, LookVerdict, Recognition, decide_visit, judge_look
from gated.gallery.search import Candidate

RULES = FaceRules(threshold=0.42, pad_threshold=0.5, margin=0.05, frames=3, give_up_s=3.0, max_frame_age_s=1.0)


def candidate(subject="a", score=0.7, household="1", status="active"):
    return Candidate(subject=subject, household=household, score=score, status=status)


def match(subject="a", score=0.7, pad_score=0.9):
    clear = subject if score >= RULES.threshold + LOOK_SLACK else None
    return LookVerdict(FaceReason.MATCH, subject, score, pad_score, supported=subject, clear=clear)


def decided(verdicts, waited_s=0.2, is_over=False, *, visit=None, run=None, **how):
    """Return the decision about a visit. `visit`: its verdict with the score of the visit. `run`: the looks that agree,
    the last ones. Without them: the last verdict, and all looks.
    """
    looks = verdicts[-run:] if run else verdicts
    recognition = Recognition(visit or verdicts[-1], looks) if verdicts else None
    return decide_visit(verdicts, waited_s, is_over, RULES, recognition=recognition, **how)


def test_an_enrolled_person_matches():
    assert judge_look([candidate()], 0.9, RULES) == match()


def test_a_score_at_the_threshold_matches_and_one_below_does_not():
    assert judge_look([candidate(score=0.42)], 0.9, RULES).reason is FaceReason.MATCH
    assert judge_look([candidate(score=math.nextafter(0.42, 0))], 0.9, RULES).reason is FaceReason.UNKNOWN


def test_an_empty_gallery_knows_nobody():
    assert judge_look([], 0.9, RULES).reason is FaceReason.UNKNOWN


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_nan_score_never_opens(odd):
    assert judge_look([candidate(score=odd)], 0.9, RULES).reason is FaceReason.ODD
    assert judge_look([candidate()], odd, RULES).reason is FaceReason.ODD


def test_a_face_without_a_pad_score_is_odd():
    assert judge_look([candidate()], None, RULES).reason is FaceReason.ODD


def test_a_picture_of_somebody_enrolled_is_an_attack():
    assert judge_look([candidate(score=0.99)], 0.34, RULES).reason is FaceReason.ATTACK


def test_a_suspended_person_is_known_and_denied():
    verdict = judge_look([candidate(status="suspended")], 0.9, RULES)
    assert (verdict.reason, verdict.subject) == (FaceReason.SUSPENDED, "a")


def test_an_unheard_of_status_is_odd():
    assert judge_look([candidate(status="resident")], 0.9, RULES).reason is FaceReason.ODD


def test_two_households_that_look_alike_are_ambiguous():
    near = [candidate("a", 0.7, "1"), candidate("b", 0.66, "2")]
    assert judge_look(near, 0.9, RULES).reason is FaceReason.AMBIGUOUS


def test_twins_of_one_household_share_a_door():
    near = [candidate("a", 0.7, "1"), candidate("b", 0.69, "1"), candidate("c", 0.3, "2")]
    assert judge_look(near, 0.9, RULES).reason is FaceReason.MATCH


def test_a_suspended_twin_is_not_let_in_as_the_other_one():
    near = [candidate("a", 0.7, "1"), candidate("b", 0.69, "1", "suspended")]
    assert judge_look(near, 0.9, RULES).reason is FaceReason.AMBIGUOUS


def test_a_grant_has_the_score_of_the_visit_and_the_lowest_pad_score_of_its_last_looks():
    verdicts = [match(pad_score=0.8), match(score=0.8, pad_score=0.95), match(score=0.5), match(pad_score=0.85)]
    decision = decided(verdicts, visit=match(score=0.66))
    assert (decision.grant, decision.subject, decision.score, decision.pad_score) == (True, "a", 0.66, 0.85)


def doubted(subject="a", score=0.7, pad_score=0.4):
    return judge_look([candidate(subject, score)], pad_score, RULES)


def test_one_frame_with_a_low_pad_score_costs_frames_and_no_entry():
    assert doubted().reason is FaceReason.ATTACK
    verdicts = [match(), doubted(), match()]
    assert decided(verdicts) is None
    decision = decided([*verdicts, *[match()] * 3])
    assert (decision.grant, decision.subject) == (True, "a")


def test_frames_with_low_pad_scores_of_two_people_do_not_agree():
    assert decided([*[match("b")] * 4, match(), doubted("b"), match()]) is None


def test_motion_as_a_plane_refuses_a_doubtful_visit_and_no_clear_one():
    doubtful = [match(pad_score=0.75)] * 6
    assert decided(doubtful).grant
    decision = decided(doubtful, plane=-2.0)
    assert (decision.grant, decision.reason) == (False, FaceReason.ATTACK)
    assert decided([match(pad_score=0.999)] * 3, plane=-2.0).grant


def unsure(score, subject="a"):
    """Return the verdict of a look below the threshold."""
    return judge_look([candidate(subject, score)], 0.9, RULES)


def test_a_look_a_little_below_the_threshold_supports_the_visit():
    verdicts = [match(), match(), unsure(RULES.threshold - LOOK_SLACK + 0.01)]
    assert verdicts[-1].reason is FaceReason.UNKNOWN
    assert decided(verdicts, visit=match(score=0.6)).grant


@pytest.mark.parametrize("place", range(3))
def test_one_look_far_below_the_threshold_never_opens_whatever_the_score_of_the_visit(place):
    verdicts = [match(), match(), match()]
    verdicts[place] = unsure(RULES.threshold - LOOK_SLACK - 0.01)
    assert decided(verdicts, visit=match(score=0.9)) is None


def test_a_visit_below_the_threshold_never_opens():
    assert decided([match()] * 3, visit=unsure(RULES.threshold - 0.001)) is None


def test_a_visit_without_recognition_never_opens():
    assert decide_visit([match()] * 9, 0.2, False, RULES) is None


def test_good_pad_scores_of_an_earlier_face_open_for_nobody():
    """The looks that agree must be bona fide by themselves too."""
    before = [match("b", pad_score=0.999)] * 6
    after = [doubted(pad_score=0.35)] * 3
    assert decided([*before, *after], visit=doubted(), run=3) is None
    assert decided([*before, *[match()] * 3], run=3).grant


def test_a_person_with_a_threshold_of_their_own_needs_it_in_the_visit_and_nearly_in_each_look():
    own = {"a": 0.7}
    assert judge_look([candidate(score=0.69)], 0.9, RULES, own=own).named is None
    assert judge_look([candidate(score=0.69)], 0.3, RULES, own=own).named is None, "also a doubtful look"
    assert judge_look([candidate(score=0.69)], 0.9, RULES, own=own).supported == "a"
    assert judge_look([candidate(score=0.59)], 0.9, RULES, own=own).supported is None
    assert judge_look([candidate(score=0.7)], 0.9, RULES, own=own).named == "a"
    assert judge_look([candidate("b", 0.5)], 0.9, RULES, own=own).named == "b"


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_an_own_threshold_that_is_no_number_never_opens(odd):
    verdict = judge_look([candidate(score=1.0)], 0.9, RULES, own={"a": odd})
    assert (verdict.named, verdict.supported) == (None, None)


def test_a_look_that_is_not_clearly_ahead_supports_nobody():
    assert judge_look([candidate(score=0.7), candidate("b", 0.66, "2")], 0.9, RULES).supported is None
    assert judge_look([candidate(score=0.7, status="suspended")], 0.9, RULES).supported is None


@given(st.lists(st.sampled_from([None, 0.1, 0.4, 0.6, 0.9, 1.0]), max_size=9), st.none() | st.floats())
def test_a_suspended_person_is_never_granted_by_pad(pads, plane):
    looks = [judge_look([candidate("a", 0.9, "1", "suspended")], pad, RULES) for pad in pads]
    decision = decided(looks, 9.0, True, plane=plane)
    assert decision is None or not decision.grant


def test_fewer_frames_than_asked_for_decide_nothing():
    assert decided([match(), match()]) is None
    assert decided([match()] * 5, run=2) is None


def test_frames_that_name_two_people_do_not_agree():
    assert decided([match("a"), match("b"), match("a")]) is None


def test_one_bad_frame_starts_the_count_again():
    verdicts = [match(), match(), unsure(0.2), match(), match()]
    assert decided(verdicts) is None
    assert decided([*verdicts, match()]).grant


def test_a_stranger_is_refused_when_the_time_is_up():
    strangers = [LookVerdict(FaceReason.UNKNOWN, score=0.1, pad_score=0.9)] * 10
    assert decide_visit(strangers, 2.9, False, RULES) is None
    decision = decide_visit(strangers, 3.0, False, RULES)
    assert (decision.grant, decision.reason, decision.frames) == (False, FaceReason.UNKNOWN, 10)


def test_a_face_that_leaves_undecided_is_denied():
    assert decide_visit([match()], 0.1, True, RULES).reason is FaceReason.UNDECIDED


def test_a_face_without_a_look_gives_no_decision():
    assert decide_visit([], 10.0, True, RULES) is None


def test_as_many_clear_attacks_as_frames_end_the_visit_at_once():
    attack = LookVerdict(FaceReason.ATTACK, score=0.9, pad_score=0.01)
    assert decide_visit([attack, attack, attack], 0.5, False, RULES).reason is FaceReason.ATTACK


def test_a_tie_of_reasons_gives_the_more_helpful_reason():
    verdicts = [LookVerdict(FaceReason.POOR_QUALITY), LookVerdict(FaceReason.SUSPENDED, "a", 0.7, 0.9)]
    decision = decide_visit(verdicts, 5.0, False, RULES)
    assert (decision.reason, decision.subject) == (FaceReason.SUSPENDED, "a")


def test_time_that_is_no_number_does_not_wait_for_ever():
    assert decide_visit([match()], math.nan, False, RULES) is not None


numbers = st.floats(allow_nan=True, allow_infinity=True, width=32)
candidates = st.builds(
    candidate, st.sampled_from("abc"), numbers, st.sampled_from("12"), st.sampled_from(["active", "suspended", "", "x"])
)


@given(st.lists(candidates, max_size=3), st.none() | numbers)
def test_only_a_finite_score_above_every_threshold_ever_matches(found, pad_score):
    verdict = judge_look(found, pad_score, RULES)
    if verdict.reason is FaceReason.MATCH:
        assert found[0].status == "active"
        assert math.isfinite(found[0].score)
        assert found[0].score >= RULES.threshold
        assert math.isfinite(pad_score)
        assert pad_score >= RULES.pad_threshold


verdicts = st.builds(
    LookVerdict,
    st.sampled_from(FaceReason),
    st.sampled_from(["a", "b", None]),
    st.none() | numbers,
    st.none() | numbers,
    doubted=st.sampled_from(["a", "b", None]),
    supported=st.sampled_from(["a", "b", None]),
)


@given(st.lists(verdicts, max_size=8), verdicts, st.integers(0, 8), numbers, st.booleans())
def test_a_grant_always_rests_on_the_visit_and_on_the_last_frames_all_supporting_one_subject(
    seen, visit, run, waited_s, is_over
):
    decision = decided(seen, waited_s, is_over, visit=visit, run=run)
    if decision is not None and decision.grant:
        recent = (seen[-run:] if run else seen)[-RULES.frames :]
        assert len(recent) == RULES.frames
        assert {v.supported for v in recent} == {decision.subject}
        assert visit.named == decision.subject


@given(st.lists(candidates, max_size=3), st.none() | numbers, st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_never_names_or_supports_more(found, pad_score, one, other):
    low, high = (judge_look(found, pad_score, replace(RULES, threshold=t)) for t in sorted((one, other)))
    assert high.named in (None, low.named)
    assert high.supported in (None, low.supported)

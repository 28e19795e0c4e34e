"""A face shows the looking cue at once, and gets guidance if it stays unusable. Other people get no cue."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated import events
from gated.access.pad_evidence import TRUNCATED_AFTER
from gated.cues.cue import GUIDANCE
from gated.cues.guidance import (
    ANNOUNCE_AGAIN_S,
    FACE_S,
    GUIDED_S,
    OFFER_AFTER_S,
    OFFERED_S,
    STANDS_S,
    UNUSABLE_S,
    apply_sight,
)
from gated.cues.scene import Scene, Sight, next_end, shown_situation
from gated.cues.scene_events import apply_event

FRAME_S = 0.1


def face(problem=None, x=0.5, size=1.2, pitch=0.0, track=1, fill=0.5):
    return Sight(track, problem, x, size, pitch, fill)


def watched(sights, scene=None, now=0.0):
    """Return the scene after sights, one per frame, and the time of the last."""
    scene = Scene() if scene is None else scene
    for sight in sights:
        now += FRAME_S
        scene = apply_sight(scene, sight, now)
    return scene, now


def shown_after(*sights, **more):
    scene, now = watched(sights, **more)
    return shown_situation(scene, now).situation


def test_the_first_sight_of_a_face_is_shown_at_once():
    assert shown_after(face()) == "looking"
    assert shown_after(face("blurred")) == "looking"


def test_a_face_that_left_ends_the_looking_cue():
    scene, now = watched([face()])
    assert next_end(scene, now) == now + FACE_S
    assert shown_situation(scene, now + FACE_S).situation == "idle"


def test_many_frames_of_a_face_start_the_cue_once():
    scene, now = watched([face()])
    more, later = watched([face()] * 30, scene, now)
    assert shown_situation(more, later) == shown_situation(scene, now)


@pytest.mark.parametrize(
    "sight",
    [face("background"), face("too_small", size=0.3), face(size=float("nan")), face(x=float("nan")), face(x=1e999)],
)
def test_a_person_who_walks_by_gets_no_cue(sight):
    assert shown_after(*[sight] * 30) == "idle"


@pytest.mark.parametrize(
    ("sight", "situation"),
    [
        (face("too_small", size=0.7), "closer"),
        (face("too_near", size=9, fill=1.01), "back"),
        (face("too_near", size=9, fill=2.5, x=0.1), "back"),
        (face("too_near", x=0.05), "left"),
        (face("too_near", x=0.95), "right"),
        (face("too_near", x=0.5), "back"),
        (face("turned_away", x=0.1), "left"),
        (face("turned_away", x=0.9), "right"),
        (face("blurred", x=0.2), "left"),
        (face("turned_away", pitch=-40), "up"),
        (face("turned_away", pitch=40), "down"),
    ],
)
def test_a_face_that_stays_unusable_is_guided(sight, situation):
    frames = round(UNUSABLE_S / FRAME_S) + 1
    assert shown_after(*[sight] * (frames - 1)) == "looking"
    assert shown_after(*[sight] * (frames + 1)) == situation


def test_a_person_at_the_left_of_the_picture_is_guided_to_their_own_left():
    assert shown_after(*[face("blurred", x=0.1)] * 10) == "left"


def test_the_ticks_are_slower_the_farther_a_person_must_move_back():
    nearness = [face("too_near", size=9, fill=fill).nearness for fill in (0.5, 1.0, 1.3, 1.8, 2.0, 9.0)]
    assert nearness[:2] == [1.0, 1.0]
    assert nearness[1:] == sorted(nearness[1:], reverse=True)
    assert nearness[-1] == 0


def test_a_person_who_moved_back_enough_is_not_guided():
    scene, now = watched([face("too_near", size=9, fill=1.5)] * 10)
    assert shown_situation(scene, now).situation == "back"
    assert shown_after(face(), scene=scene, now=now) == "looking"


@pytest.mark.parametrize("problem", ["blurred", "too_dark", "too_bright", "uneven_light", "turned_away"])
def test_a_problem_without_guidance_shows_only_looking(problem):
    assert shown_after(*[face(problem)] * 30) == "looking"


def test_a_face_that_becomes_usable_ends_the_guidance():
    scene, now = watched([face("blurred", x=0.1)] * 12)
    assert shown_situation(scene, now).situation == "left"
    assert shown_after(face(), scene=scene, now=now) == "looking"


def test_one_usable_frame_restarts_the_wait_for_guidance():
    bad = [face("blurred", x=0.1)] * 6
    assert shown_after(*bad, face(), *bad) == "looking"


def test_one_guidance_lasts_before_another_may_follow():
    scene, now = watched([face("too_small", size=0.7)] * 10)
    began = shown_situation(scene, now)
    flickering, later = watched([face("blurred", x=0.1), face("too_small", size=0.7)] * 8, scene, now)
    assert shown_situation(flickering, later) == began


def test_another_guidance_follows_after_the_first():
    scene, now = watched([face("too_small", size=0.7)] * 10)
    frames = round(GUIDED_S / FRAME_S) + 2
    assert shown_after(*[face("blurred", x=0.9)] * frames, scene=scene, now=now) == "right"


def test_guidance_ends_soon_after_the_face_has_left():
    scene, now = watched([face("too_small", size=0.7)] * 10)
    assert shown_situation(scene, now + GUIDED_S).situation == "idle"


DENIED = events.AccessDenied("v", "unknown", 0.4, 9, 3, 0.1)
GRANTED = events.AccessGranted("v", "00", 0.6, 0.4, 9, 0.9, 3, "ab", 0.1)


@pytest.mark.parametrize("decided", [DENIED, GRANTED])
def test_after_a_decision_the_same_face_gets_no_looking_cue(decided):
    scene, now = watched([face()] * 5)
    scene = apply_event(scene, decided, now)
    scene, now = watched([face("blurred", x=0.1)] * 300, scene, now)
    assert shown_situation(scene, now).situation == "idle"


def test_a_person_who_only_stands_there_gets_no_more_cues():
    scene, now = watched([face("too_small", size=0.7)] * round(STANDS_S / FRAME_S))
    assert shown_situation(scene, now).situation == "closer"
    scene, now = watched([face("too_small", size=0.7)] * 50, scene, now)
    assert shown_situation(scene, now).situation == "idle"
    assert shown_after(face("too_small", size=0.7), scene=scene, now=now + FACE_S + 1) == "looking"


def test_a_person_who_comes_back_gets_cues_again():
    scene, now = watched([face()] * 5)
    scene = apply_event(scene, DENIED, now)
    assert shown_after(face(track=2), scene=scene, now=now + 20) == "looking"
    assert shown_after(face(track=1), scene=scene, now=now + 20) == "looking"


def test_the_next_person_gets_cues_while_the_first_still_stands_there():
    scene, now = watched([face()] * 5)
    scene = apply_event(scene, GRANTED, now)
    scene, now = watched([face(), face(track=2, size=1.5)], scene, now)
    assert shown_situation(scene, now).situation == "looking"


def test_the_nearest_face_is_guided():
    near, behind = face(size=1.5), face("blurred", x=0.1, size=0.9, track=2)
    assert shown_after(*[near, behind] * 15) == "looking"


def test_a_lasting_situation_is_announced_to_people_who_arrive_but_not_too_often():
    scene = apply_event(Scene(), events.Lockdown("server"), 0.0)
    first = shown_situation(scene, 0.0)
    scene, now = watched([face(track=1)], scene, 1.0)
    assert shown_situation(scene, now) == first, "it was announced a moment ago"
    scene, now = watched([face(track=2)], scene, ANNOUNCE_AGAIN_S + 5)
    again = shown_situation(scene, now)
    assert again.situation == "lockdown"
    assert again != first
    scene, now = watched([face(track=3)], scene, now + FACE_S + 1)
    assert shown_situation(scene, now) == again


def test_a_situation_that_is_over_is_not_announced_again():
    scene = apply_event(Scene(), DENIED, 0.0)
    scene, now = watched([face(track=2)], scene, 100.0)
    assert shown_situation(scene, now).situation == "looking"


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-1, 2))
def test_nearness_is_between_0_and_1(size, other, x):
    assert 0 <= face(size=size, x=x).nearness <= 1
    if size <= other:
        assert face(size=size, x=x).nearness <= face(size=other, x=x).nearness


def test_nearness_is_1_only_in_the_middle_and_large_enough():
    assert face(size=1.0, x=0.5).nearness == 1
    assert face(size=0.6, x=0.5).nearness == pytest.approx(0.2)
    assert face(size=2.0, x=0.05).nearness == pytest.approx(0.1)


@given(
    st.lists(
        st.builds(
            face,
            st.sampled_from([None, "too_small", "blurred", "turned_away"]),
            st.floats(0, 1),
            st.floats(0.5, 2),
            st.floats(-90, 90),
        ),
        max_size=60,
    )
)
def test_a_face_always_shows_looking_or_one_guidance(sights):
    scene = Scene()
    for i, sight in enumerate(sights):
        now = (i + 1) * FRAME_S
        scene = apply_sight(scene, sight, now)
        assert shown_situation(scene, now).situation in {"looking", *GUIDANCE}
        assert sum(s in GUIDANCE and now < c.ends_at for (s, _), c in scene.claims.items()) <= 1


def seen_for(seconds, sights=(), scene=None, now=0.0):
    """Return the scene, the time, and the situation after each frame, with a face in view for some seconds."""
    scene, shown_then = Scene() if scene is None else scene, []
    for i in range(round(seconds / FRAME_S)):
        now += FRAME_S
        scene = apply_sight(scene, sights[i % len(sights)] if sights else face(), now)
        shown_then.append((now, shown_situation(scene, now).situation))
    return scene, now, shown_then


@pytest.mark.parametrize("frames_per_second", [1.5, 3, 10])
def test_a_doubtful_visit_shows_looking_from_its_first_frame_until_its_decision(frames_per_second):
    """Three frames decide a clear visit. A doubtful one gets twice as many, and no event says so."""
    scene, frame_s, shown_then = Scene(), 1 / frames_per_second, []
    for number in range(3 * TRUNCATED_AFTER + 1):
        scene = apply_sight(scene, face(), number * frame_s)
        shown_then += [shown_situation(scene, (number + part) * frame_s) for part in (0, 0.5, 0.99)]
    assert {shown.situation for shown in shown_then} == {"looking"}
    assert len({shown.number for shown in shown_then}) == 1
    granted = apply_event(scene, events.DoorReleased("grant", 5.0), number * frame_s)
    assert shown_situation(granted, number * frame_s).situation == "open"


@pytest.mark.parametrize("problem", [None, "too_small", "blurred", "turned_away", "no_colour"])
def test_after_six_seconds_without_a_decision_the_other_credentials_are_offered(problem):
    _, _, shown_then = seen_for(7.0, [face(problem, size=0.9)])
    first = next(now for now, situation in shown_then if situation == "refused")
    assert first == pytest.approx(OFFER_AFTER_S, abs=2 * FRAME_S)
    assert OFFER_AFTER_S == 6.0


def test_a_new_track_every_second_does_not_delay_the_offer():
    _, _, shown_then = seen_for(7.0, [face(track=track) for track in range(100)])
    assert any(situation == "refused" for _, situation in shown_then)


def test_the_offer_is_shown_once_and_then_the_guidance_goes_on():
    _, _, shown_then = seen_for(OFFER_AFTER_S + 2 * OFFERED_S, [face("too_small", size=0.9)])
    offered_at = [now for now, situation in shown_then if situation == "refused"]
    assert offered_at[-1] - offered_at[0] < OFFERED_S
    assert shown_then[-1][1] == "closer"


def test_a_person_who_returns_has_six_seconds_again():
    scene, now, _ = seen_for(5.0)
    _, _, shown_then = seen_for(5.0, scene=scene, now=now + 60)
    assert all(situation == "looking" for _, situation in shown_then)


def test_a_denial_after_the_offer_extends_it_without_a_restart():
    scene, now, _ = seen_for(OFFER_AFTER_S + 1)
    before = shown_situation(scene, now)
    denied = apply_event(scene, events.AccessDenied("v", "unknown", 0.4, 9, 3, 0.1), now)
    assert shown_situation(denied, now) == before
    assert shown_situation(denied, now + OFFERED_S - 0.1).situation == "refused"


def test_a_granted_person_gets_no_offer():
    scene, now, _ = seen_for(3.0)
    scene = apply_event(scene, events.AccessGranted("v", "00", 0.6, 0.4, 9, 0.9, 3, "ab", 0.1), now)
    scene = apply_event(scene, events.DoorReleased("grant", 4.0, "v"), now)
    _, _, shown_then = seen_for(12.0, scene=scene, now=now)
    assert all(situation in ("open", "idle") for _, situation in shown_then)


@pytest.mark.parametrize(
    "fact",
    [events.Lockdown("server"), events.ScheduledUnlock("daytime"), events.DoorHeldOpen(30.0), events.Enrolling()],
)
def test_a_situation_of_higher_priority_suppresses_the_offer(fact):
    scene, _, _ = seen_for(OFFER_AFTER_S + 2, scene=apply_event(Scene(), fact, 0.0))
    assert ("refused", "slow") not in {(situation, why) for situation, why in scene.claims}

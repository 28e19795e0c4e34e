"""A face is told at once that it is looked at, and where to go if it stays of no use; nobody else is bothered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated import events
from gated.cues.cue import GUIDANCE
from gated.cues.guidance import AGAIN_S, FACE_S, GUIDED_S, STANDS_S, UNUSABLE_S, saw
from gated.cues.scene import Scene, Sight, ends_at, shown
from gated.cues.state import happened

FRAME_S = 0.1


def face(problem=None, x=0.5, size=1.2, pitch=0.0, track=1):
    return Sight(track, problem, x, size, pitch)


def watched(sights, scene=None, now=0.0):
    """The scene after these sights, a frame apart, and the time of the last."""
    scene = Scene() if scene is None else scene
    for sight in sights:
        now += FRAME_S
        scene = saw(scene, sight, now)
    return scene, now


def told(*sights, **more):
    scene, now = watched(sights, **more)
    return shown(scene, now).situation


def test_the_first_sight_of_a_face_is_told_at_once():
    assert told(face()) == "looking"
    assert told(face("blurred")) == "looking"


def test_a_face_that_left_is_not_looked_at():
    scene, now = watched([face()])
    assert ends_at(scene, now) == now + FACE_S
    assert shown(scene, now + FACE_S).situation == "idle"


def test_looking_is_told_once_however_many_frames_there_are():
    scene, now = watched([face()])
    more, later = watched([face()] * 30, scene, now)
    assert shown(more, later) == shown(scene, now)


@pytest.mark.parametrize(
    "sight",
    [face("background"), face("too_small", size=0.3), face(size=float("nan")), face(x=float("nan")), face(x=1e999)],
)
def test_who_walks_by_is_not_spoken_to(sight):
    assert told(*[sight] * 30) == "idle"


@pytest.mark.parametrize(
    ("sight", "situation"),
    [
        (face("too_small", size=0.7), "closer"),
        (face("turned_away", x=0.1), "left"),
        (face("turned_away", x=0.9), "right"),
        (face("blurred", x=0.2), "left"),
        (face("turned_away", pitch=-40), "up"),
        (face("turned_away", pitch=40), "down"),
    ],
)
def test_a_face_that_stays_of_no_use_is_told_where_to_go(sight, situation):
    frames = round(UNUSABLE_S / FRAME_S) + 1
    assert told(*[sight] * (frames - 1)) == "looking"
    assert told(*[sight] * (frames + 1)) == situation


def test_who_is_at_the_left_of_the_picture_is_told_their_own_left():
    assert told(*[face("blurred", x=0.1)] * 10) == "left"


@pytest.mark.parametrize("problem", ["blurred", "too_dark", "too_bright", "uneven_light", "turned_away"])
def test_a_face_in_the_middle_that_nothing_can_be_said_to_is_only_looked_at(problem):
    assert told(*[face(problem)] * 30) == "looking"


def test_a_face_that_comes_right_is_guided_no_longer():
    scene, now = watched([face("blurred", x=0.1)] * 12)
    assert shown(scene, now).situation == "left"
    assert told(face(), scene=scene, now=now) == "looking"


def test_one_good_frame_starts_the_wait_anew():
    bad = [face("blurred", x=0.1)] * 6
    assert told(*bad, face(), *bad) == "looking"


def test_guidance_does_not_jump_from_one_to_the_other():
    scene, now = watched([face("too_small", size=0.7)] * 10)
    began = shown(scene, now)
    flickering, later = watched([face("blurred", x=0.1), face("too_small", size=0.7)] * 8, scene, now)
    assert shown(flickering, later) == began


def test_another_guidance_follows_when_the_first_was_heard():
    scene, now = watched([face("too_small", size=0.7)] * 10)
    frames = round(GUIDED_S / FRAME_S) + 2
    assert told(*[face("blurred", x=0.9)] * frames, scene=scene, now=now) == "right"


def test_guidance_ends_soon_after_the_face_has_left():
    scene, now = watched([face("too_small", size=0.7)] * 10)
    assert shown(scene, now + GUIDED_S).situation == "idle"


DENIED = events.AccessDenied("v", "unknown", 0.4, 9, 3, 0.1)
GRANTED = events.AccessGranted("v", "00", 0.6, 0.4, 9, 0.9, 3, "ab", 0.1)


@pytest.mark.parametrize("decided", [DENIED, GRANTED])
def test_who_was_decided_about_is_not_looked_at_again_while_they_stand_there(decided):
    scene, now = watched([face()] * 5)
    scene = happened(scene, decided, now)
    scene, now = watched([face("blurred", x=0.1)] * 300, scene, now)
    assert shown(scene, now).situation == "idle"


def test_who_only_stands_there_is_left_in_peace_after_a_while():
    scene, now = watched([face("too_small", size=0.7)] * round(STANDS_S / FRAME_S))
    assert shown(scene, now).situation == "closer"
    scene, now = watched([face("too_small", size=0.7)] * 50, scene, now)
    assert shown(scene, now).situation == "idle"
    assert told(face("too_small", size=0.7), scene=scene, now=now + FACE_S + 1) == "looking"


def test_who_comes_back_later_is_looked_at_again():
    scene, now = watched([face()] * 5)
    scene = happened(scene, DENIED, now)
    assert told(face(track=2), scene=scene, now=now + 20) == "looking"
    assert told(face(track=1), scene=scene, now=now + 20) == "looking"


def test_the_next_in_the_queue_is_looked_at_while_the_first_still_stands_there():
    scene, now = watched([face()] * 5)
    scene = happened(scene, GRANTED, now)
    scene, now = watched([face(), face(track=2, size=1.5)], scene, now)
    assert shown(scene, now).situation == "looking"


def test_the_nearest_face_is_guided_and_not_the_one_behind():
    near, behind = face(size=1.5), face("blurred", x=0.1, size=0.9, track=2)
    assert told(*[near, behind] * 15) == "looking"


def test_who_arrives_is_told_what_stands_and_not_too_often():
    scene = happened(Scene(), events.Lockdown("server"), 0.0)
    first = shown(scene, 0.0)
    scene, now = watched([face(track=1)], scene, 1.0)
    assert shown(scene, now) == first, "it has only just been told"
    scene, now = watched([face(track=2)], scene, AGAIN_S + 5)
    again = shown(scene, now)
    assert again.situation == "lockdown"
    assert again != first
    scene, now = watched([face(track=3)], scene, now + FACE_S + 1)
    assert shown(scene, now) == again


def test_what_is_over_is_not_told_again():
    scene = happened(Scene(), DENIED, 0.0)
    scene, now = watched([face(track=2)], scene, 100.0)
    assert shown(scene, now).situation == "looking"


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-1, 2))
def test_nearness_is_between_far_and_there(size, other, x):
    assert 0 <= face(size=size, x=x).nearness <= 1
    if size <= other:
        assert face(size=size, x=x).nearness <= face(size=other, x=x).nearness


def test_nearness_is_all_of_it_only_in_the_middle_and_large_enough():
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
def test_a_face_is_always_looked_at_or_guided_and_one_thing_at_a_time(sights):
    scene = Scene()
    for i, sight in enumerate(sights):
        now = (i + 1) * FRAME_S
        scene = saw(scene, sight, now)
        assert shown(scene, now).situation in {"looking", *GUIDANCE}
        assert sum(s in GUIDANCE and now < c.ends_at for (s, _), c in scene.claims.items()) <= 1

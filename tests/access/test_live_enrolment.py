"""Enrolment at the gate takes one live face, alone, near and seen often enough, and no other person's face."""

import asyncio
import math
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gated.access.enrolment_looks import (
    LEAST_TEMPLATES,
    LIVE_ADVICE,
    LOOK_INTERVAL_S,
    MOST_TEMPLATES,
    EnrolmentLooks,
    LookRequirements,
)
from gated.access.entrance import Entrance, EntranceReports
from gated.access.live_enrolment import LiveEnrolment, _require_enough
from gated.config import parse
from gated.errors import BusyError, EnrolmentError, SubjectNotFoundError, WithdrawnError
from gated.events import AccessDenied, AccessGranted, Enrolling, PersonEnrolled, RecordQuarantined
from gated.face.vision_messages import Observation, Problem, Quality, TrackEnded, VisionReady
from gated.gallery.gallery import Gallery
from gated.gallery.holdings import Holdings
from gated.people.given_consents import GivenConsents, offering_consents
from gated.people.store import RECOGNISE, Consent, Person
from gated.types import SubjectId
from tests.fakes.recording_door import RecordingDoor

sys.path.append(str(Path(__file__).parents[1]))
from contracts.operator import Operator

ANN, BOB, CAT = SubjectId("a" * 16), SubjectId("b" * 16), SubjectId("c" * 16)
AT = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
SHA = "e" * 64
DEMANDS = LookRequirements(dimension=4, threshold=0.7, pad_threshold=0.5, min_eye_px=60, max_frame_age_s=1.0)
READY = VisionReady("evaluation", "evaluation", "an_embedder", SHA, 4, 0.7, 0.5)
AGREED = (Consent(RECOGNISE, "paper-1", "2026-11", AT),)
NAN = math.nan


def vector(*numbers):
    return (np.array(numbers) / np.linalg.norm(numbers)).astype("<f4").tobytes()


FACE, OTHER, THIRD = vector(1, 0.1, 0, 0), vector(0, 0, 1, 0.1), vector(0, 1, 0, 0)


def look(frame, at, *, track=1, eye_px=80.0, **more):
    quality = Quality(eye_px, 100.0, 120.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    plain = {"quality": quality, "pad_score": 0.9, "embedding": FACE}
    return Observation(track, frame, at, (0, 0, 90, 120), 0.9, **{**plain, **more})


def sat(*given, begun_at=0.0, every_s=0.1):
    """Return the state of an enrolment after these looks, one a frame by default. Each look is a dict of its
    differences from a good look.
    """
    looks = EnrolmentLooks(DEMANDS)
    for number, odd in enumerate(given):
        at = begun_at + every_s * number
        looks.observe(look(number, at, **odd), at + 0.05)
    looks.observe(look(len(given), at + 0.01, problem="too_small", embedding=None), at + 0.06)  # ends the last frame
    return looks


GOOD = [{}] * 20


def test_five_looks_far_enough_apart_give_five_templates():
    looks = sat(*GOOD)
    assert looks.is_full
    assert len(looks.accepted) == MOST_TEMPLATES
    assert len(sat(*GOOD[:8]).accepted) == 3
    assert len(sat(*GOOD[:8], every_s=LOOK_INTERVAL_S / 100).accepted) == 1


@pytest.mark.parametrize(("score", "is_other"), [(0.69, True), (0.7, False), (NAN, True), (-math.inf, True)])
def test_looks_are_compared_as_the_search_compares(score, is_other):
    """A centred gate gives its own score. A damaged look scores -inf and is another face."""
    looks = EnrolmentLooks(msgspec.structs.replace(DEMANDS, score=lambda first, second: score))
    for number in range(8):
        looks.observe(look(number, number / 2), number / 2 + 0.05)
    assert looks.has_other_face is is_other
    assert bool(looks.accepted) is not is_other


def test_only_the_face_being_enrolled_is_held():
    looks = EnrolmentLooks(DEMANDS)
    assert looks.observe(look(0, 0.0, track=7), 0.0)
    assert not looks.observe(look(0, 0.0, track=8), 0.0)
    assert looks.observe(look(1, 0.1, track=7, problem="blurred", embedding=None), 0.1)
    assert not looks.observe(look(1, 0.1, track=9, problem="background", embedding=None), 0.1)


@pytest.mark.parametrize(
    ("odd", "advice"),
    [
        ({"problem": "no_colour", "embedding": None, "pad_score": None}, "no_colour"),
        ({"eye_px": 59.0}, "too_small"),
        ({"eye_px": NAN}, "too_small"),
        ({"quality": None}, "too_small"),
        ({"pad_score": 0.49}, "attack"),
        ({"pad_score": NAN}, "attack"),
        ({"pad_score": None}, "odd"),
        ({"pad_score": math.inf}, "odd"),
        ({"embedding": None}, "odd"),
        ({"embedding": vector(1, 0, 0)}, "odd"),
        ({"embedding": b"abc"}, "odd"),
        ({"embedding": np.full(4, NAN, "<f4").tobytes()}, "odd"),
        ({"embedding": np.ones(4, "<f4").tobytes()}, "odd"),
        ({"problem": "turned_away", "embedding": None}, "turned_away"),
        ({"problem": "too_dark", "embedding": None}, "too_dark"),
        ({"is_covered": True}, "covered"),
        ({"problem": "something new", "embedding": None}, "odd"),
    ],
)
def test_an_unusable_look_gives_no_template_and_some_advice(odd, advice):
    looks = sat(*[odd] * 20)
    assert looks.accepted == []
    assert looks.advice == LIVE_ADVICE[advice]


def test_a_covered_face_gives_templates_after_an_open_one_and_never_alone():
    covered = {"is_covered": True}
    assert len(sat({}, *[covered] * 20).accepted) == MOST_TEMPLATES
    assert sat(*[covered] * 20).accepted == []
    attacked = sat(*[{}] * 4, {"pad_score": 0.1}, *[covered] * 20)
    assert attacked.accepted == []
    assert LIVE_ADVICE["covered"] in attacked.progress


def test_every_problem_of_vision_has_advice():
    assert set(get_args(Problem)) <= set(LIVE_ADVICE)


def test_without_a_face_the_error_says_so():
    assert EnrolmentLooks(DEMANDS).advice == "nobody stood before the gate"


def test_advice_mentions_only_position_and_light():
    for text in LIVE_ADVICE.values():
        assert not {"eye", "eyes", "blink", "smile", "glasses", "mask", "hat", "look"} & set(text.split())


def test_a_frame_with_two_faces_gives_no_template():
    looks = EnrolmentLooks(DEMANDS)
    for number in range(40):
        for track in (1, 2):
            looks.observe(look(number, 0.1 * number, track=track), 0.1 * number)
    assert looks.accepted == []
    assert looks.advice == LIVE_ADVICE["crowd"]


def test_a_person_in_the_background_does_no_harm():
    looks = EnrolmentLooks(DEMANDS)
    for number in range(20):
        looks.observe(look(number, 0.1 * number), 0.1 * number)
        looks.observe(look(number, 0.1 * number, track=2, problem="background", embedding=None), 0.1 * number)
    assert looks.is_full


def test_a_face_that_leaves_starts_again():
    looks = sat(*GOOD[:10])
    assert len(looks.accepted) >= LEAST_TEMPLATES
    assert not looks.observe(TrackEnded(2, 1.0), 1.0)
    assert len(looks.accepted) >= LEAST_TEMPLATES, "another track"
    assert not looks.observe(TrackEnded(1, 1.0), 1.0)
    assert looks.accepted == []
    assert looks.observe(look(11, 1.1, track=5), 1.1)


def test_one_look_that_resembles_an_attack_starts_again():
    assert sat(*GOOD[:10], {"pad_score": 0.1}).accepted == []
    mostly_attack = ([{}] * 4 + [{"pad_score": 0.1}]) * 30
    assert len(sat(*mostly_attack).accepted) < LEAST_TEMPLATES, "lucky looks do not add up"


@pytest.mark.parametrize("age_s", [1.1, -0.1, NAN])
def test_a_stale_or_future_frame_is_held_and_not_used(age_s):
    looks = EnrolmentLooks(DEMANDS)
    for number in range(30):
        assert looks.observe(look(number, 100.0 + number), 100.0 + number + age_s)
    assert looks.accepted == []


LOOKS = st.fixed_dictionaries(
    {
        "track": st.integers(1, 2),
        "eye_px": st.sampled_from([59.0, 60.0, 90.0, NAN]),
        "pad_score": st.sampled_from([0.9, 0.5, 0.4, NAN, None]),
        "problem": st.sampled_from([None, None, None, "blurred"]),
        "embedding": st.sampled_from([FACE, FACE, OTHER, b"", vector(1, 2, 3, 4, 5)]),
    }
)


@given(frames=st.lists(st.lists(LOOKS, min_size=1, max_size=2, unique_by=lambda one: one["track"]), max_size=60))
@settings(deadline=None, max_examples=150)
def test_random_observations_give_only_good_looks_at_one_face(frames):
    looks, good = EnrolmentLooks(DEMANDS), []
    for number, faces in enumerate(frames):
        at = 0.1 * number
        held = [looks.observe(look(number, at, **face), at) for face in faces]
        assert sum(held) <= 1
        is_good = (
            len(faces) == 1
            and faces[0]["track"] == looks.track
            and faces[0]["eye_px"] >= 60
            and (faces[0]["pad_score"] or 0) >= 0.5
            and faces[0]["problem"] is None
            and faces[0]["embedding"] in (FACE, OTHER)
        )
        good += [at] if is_good else []
    assert len(looks.accepted) <= min(MOST_TEMPLATES, len(good))
    assert all(accepted.shape == (4,) for accepted in looks.accepted)


# Integration: a real gallery, and the entrance that decides about all other people


class Yard:
    """A gate that knows Ann and Bob. Only Bob has a face."""

    def __init__(self, state, consents=AGREED):
        plain = {"site": {"id": "courtyard-2"}, "gate": {"id": "front"}, "state_dir": str(state)}
        self.door, self.reported = RecordingDoor(), []
        self.gallery = Gallery.open(state, "courtyard-2", SHA, 4)
        self.gallery._register.admit(Person(ANN, "Ann", "2-401", "active", AT, consents))
        with self.gallery.enrolling():
            self.gallery.add(Person(BOB, "Bob", "2-402", "active", AT, AGREED), [np.frombuffer(OTHER, "<f4")])
        self.is_announced = True
        tell = EntranceReports(
            self.reported.append, lambda _: None, lambda _: None, lambda *_: None, lambda: self.is_announced
        )
        self.entrance = Entrance(parse(plain, state), self.gallery, self.door, tell, lambda: AT)
        self.faces = self.entrance.faces
        self.faces.begin(READY)
        self.frame, self.embeddings = 0, {1: FACE}
        self.operator = Operator()

    @property
    def looks(self):
        """The looks of the live enrolment, or None while there is none."""
        return self.faces._enrolment and self.faces._enrolment._looks

    async def stand(self, until, **odd):
        """Stand before the gate at ten frames a second of frame time, until the condition is true."""
        async with asyncio.timeout(20):
            while not until():
                self.frame += 1
                for track, embedding in self.embeddings.items():
                    self.faces.observe(look(self.frame, time.monotonic(), track=track, embedding=embedding, **odd))
                await asyncio.sleep(0.02)

    def enrols(self, subject=ANN, within_s=20.0):
        return asyncio.create_task(self.faces.enrol(subject, within_s, 60.0, self.operator))

    def said(self, kind):
        return [fact for fact in self.reported if isinstance(fact, kind)]

    def close(self):
        self.entrance.close()
        self.gallery.close()


@pytest.fixture
async def yard(tmp_path, monkeypatch):
    monkeypatch.setattr("gated.access.enrolment_looks.LOOK_INTERVAL_S", 0.03)
    monkeypatch.setattr("gated.access.live_enrolment.ANNOUNCE_S", 0.05)
    monkeypatch.setattr("gated.access.live_enrolment.PROGRESS_S", 0.02)
    yard = Yard(tmp_path)
    yield yard
    yard.close()


async def test_a_person_enrolled_at_the_gate_is_let_in_at_once_and_not_before(yard):
    task = yard.enrols()
    await yard.stand(task.done)
    assert task.result().templates == MOST_TEMPLATES
    said = [Enrolling(), Enrolling(is_over=True), PersonEnrolled(ANN, MOST_TEMPLATES, "2026-11", SHA)]
    assert yard.reported == said, "nothing was decided meanwhile"
    assert yard.door.released == []
    await yard.stand(lambda: yard.door.released)
    assert [fact.subject for fact in yard.said(AccessGranted)] == [ANN]


async def test_consents_given_at_the_gate_are_in_the_journal_and_count(yard):
    with offering_consents(yard.entrance._state, GivenConsents(ANN, ["transfer"], "paper-9", "2026-11")):
        task = yard.enrols()
        await yard.stand(task.done)
    assert yard.said(PersonEnrolled) == [PersonEnrolled(ANN, MOST_TEMPLATES, "2026-11", SHA, ["transfer"])]
    assert Holdings(yard.gallery._register).agreed(ANN) == {"transfer"}


async def test_a_cancelled_enrolment_leaves_no_consent_for_the_next_command(yard):
    yard.operator.may_answer.clear()
    with offering_consents(yard.entrance._state, GivenConsents(ANN, ["transfer"], "paper-9", "2026-11")):
        task = yard.enrols()
        await yard.stand(lambda: yard.operator.asked)
        yard.operator.gives_up()
        await yard.stand(task.done)
    with pytest.raises(WithdrawnError):
        task.result()
    yard.operator.waits = True
    yard.operator.withdrawn.clear()
    task = yard.enrols()
    await yard.stand(task.done)
    assert yard.said(PersonEnrolled) == [PersonEnrolled(ANN, MOST_TEMPLATES, "2026-11", SHA)]
    assert Holdings(yard.gallery._register).agreed(ANN) == set()


async def test_a_refused_visitor_is_judged_again_after_enrolment(yard):
    yard.faces.observe(look(1, time.monotonic()))
    yard.faces.observe(TrackEnded(1, time.monotonic()))
    assert [fact.reason for fact in yard.said(AccessDenied)] == ["unknown"]
    task = yard.enrols()
    await yard.stand(task.done)
    await yard.stand(lambda: yard.door.released)
    assert len(yard.said(AccessGranted)) == 1


async def test_during_an_enrolment_a_neighbour_is_still_let_in(yard):
    task = yard.enrols()
    await yard.stand(lambda: yard.looks is not None)
    yard.embeddings[2] = OTHER
    await yard.stand(lambda: yard.door.released)
    assert [fact.subject for fact in yard.said(AccessGranted)] == [BOB]
    del yard.embeddings[2]
    await yard.stand(task.done)
    assert task.result().templates == MOST_TEMPLATES


async def test_a_person_with_another_face_is_not_let_in(yard):
    """The attack: an attacker with the office's key orders an enrolment of Bob, and stands at the gate."""
    task = yard.enrols(BOB)
    await yard.stand(task.done)
    assert task.result().waits == "changed"
    assert yard.said(RecordQuarantined) == [RecordQuarantined(BOB, "changed")]
    await yard.stand(lambda: yard.said(AccessDenied))
    assert (yard.said(PersonEnrolled), yard.said(AccessGranted), yard.door.released) == ([], [], [])
    yard.embeddings = {3: OTHER}
    await yard.stand(lambda: yard.door.released)
    assert [fact.subject for fact in yard.said(AccessGranted)] == [BOB]


async def test_a_neighbours_face_is_not_enrolled_for_another_person(yard):
    yard.embeddings = {1: OTHER}
    task = yard.enrols()
    await yard.stand(task.done)
    with pytest.raises(EnrolmentError, match=BOB):
        task.result()
    assert yard.said(PersonEnrolled) == []
    assert yard.gallery.template_count == 1


async def test_after_the_time_limit_without_a_face_the_error_says_so(yard):
    with pytest.raises(EnrolmentError, match=r"^0 of 3 good looks in 0\.1 s: nobody stood before the gate$"):
        await yard.faces.enrol(ANN, 0.1, 60.0, yard.operator)
    await yard.stand(lambda: yard.said(AccessDenied), pad_score=0.1)
    assert yard.said(PersonEnrolled) == []


def test_three_looks_are_enough_at_the_time_limit_and_two_are_not():
    assert len(_require_enough(sat(*GOOD[:8]), 60.0)) == LEAST_TEMPLATES
    with pytest.raises(EnrolmentError, match=r"^2 of 3 good looks in 60 s: let the person stand still"):
        _require_enough(sat(*GOOD[:5], {"problem": "blurred", "embedding": None}, {"problem": "blurred"}), 60.0)


@pytest.mark.parametrize("consents", [(), (Consent("transfer", "paper-2", "2026-11", AT),)])
async def test_an_enrolment_without_consent_is_refused(tmp_path, consents):
    yard = Yard(tmp_path, consents)
    with pytest.raises(EnrolmentError, match="has not agreed"):
        await yard.faces.enrol(ANN, 20.0, 60.0, yard.operator)
    yard.close()


async def test_an_unknown_person_or_a_second_enrolment_at_once_is_refused(yard):
    with pytest.raises(SubjectNotFoundError):
        await yard.faces.enrol(SubjectId("f" * 16), 20.0, 60.0, yard.operator)
    task = yard.enrols()
    await asyncio.sleep(0)
    with pytest.raises(EnrolmentError, match="already"):
        await yard.faces.enrol(BOB, 20.0, 60.0, yard.operator)
    task.cancel()
    await asyncio.wait([task])
    task = yard.enrols()
    await yard.stand(task.done)
    assert task.result().templates == MOST_TEMPLATES, "what was broken off stands in nobody's way"


async def test_a_gate_without_vision_enrols_nobody(yard):
    yard.faces.stop()
    with pytest.raises(EnrolmentError, match="sees nothing"):
        await yard.faces.enrol(ANN, 20.0, 60.0, yard.operator)


async def test_looks_of_a_lost_camera_are_not_combined_with_those_of_the_next(yard):
    task = yard.enrols()
    await yard.stand(lambda: yard.looks and len(yard.looks.accepted) == 2)
    yard.faces.stop()
    assert yard.looks.accepted == []
    yard.faces.begin(READY)
    await yard.stand(task.done)
    assert task.result().templates == MOST_TEMPLATES


async def test_a_busy_gallery_is_reported_and_the_next_try_succeeds(yard, monkeypatch):
    def busy(*_, **__):
        raise BusyError("the gallery is being changed by another process; try again in a moment")

    monkeypatch.setattr(yard.gallery._register, "store_capture", busy)
    task = yard.enrols()
    await yard.stand(task.done)
    with pytest.raises(BusyError):
        task.result()
    monkeypatch.undo()
    task = yard.enrols()
    await yard.stand(task.done)
    assert task.result().templates == MOST_TEMPLATES


# Other people's faces, and orders without a waiting operator


async def test_no_look_counts_before_or_while_the_announcement_is_replaced(yard):
    yard.is_announced = False
    task = yard.enrols(within_s=0.4)
    await yard.stand(task.done)
    with pytest.raises(EnrolmentError, match="the gate had to announce something else"):
        task.result()
    assert yard.gallery.template_count == 1


async def test_the_announcement_restarts_after_another_one_interrupted_it(yard, monkeypatch):
    monkeypatch.setattr("gated.access.live_enrolment.ANNOUNCE_S", 3600.0)
    task = yard.enrols(within_s=0.4)
    await yard.stand(task.done)
    with pytest.raises(EnrolmentError, match=r"^0 of 3"):
        task.result()


@pytest.mark.parametrize("goes", [True, False])
async def test_another_face_ends_the_enrolment(yard, goes):
    """The first person leaves and another comes, or the tracker confuses the two."""
    yard.gallery._register.admit(Person(CAT, "Cat", "2-403", "active", AT, AGREED))
    task = yard.enrols(CAT)
    await yard.stand(lambda: yard.looks and yard.looks.accepted)
    if goes:
        yard.faces.observe(TrackEnded(1, time.monotonic()))
    yard.embeddings = {2 if goes else 1: THIRD}
    await yard.stand(task.done)
    with pytest.raises(EnrolmentError, match="a different face came after the first"):
        task.result()
    assert yard.said(PersonEnrolled) == []
    assert yard.gallery.template_count == 1


async def test_another_face_ends_the_enrolment_while_the_operator_is_asked(yard):
    yard.operator.may_answer.clear()
    task = yard.enrols()
    await yard.stand(lambda: yard.operator.asked)
    yard.embeddings = {1: THIRD}
    await yard.stand(lambda: yard.looks and yard.looks.has_other_face)
    yard.operator.may_answer.set()
    with pytest.raises(EnrolmentError, match="a different face"):
        await task
    assert yard.gallery.template_count == 1


async def test_the_same_person_who_returns_may_continue(yard):
    task = yard.enrols()
    await yard.stand(lambda: yard.looks and yard.looks.accepted)
    yard.faces.observe(TrackEnded(1, time.monotonic()))
    yard.embeddings = {2: FACE}
    await yard.stand(task.done)
    assert task.result().templates == MOST_TEMPLATES


@pytest.mark.parametrize("when", ["before", "while looking", "while asked"])
async def test_a_cancellation_at_any_moment_leaves_nothing(yard, when):
    if when == "before":
        yard.operator.gives_up()
    if when == "while asked":
        yard.operator.may_answer.clear()
    task = yard.enrols()
    if when == "while looking":
        await yard.stand(lambda: yard.looks and yard.looks.accepted)
    if when == "while asked":
        await yard.stand(lambda: yard.operator.asked)
    yard.operator.gives_up()
    await yard.stand(task.done)
    with pytest.raises(WithdrawnError):
        task.result()
    assert yard.gallery.template_count == 1
    assert yard.reported == [Enrolling(), Enrolling(is_over=True)], "and the gate says enrolling no more"


async def test_templates_not_stored_while_the_confirmation_is_valid_are_dropped(yard):
    yard.operator.good_s = -0.1
    task = yard.enrols()
    await yard.stand(task.done)
    with pytest.raises(WithdrawnError, match="nothing was done"):
        task.result()
    assert yard.gallery.template_count == 1


async def test_the_operator_sees_the_progress(yard):
    task = yard.enrols()
    await yard.stand(task.done)
    assert yard.operator.told[0].startswith("the gate announces")
    assert any(said.startswith(("1 of 5", "2 of 5", "3 of 5", "4 of 5")) for said in yard.operator.told)


class Orders(RuleBasedStateMachine):
    """Faces come and go before a gate during an enrolment. The operator may cancel at any moment."""

    def __init__(self):
        super().__init__()
        self.looks = EnrolmentLooks(DEMANDS)
        self.now, self.frame, self.first = 0.0, 0, None

    @rule(
        faces=st.dictionaries(st.integers(1, 3), st.sampled_from([FACE, OTHER, THIRD]), min_size=1, max_size=2),
        is_announced=st.booleans(), pad_score=st.sampled_from([0.9, 0.9, 0.9, 0.1]), count=st.integers(1, 12),
    )  # fmt: skip
    def somebody_stands_there(self, faces, is_announced, pad_score, count):
        for _ in range(count):
            self.frame, self.now = self.frame + 1, self.now + 0.1
            for track, face in faces.items():
                seen = look(self.frame, self.now, track=track, embedding=face, pad_score=pad_score)
                self.looks.observe(seen, self.now, is_announced=is_announced)

    @rule(track=st.integers(1, 3))
    def somebody_goes(self, track):
        self.looks.observe(TrackEnded(track, self.now), self.now)

    @rule()
    def vision_is_lost(self):
        self.looks.restart()

    @invariant()
    def what_was_taken_is_one_persons_and_that_of_the_first(self):
        accepted = {each.tobytes() for each in self.looks.accepted}
        if not self.looks.has_other_face:
            assert len(accepted) <= 1
        self.first = self.first or next(iter(accepted), None)
        assert accepted <= {self.first}, "a face that came later was taken in the place of the first"


TestOrders = Orders.TestCase
TestOrders.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_without_an_enrolment_no_face_is_held():
    idle = LiveEnrolment(None, print)
    assert not idle.observe(look(1, 0.0), 0.0)
    idle.restart()


def test_a_flood_of_faces_in_one_frame_is_not_stored():
    """A compromised vision process may repeat the same frame without end during an enrolment."""
    looks = EnrolmentLooks(DEMANDS)
    for track in range(1000):
        looks.observe(look(1, 10.0, track=track), 10.05)
    assert len(looks._frame) == 2
    looks.observe(look(2, 10.1, track=0), 10.15)
    assert looks.advice == LIVE_ADVICE["crowd"]

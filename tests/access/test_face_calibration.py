"""The gate decides about a face with the threshold that its gallery is calibrated to."""

import asyncio
import dataclasses
import threading
import time
from contextlib import suppress

import numpy as np
import pytest
from msgspec.structs import replace

from gated.access.face_calibration import FIRST_WAIT_S
from gated.events import AccessDenied, AccessGranted
from gated.face.vision_messages import Observation, TrackEnded
from gated.gallery.calibration import Reason
from gated.gallery.calibrator import FILE, LONGEST_PAUSE_S, stored_calibration
from gated.people.access_rule import AccessRule
from gated.people.face_mark import FaceMark
from gated.people.store import RECOGNISE, Consent, Person
from gated.threshold_table import ThresholdTable
from tests.access.test_entrance import ANN, BOB, NOON, READY, yard  # noqa: F401 - the fixture

TABLE = ThresholdTable(0.55, 0.9, ((1, 0.6), (1000, 0.8)))
READY_TO_CALIBRATE = replace(READY, threshold=0.3, table=TABLE)
AFTER_A_START = replace(READY_TO_CALIBRATE, embedder="the_same_after_a_start")
"""Another vision, so that the gate calibrates as it does after a start."""


def face(score):
    """Return a probe with this score for Ann's face."""
    return np.array([score, 0, 0, np.sqrt(1 - score * score)], np.float32)


@pytest.fixture
def faces(yard, monkeypatch):  # noqa: F811
    """Return the face service with a model set that has a table."""
    monkeypatch.setattr("tests.access.test_entrance.READY", READY_TO_CALIBRATE)
    faces = yard.entrance.faces
    faces.begin(READY_TO_CALIBRATE)
    faces._calibration._calibrator.follow()
    faces._apply_calibration()
    return faces


@pytest.mark.parametrize(("score", "kind"), [(0.62, AccessGranted), (0.58, AccessDenied), (0.4, AccessDenied)])
async def test_the_calibrated_threshold_counts_and_is_in_the_event(yard, faces, score, kind):  # noqa: F811
    yard.show_face(face=face(score))
    yard.entrance.faces.observe(TrackEnded(1, time.monotonic()))
    (event,) = yard.reported
    assert type(event) is kind
    assert event.threshold == pytest.approx(0.6)
    assert event.gallery_size == 1


def show(faces, score):
    """Show three looks of a face with this score for Ann, and end the visit."""
    for number in range(3):
        seen = Observation(
            9, number, time.monotonic() - 0.1 + 0.01 * number, (0, 0, 90, 120), 0.9, pad_score=0.9,
            embedding=face(score).astype("<f4").tobytes(),
        )  # fmt: skip
        faces.observe(seen)
    faces.observe(TrackEnded(9, time.monotonic()))


async def test_a_persons_own_threshold_counts_for_this_person(yard, faces):  # noqa: F811
    faces.begin(READY_TO_CALIBRATE)
    faces._visits.thresholds = {ANN: 0.9}
    for score in (0.88, 0.92):
        show(faces, score)
    assert [type(event) for event in yard.reported] == [AccessDenied, AccessGranted]


def with_calibration(yard, faces, **more):  # noqa: F811
    """Show Ann's face after a calibration with these people in it. Return what people are asked for."""
    yard.entrance._ring.reload_if_changed()
    faces.begin(READY_TO_CALIBRATE)
    calibrator = faces._calibration._calibrator
    calibrator.now = dataclasses.replace(calibrator.now, **more)
    faces._apply_calibration()
    yard.told.clear()
    show(faces, 1.0)
    return [outcome.result for outcome in yard.told]


@pytest.mark.parametrize(
    ("kind", "calibrated", "asked"),
    [
        ("child", {}, ["second"]),
        ("child", {"children": frozenset({ANN})}, []),
        ("child", {"children": frozenset({ANN}), "needing_more": frozenset({ANN})}, ["second"]),
        ("alike", {"children": frozenset({ANN})}, ["second"]),
        (None, {"needing_more": frozenset({ANN})}, ["second"]),
        (None, {}, []),
    ],
)
async def test_a_child_with_an_own_threshold_and_nobody_else_needs_no_second_credential(
    yard,  # noqa: F811
    faces,
    kind,
    calibrated,
    asked,
):
    yard.store.set_mark(ANN, kind and FaceMark(kind))
    assert with_calibration(yard, faces, **calibrated) == asked
    assert len(yard.door.released) == (not asked)
    await yard.entrance.credentials.handle_card("4711")
    assert len(yard.door.released) == (1 if asked else 2)


@pytest.mark.parametrize(("raised", "opens"), [(0.85, True), (0.95, False)])
async def test_a_threshold_that_rises_within_the_window_counts_for_the_face(yard, faces, raised, opens):  # noqa: F811
    yard.store.set_mark(ANN, FaceMark("alike"))
    yard.entrance._ring.reload_if_changed()
    faces.begin(READY_TO_CALIBRATE)
    show(faces, 0.9)
    faces._calibration._calibrator.now = dataclasses.replace(
        faces._calibration._calibrator.now, thresholds={ANN: raised}
    )
    faces._apply_calibration()
    yard.entrance.faces.stop()
    yard.store.set_access_rules(ANN, [AccessRule(needs_second=True)])
    yard.entrance._ring.reload_if_changed()
    await yard.entrance.credentials.handle_card("4711")
    assert bool(yard.door.released) == opens


async def test_the_calibration_knows_the_marked_children(yard, faces):  # noqa: F811
    yard.store.set_mark(ANN, FaceMark("child", until=NOON))
    yard.entrance._ring.reload_if_changed()
    faces.begin(READY_TO_CALIBRATE)
    assert faces._calibration._calibrator.follow().children == frozenset(), "the mark has ended"
    yard.at = None
    assert faces._calibration._calibrator.follow().children == {ANN}


@pytest.mark.parametrize(("score", "grants"), [(0.89, False), (0.91, True)])
async def test_a_persons_own_threshold_counts_also_with_a_doubtful_frame(yard, faces, score, grants):  # noqa: F811
    faces.begin(READY_TO_CALIBRATE)
    faces._visits.thresholds = {ANN: 0.9}
    probe, begun = np.asarray(face(score), "<f4").tobytes(), time.monotonic() - 0.2
    for number, pad in enumerate([0.4, *[0.9] * 9]):
        at = begun + number / 100
        faces.observe(Observation(1, number, at, (0, 0, 90, 120), 0.9, pad_score=pad, embedding=probe))
    assert ([type(fact) for fact in yard.reported] == [AccessGranted]) == grants


async def test_no_face_is_judged_before_the_first_calibration(yard, faces):  # noqa: F811
    """A restart would otherwise accept faces at a lower threshold for a moment, and twins for each other."""
    faces.begin(AFTER_A_START)
    show(faces, 1.0)
    assert yard.reported == []
    faces._calibration.follow_if_due(time.monotonic())
    await faces._calibration._running
    show(faces, 1.0)
    assert [type(event) for event in yard.reported] == [AccessGranted]


async def test_a_result_in_the_thread_lets_no_face_in_before_it_counts(yard, faces):  # noqa: F811
    """Looks would otherwise use the lower threshold of the table for a moment."""
    faces.begin(AFTER_A_START)
    faces._calibration._calibrator.follow()
    show(faces, 1.0)
    assert yard.reported == []
    faces._apply_calibration()
    show(faces, 1.0)
    assert [type(event) for event in yard.reported] == [AccessGranted]


async def test_a_first_calibration_that_hangs_delays_faces_by_a_minute_only(yard, faces, monkeypatch):  # noqa: F811
    faces.begin(AFTER_A_START)
    may_end = threading.Event()
    monkeypatch.setattr(faces._gallery, "enrolled", may_end.wait)
    now = time.monotonic()
    faces._calibration.follow_if_due(now)
    faces._calibration.follow_if_due(now + FIRST_WAIT_S - 1)
    assert faces._calibration.is_pending
    faces._calibration.follow_if_due(now + FIRST_WAIT_S)
    faces.begin(AFTER_A_START)
    show(faces, 1.0)
    assert [type(event) for event in yard.reported] == [AccessGranted], "the table counts, also after vision restarts"
    may_end.set()
    with suppress(AttributeError):
        await faces._calibration._running


async def test_a_calibration_that_no_thread_can_run_is_postponed(yard, faces, monkeypatch):  # noqa: F811
    faces.begin(AFTER_A_START)

    async def refuse(job):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("gated.access.face_calibration.asyncio.to_thread", refuse)
    now, tasks = time.monotonic(), set()
    for _ in range(3):
        faces._calibration.follow_if_due(now)
        await faces._calibration._running
        tasks.add(faces._calibration._running)
    assert len(tasks) == 1
    show(faces, 1.0)
    assert [type(event) for event in yard.reported] == [AccessGranted], "the table counts"


async def test_an_unexpected_error_postpones_the_calibration_too(yard, faces, monkeypatch):  # noqa: F811
    faces.begin(AFTER_A_START)
    monkeypatch.setattr(faces._gallery, "enrolled", lambda: None)
    now = time.monotonic()
    faces._calibration.follow_if_due(now)
    with pytest.raises(AttributeError):
        await faces._calibration._running
    assert not faces._calibration.is_pending
    assert not faces._calibration._calibrator.is_due(now + 1)


async def test_a_card_opens_before_the_first_calibration(yard, faces):  # noqa: F811
    faces.begin(AFTER_A_START)
    await yard.entrance.credentials.handle_card("4711")
    assert len(yard.door.released) == 1


async def test_a_changed_gallery_is_judged_by_the_calibration_before_it(yard, faces):  # noqa: F811
    consent = Consent(RECOGNISE, "paper-2", "2026-11", NOON)
    with yard.gallery.enrolling():
        bob = np.array([0, 1, 0, 0], np.float32)
        yard.gallery.add(Person(BOB, "Bob", "13", "active", NOON, (consent,)), [bob])
    now = time.monotonic()
    assert [faces._calibration._calibrator.is_due(at) for at in (now, now + LONGEST_PAUSE_S)] == [False, True]
    show(faces, 1.0)
    assert [type(event) for event in yard.reported] == [AccessGranted]


async def test_the_gate_calibrates_and_stores_the_result_without_a_person(yard, faces):  # noqa: F811
    faces.begin(AFTER_A_START)
    running = asyncio.create_task(faces.run())
    path = yard.settings.state / FILE
    for _ in range(200):
        if path.exists():
            break
        await asyncio.sleep(0.1)
    running.cancel()
    stored = stored_calibration(yard.settings.state, READY.model_set)
    assert stored.calibration.reason is Reason.TABLE
    assert stored.calibration.people == 1
    assert ANN not in path.read_text()
    assert faces._calibration.applied.calibration == stored.calibration


async def test_a_restart_of_vision_keeps_the_calibration(yard, faces):  # noqa: F811
    faces.begin(READY_TO_CALIBRATE)
    found = dataclasses.replace(
        faces._calibration._calibrator.now, thresholds={ANN: 0.9}, needing_more=frozenset({ANN})
    )
    faces._calibration._calibrator.now = found
    faces._apply_calibration()
    faces.stop()
    faces.begin(READY_TO_CALIBRATE)
    assert faces._calibration.applied == found
    show(faces, 0.88)
    assert [type(event) for event in yard.reported] == [AccessDenied]
    faces.begin(replace(READY_TO_CALIBRATE, embedder_sha256="f" * 64))
    assert faces._calibration.applied.thresholds == {}, "other models need another calibration"


async def test_looks_and_access_rules_use_the_same_calibration(yard, faces):  # noqa: F811
    """The thread has a result for a child, but the looks of this child do not use its threshold yet."""
    yard.store.set_mark(ANN, FaceMark("child"))
    yard.entrance._ring.reload_if_changed()
    faces.begin(READY_TO_CALIBRATE)
    calibrator = faces._calibration._calibrator
    calibrator.now = dataclasses.replace(calibrator.now, thresholds={ANN: 0.9}, children=frozenset({ANN}))
    show(faces, 0.7)
    assert yard.door.released == []
    faces._apply_calibration()
    show(faces, 0.88)
    assert yard.door.released == []
    show(faces, 0.95)
    assert len(yard.door.released) == 1


async def test_a_failed_calibration_is_tried_again_after_a_pause(yard, faces, monkeypatch):  # noqa: F811
    faces.begin(AFTER_A_START)
    before, tries = faces._calibration.applied, []

    def fail():
        tries.append(1)
        raise IndexError("a damaged index")

    monkeypatch.setattr(faces._gallery, "enrolled", fail)
    now = time.monotonic()
    for _ in range(4):
        faces._calibration.follow_if_due(now)
        await faces._calibration._running
    assert len(tries) == 1
    assert faces._calibration.applied == before
    show(faces, 1.0)
    assert [type(event) for event in yard.reported] == [AccessGranted], "the table counts"
    faces._calibration.follow_if_due(now + LONGEST_PAUSE_S + 60)
    await faces._calibration._running
    assert len(tries) == 2


async def test_a_set_with_one_threshold_is_not_calibrated(yard):  # noqa: F811
    yard.show_face(face=face(0.58))
    (event,) = yard.reported
    assert (type(event), event.threshold) == (AccessGranted, READY.threshold)
    assert yard.entrance.faces._calibration.applied is None

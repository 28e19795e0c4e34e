"""A card or PIN confirms the waiting face of its owner, if the face before the gate is the same."""

import asyncio
import time

import numpy as np
import pytest

from gated.errors import StateError
from gated.events import CredentialGranted, PersonEnrolled, RecordAccepted
from gated.face.vision_messages import Observation
from tests.access.test_entrance import ANN, NOON, SHA, yard  # noqa: F401 - the fixture
from tests.access.test_face_calibration import READY_TO_CALIBRATE, face, faces  # noqa: F401 - the fixture


async def test_a_face_enrolled_here_and_shown_with_a_card_is_announced_to_other_gates(yard):  # noqa: F811
    with yard.gallery.enrolling():
        other = np.array([0, 0, 0, 1], np.float32)
        assert yard.gallery.store_capture(yard.gallery.person(ANN), [other], NOON), "it waits"
    yard.show_face(face=(0, 0, 0, 1))
    await yard.entrance.credentials.handle_card("4711")
    await asyncio.gather(*yard.entrance.faces._confirmation._running)
    assert yard.reported[-2:] == [RecordAccepted(ANN), PersonEnrolled(ANN, 1, "2026-11", SHA)]


@pytest.mark.parametrize("attacks", [0, 3])
async def test_while_a_face_rests_no_card_confirms_another_face(yard, monkeypatch, attacks):  # noqa: F811
    asked = []
    monkeypatch.setattr(yard.gallery, "confirm", lambda *said: asked.append(said))
    for _ in range(attacks):
        yard.show_face(pad_score=0.01)
    yard.show_face(track=2, face=(0, 0, 0, 1))
    await yard.entrance.credentials.handle_card("4711")
    await asyncio.gather(*yard.entrance.faces._confirmation._running)
    assert len(asked) == (0 if attacks else 1)
    assert yard.kinds()[-1] is CredentialGranted


async def test_a_waiting_face_is_confirmed_at_the_persons_own_threshold(yard, faces, monkeypatch):  # noqa: F811
    faces.begin(READY_TO_CALIBRATE)
    faces._visits.thresholds = {ANN: 0.9}
    used = []
    monkeypatch.setattr(faces._gallery, "confirm", lambda *given: used.append(given[-1]))
    for number in range(3):
        at, probe = time.monotonic() - 0.1 + 0.01 * number, face(0.95).astype("<f4").tobytes()
        faces.observe(Observation(9, number, at, (0, 0, 90, 120), 0.9, pad_score=0.9, embedding=probe))
    await yard.entrance.credentials.handle_card("4711")
    await asyncio.gather(*faces._confirmation._running)
    assert used == [0.9]


async def test_a_comparison_that_fails_is_logged_and_the_card_opens(yard, monkeypatch, caplog):  # noqa: F811
    def fail(*_):
        raise StateError("the disk is gone")

    monkeypatch.setattr(yard.gallery, "confirm", fail)
    yard.show_face(face=(0, 0, 0, 1))
    await yard.entrance.credentials.handle_card("4711")
    await asyncio.gather(*yard.entrance.faces._confirmation._running)
    assert yard.kinds()[-1] is CredentialGranted
    assert "a waiting face could not be compared: the disk is gone" in caplog.text
    assert ANN not in caplog.text

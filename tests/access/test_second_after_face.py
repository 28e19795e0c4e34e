"""A face that waits for a card or PIN of the same person: what it must still have when the card or PIN comes."""

from msgspec.structs import replace

from gated.events import AccessDenied
from tests.access.test_entrance import ANN, READY
from tests.access.test_second_credential import SureYard, lock_down, yard  # noqa: F401 - the fixture


async def test_a_face_alone_begins_a_window_and_reports_nothing_yet(yard: SureYard):  # noqa: F811
    yard.show_face()
    assert yard.results == ["second"]
    assert yard.reported == []
    yard.wait()
    assert [(type(event), event.subject) for event in yard.reported] == [(AccessDenied, ANN)]


async def test_a_face_that_is_denied_for_another_reason_begins_no_window(yard: SureYard):  # noqa: F811
    lock_down(yard)
    yard.show_face()
    assert yard.results == []
    assert [event.reason for event in yard.reported if isinstance(event, AccessDenied)] == ["lockdown"]


async def test_a_face_that_was_erased_meanwhile_completes_nothing(yard):  # noqa: F811
    """A person may withdraw the consent to the face and keep the card."""
    yard.show_face()
    with yard.gallery.enrolling():
        yard.gallery._register._people.set_face(ANN, "no templates")
    yard.follow()
    await yard.card()
    assert yard.door.released == []


async def test_a_face_recognised_before_vision_was_lost_still_counts(yard):  # noqa: F811
    """The gate has decided about the face already. A person whom the gate no longer sees could not show it again."""
    yard.show_face()
    yard.entrance.faces.stop()
    await yard.card()
    assert len(yard.door.released) == 1


async def test_attacks_that_vision_saw_before_its_loss_end_the_window_of_the_face(yard):  # noqa: F811
    yard.show_face()
    for track in (2, 3, 4):
        yard.show_face(track=track, pad_score=0.01, looks=2)
        yard.entrance.faces.stop()
    await yard.card()
    assert yard.door.released == []


async def test_a_face_of_another_model_set_does_not_count(yard):  # noqa: F811
    yard.show_face()
    yard.entrance.faces.begin(replace(READY, model_set="site", embedder_sha256="f" * 64))
    await yard.card()
    assert yard.door.released == []

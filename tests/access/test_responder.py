from math import nan

import pytest

from gated.access.access_rules import Refusal
from gated.access.reader_rests import FailureCounts
from gated.access.responder import CAUSED_BY_GATE, CredentialOutcome, PresentedCredential, Responder
from gated.errors import LatchError
from gated.events import CredentialDenied, CredentialGranted, Duress, ReleaseRefused, TooManyAttempts
from gated.people.preferences import Preferences
from gated.types import CredentialKind, SubjectId

ANN = SubjectId("a" * 16)
CARD = PresentedCredential(CredentialKind.CARD, "main", "c" * 16, ANN)


class Street:
    """A stand-in for the gate that records every action in order."""

    def __init__(self):
        self.done = []
        self.responder = Responder(
            FailureCounts(2, 3600, 3600), {"main": 8.0}, self._release, self.done.append, self.done.append
        )

    def _release(self, visit, lease_s, decided_at, door, *, holder=""):
        self.done.append((lease_s, door))

    def kinds(self):
        return [type(each) for each in self.done]


@pytest.fixture
def street():
    return Street()


def test_the_door_is_released_before_cues_and_journal(street):
    assert street.responder.act(CARD, None)
    assert street.kinds() == [tuple, CredentialOutcome, CredentialGranted]
    assert street.done[0] == (8.0, "main")


def test_a_refusal_is_reported_and_releases_nothing(street):
    assert not street.responder.act(CARD, Refusal.EXPIRED)
    assert street.done == [
        CredentialOutcome("refused", "card", "main"),
        CredentialDenied("card", "expired", ANN, CARD.credential),
    ]


@pytest.mark.parametrize("refusal", sorted(set(Refusal) - CAUSED_BY_GATE))
def test_a_refusal_because_of_the_person_counts_as_a_failure(street, refusal):
    street.responder.act(CARD, refusal)
    assert street.responder.may_try("card", "main")
    street.responder.act(CARD, refusal)
    assert street.done[-1] == TooManyAttempts("card", 2)
    assert not street.responder.may_try("card", "main")
    street.responder.reject_resting_card(CARD)
    assert street.done[-1] == CredentialOutcome("resting", "card", "main")


@pytest.mark.parametrize("refusal", sorted(CAUSED_BY_GATE))
def test_a_refusal_because_of_the_gate_does_not_count_as_a_failure(street, refusal):
    for _ in range(10):
        street.responder.act(CARD, refusal)
    assert street.responder.may_try("card", "main")


def test_a_grant_restores_no_failure_of_others(street):
    for _ in range(2):
        street.responder.act(CARD, Refusal.UNKNOWN)
        street.responder.act(CARD, None)
    assert not street.responder.may_try("card", "main")


@pytest.mark.parametrize("refusal", [None, Refusal.SCHEDULE])
def test_a_duress_pin_is_only_in_the_journal(refusal):
    plain, forced = Street(), Street()
    plain.responder.act(PresentedCredential(CredentialKind.PIN, "main", "p", ANN), refusal)
    forced.responder.act(PresentedCredential(CredentialKind.PIN, "main", "p", ANN, is_duress=True), refusal)
    seen, told = forced.done[:-2], forced.done[-1]
    assert seen == plain.done[:-1]
    assert (told.subject, told.door) == (ANN, "main")
    assert isinstance(told, Duress)


def test_if_the_latch_refuses_no_cue_shows_open(street):
    def silent(*_, **__):
        raise LatchError("the latch does not answer")

    responder = Responder(FailureCounts(2, 60, 60), {"main": 8.0}, silent, street.done.append, street.done.append)
    assert not responder.act(CARD, None)
    assert street.kinds() == [CredentialOutcome, CredentialGranted, ReleaseRefused]
    assert street.done[0].result == "refused"
    assert street.done[1].visit == street.done[2].visit


@pytest.mark.parametrize(("wish", "lease_s"), [(None, 8.0), (5.0, 5.0), (30.0, 30.0)])
def test_the_lock_stays_released_for_the_preferred_time(street, wish, lease_s):
    street.responder.act(
        PresentedCredential(CredentialKind.CARD, "main", "c", ANN, preferences=Preferences(release_s=wish)), None
    )
    assert street.done[0] == (lease_s, "main")


def test_every_visit_has_its_own_id(street):
    for _ in range(50):
        street.responder.act(CARD, None)
    assert len({each.visit for each in street.done if isinstance(each, CredentialGranted)}) == 50


def test_at_an_invalid_time_no_credential_is_checked(street, monkeypatch):
    monkeypatch.setattr("time.monotonic", lambda: nan)
    assert not street.responder.may_try("card", "main")

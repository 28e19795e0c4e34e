from math import nan

import pytest

from gated.access.grants import OURS, Answers, Shown, WayOutcome
from gated.access.permissions import Refusal
from gated.access.reader_rests import Attempts
from gated.errors import LatchError
from gated.events import Duress, ReleaseRefused, TooManyAttempts, WayDenied, WayGranted
from gated.people.preferences import Preferences
from gated.types import SubjectId

ANN = SubjectId("a" * 16)
CARD = Shown("card", "main", "c" * 16, ANN)


class Street:
    """A stand-in for the gate that records every action in order."""

    def __init__(self):
        self.done = []
        self.answers = Answers(
            Attempts(2, 3600, 3600), {"main": 8.0}, self._release, self.done.append, self.done.append
        )

    def _release(self, visit, lease_s, decided_at, door, *, whom=""):
        self.done.append((lease_s, door))

    def kinds(self):
        return [type(each) for each in self.done]


@pytest.fixture
def street():
    return Street()


def test_the_door_comes_first_then_the_people_then_the_journal(street):
    assert street.answers.give(CARD, None)
    assert street.kinds() == [tuple, WayOutcome, WayGranted]
    assert street.done[0] == (8.0, "main")


def test_a_refusal_is_told_and_releases_nothing(street):
    assert not street.answers.give(CARD, Refusal.EXPIRED)
    assert street.done == [WayOutcome("refused", "card", "main"), WayDenied("card", "expired", ANN, CARD.credential)]


@pytest.mark.parametrize("refusal", sorted(set(Refusal) - OURS))
def test_whatever_is_refused_for_their_own_sake_counts_as_a_failure(street, refusal):
    street.answers.give(CARD, refusal)
    assert street.answers.may_try("card", "main")
    street.answers.give(CARD, refusal)
    assert street.done[-1] == TooManyAttempts("card", 2)
    assert not street.answers.may_try("card", "main")
    street.answers.unknown(CARD)
    assert street.done[-1] == WayOutcome("resting", "card", "main")


@pytest.mark.parametrize("refusal", sorted(OURS))
def test_whatever_is_refused_for_the_gates_sake_does_not(street, refusal):
    for _ in range(10):
        street.answers.give(CARD, refusal)
    assert street.answers.may_try("card", "main")


def test_a_grant_gives_back_nothing_of_what_others_failed_with(street):
    for _ in range(2):
        street.answers.give(CARD, Refusal.UNKNOWN)
        street.answers.give(CARD, None)
    assert not street.answers.may_try("card", "main")


@pytest.mark.parametrize("refusal", [None, Refusal.SCHEDULE])
def test_a_duress_is_in_the_journal_alone(refusal):
    plain, forced = Street(), Street()
    plain.answers.give(Shown("pin", "main", "p", ANN), refusal)
    forced.answers.give(Shown("pin", "main", "p", ANN, is_duress=True), refusal)
    seen, told = forced.done[:-2], forced.done[-1]
    assert seen == plain.done[:-1]
    assert (told.subject, told.door) == (ANN, "main")
    assert isinstance(told, Duress)


def test_where_the_latch_refuses_people_are_not_told_that_it_is_open(street):
    def silent(*_, **__):
        raise LatchError("the latch does not answer")

    answers = Answers(Attempts(2, 60, 60), {"main": 8.0}, silent, street.done.append, street.done.append)
    assert not answers.give(CARD, None)
    assert street.kinds() == [WayOutcome, WayGranted, ReleaseRefused]
    assert street.done[0].result == "refused"
    assert street.done[1].visit == street.done[2].visit


@pytest.mark.parametrize(("wish", "lease_s"), [(None, 8.0), (5.0, 5.0), (30.0, 30.0)])
def test_the_lock_stays_released_as_long_as_they_asked_for(street, wish, lease_s):
    street.answers.give(Shown("card", "main", "c", ANN, preferences=Preferences(release_s=wish)), None)
    assert street.done[0] == (lease_s, "main")


def test_every_visit_has_an_id_of_its_own(street):
    for _ in range(50):
        street.answers.give(CARD, None)
    assert len({each.visit for each in street.done if isinstance(each, WayGranted)}) == 50


def test_when_the_time_is_no_number_nothing_may_be_tried(street, monkeypatch):
    monkeypatch.setattr("time.monotonic", lambda: nan)
    assert not street.answers.may_try("card", "main")

"""The checker of histories finds each kind of violation. A checker that finds nothing proves nothing."""

import pytest

from gated.access.face_policy import FaceDecision, FaceReason
from gated.access.visits import VisitOutcome
from gated.events import DoorReleased, ReleaseRefused
from tests.fakes.day import DayFact
from tests.fakes.history import violations


def grant(visit):
    return VisitOutcome(visit, FaceDecision(True, FaceReason.MATCH, 3, "0" * 16, 0.9, 0.9), 0.0)


def history(*facts):
    return [DayFact(at, what, 0.0) for at, what in facts]


RELEASED, PRESSED = DoorReleased("grant", 3.0, "a"), DoorReleased("rex", 3.0)


@pytest.mark.parametrize(
    "facts",
    [
        [],
        [(1, grant("a")), (1, RELEASED), (1, "on"), (4, "off")],
        [(1, "press"), (1, PRESSED), (1, "on"), (3, "press"), (3, PRESSED), (6, "off")],
        [(1, grant("a")), (1, ReleaseRefused("a", "too old"))],
        [(1, grant("a")), (1, RELEASED), (1, "on"), (2, "off"), (9, grant("b"))],
    ],
)
def test_a_history_without_a_breach_is_clean(facts):
    assert violations(history(*facts)) == []


@pytest.mark.parametrize(
    ("facts", "breach"),
    [
        ([(1, "on")], "driven on without a release"),
        ([(1, grant("a")), (1, RELEASED), (2, "on"), (3, "off")], "driven on without a release"),
        ([(1, RELEASED), (1, "on"), (2, "off")], "released without a grant"),
        ([(1, grant("b")), (1, RELEASED)], "released without a grant"),
        ([(1, PRESSED), (1, "on"), (2, "off")], "released without a press"),
        ([(1, "press"), (2, PRESSED)], "released without a press"),
        ([(1, grant("a")), (2, grant("a"))], "granted twice"),
        ([(1, grant("a")), (1, RELEASED), (2, RELEASED)], "two releases for one grant"),
        ([(1, grant("a")), (1, RELEASED), (1, "on"), (1, "on"), (2, "off")], "driven on twice"),
        ([(1, grant("a")), (1, RELEASED), (1, "on"), (4.1, "off")], "driven on longer than its lease"),
        ([(1, grant("a")), (1, RELEASED), (1, "on"), (9, "press")], "still driven on"),
    ],
)
def test_each_breach_is_found(facts, breach):
    assert any(breach in problem for problem in violations(history(*facts)))


def test_an_ended_lease_does_not_cover_a_later_drive():
    facts = [(1, grant("a")), (1, RELEASED), (1, "on"), (2, "off"), (3, "on")]
    assert violations(history(*facts))[0] == "3: driven on without a release"

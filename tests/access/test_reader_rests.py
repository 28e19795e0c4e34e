from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gated.access.reader_rests import CHECK_INTERVAL_S, FailureCounts

WAYS, DOORS = ("card", "pin", "pass"), ("main", "second")


@pytest.fixture
def attempts() -> FailureCounts:
    return FailureCounts(limit=3, window_s=60, rest_s=30)


def test_after_the_limit_of_failures_a_credential_kind_rests_and_then_works(attempts: FailureCounts) -> None:
    assert [attempts.record_failure("pin", "main", now) for now in (0, 1, 2)] == [False, False, True]
    assert not attempts.may_try("pin", "main", 2)
    assert not attempts.may_try("pin", "main", 31.9)
    assert attempts.may_try("pin", "main", 32)


def test_failures_of_one_kind_at_one_door_rest_no_other(attempts: FailureCounts) -> None:
    for now in range(3):
        attempts.record_failure("pin", "main", now)
    assert not attempts.may_try("pin", "main", 3)
    for way, door in (("card", "main"), ("pass", "main"), ("pin", "second")):
        assert attempts.may_try(way, door, 3)


def test_old_failures_are_forgotten(attempts: FailureCounts) -> None:
    assert not any(attempts.record_failure("pin", "main", now) for now in range(0, 6100, 61))
    assert attempts.may_try("pin", "main", 6100)


def test_a_failure_exactly_at_the_window_limit_still_counts(attempts: FailureCounts) -> None:
    assert [attempts.record_failure("pin", "main", now) for now in (0, 30, 60)] == [False, False, True]


def test_after_a_rest_the_count_starts_at_zero(attempts: FailureCounts) -> None:
    for now in range(3):
        attempts.record_failure("pin", "main", now)
    assert not attempts.record_failure("pin", "main", 40)
    assert attempts.may_try("pin", "main", 40)


def test_the_same_number_again_is_not_a_second_guess(attempts: FailureCounts) -> None:
    assert not any(attempts.record_failure("card", "main", now, b"one card") for now in range(50))
    assert not attempts.record_failure("card", "main", 50, b"another")
    assert attempts.record_failure("card", "main", 51, b"a third")


def test_a_resting_reader_checks_one_number_a_second(attempts: FailureCounts) -> None:
    assert attempts.wait_s("card", "main", 0) == 0
    attempts.record_check("card", "main", 0)
    assert attempts.wait_s("card", "main", 0) == 0  # not at rest
    for now in range(3):
        attempts.record_failure("card", "main", now)
    attempts.record_check("card", "main", 2.0)
    assert attempts.wait_s("card", "main", 2.25) == CHECK_INTERVAL_S - 0.25
    assert attempts.wait_s("card", "main", 5.0) == 0
    assert attempts.wait_s("card", "second", 2.25) == 0
    assert attempts.wait_s("card", "main", 32.0) == 0


def test_with_a_limit_of_one_the_first_failure_rests() -> None:
    attempts = FailureCounts(limit=1, window_s=60, rest_s=30)
    assert attempts.record_failure("card", "main", 0)
    assert not attempts.may_try("card", "main", 0)


@pytest.mark.parametrize("now", [nan, inf, -inf])
def test_an_invalid_time_denies(attempts: FailureCounts, now: float) -> None:
    assert not attempts.may_try("pin", "main", now)


def test_failures_at_an_invalid_time_count_and_block_no_person_permanently(attempts: FailureCounts) -> None:
    assert not any(attempts.record_failure("pin", "main", nan) for _ in range(100))
    assert attempts.may_try("pin", "main", 5)
    assert attempts.record_failure("pin", "main", 5)
    assert attempts.may_try("pin", "main", 35)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60))
def test_memory_is_bounded_for_any_times(times: list[float]) -> None:
    attempts = FailureCounts(limit=3, window_s=60, rest_s=30)
    for now in times:
        attempts.record_failure("pin", "main", now)
        attempts.may_try("pin", "main", now)
    assert all(len(kept) <= 3 for kept in attempts._failed.values())


class GuessBudget(RuleBasedStateMachine):
    """A person who tries as often as the gate allows, by every credential type and door, while time passes."""

    limit, window_s, rest_s = 4, 60.0, 45.0

    def __init__(self) -> None:
        super().__init__()
        self.attempts = FailureCounts(self.limit, self.window_s, self.rest_s)
        self.now = 0.0
        self.tried: dict[tuple[str, str], list[float]] = {}
        self.began: dict[tuple[str, str], float] = {}

    @rule(s=st.floats(0, 100))
    def wait(self, s: float) -> None:
        self.now += s

    @rule(way=st.sampled_from(WAYS), door=st.sampled_from(DOORS))
    def guess(self, way: str, door: str) -> None:
        if self.attempts.may_try(way, door, self.now):
            self.tried.setdefault((way, door), []).append(self.now)
            if self.attempts.record_failure(way, door, self.now):
                self.began[way, door] = self.now

    @invariant()
    def nobody_guesses_more_than_the_limit_within_the_window_without_a_rest(self) -> None:
        for here, times in self.tried.items():
            recent = [at for at in times if self.now - at <= self.window_s and at > self.began.get(here, -1)]
            assert len(recent) < self.limit

    @invariant()
    def a_rest_holds_for_its_time_and_for_nobody_else(self) -> None:
        for way in WAYS:
            for door in DOORS:
                rests = self.now < self.began.get((way, door), -inf) + self.rest_s
                assert self.attempts.may_try(way, door, self.now) == (not rests)


TestGuessing = GuessBudget.TestCase

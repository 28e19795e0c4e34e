"""A call ends in one of four ways, and the visitor is told which: answered, no answer, office unreachable, or door
opened.
"""

import asyncio
import contextlib
import time

import pytest

from gated.access.calls import CALL_ANSWER_S, CALL_WAIT_S, NO_CALL, PROOF_S, SEVERAL_CALLS, Calls
from gated.events import CallAnswered, CallEnded, CallPressed, Degraded, DoorReleased

STATUS_S = 60.0


class Gate:
    """Calls at a gate with a clock, a connection and an office that the test controls."""

    def __init__(self):
        self.now, self.is_linked, self.is_heard, self.told = 100.0, True, True, []
        self.calls = Calls(self._tell, lambda: self.is_linked, STATUS_S, monotonic=lambda: self.now)

    def _tell(self, fact):
        self.told.append(fact)
        self.calls.handle_event(fact)

    def press(self, door="main"):
        before = self.calls.count
        self.calls.handle_event(CallPressed(door))
        if self.is_linked and self.is_heard and self.calls.count != before:
            self.calls.record_proof(self.now)

    def wait(self, seconds):
        self.now += seconds
        if self.is_linked and self.is_heard:
            self.calls.record_proof(self.now)
        self.calls.tick()

    def lose(self):
        self.is_linked = False
        self.calls.handle_event(Degraded(["network"]))

    def answer(self, answer, door=""):
        at, why = self.calls.door_of(door)
        if not why:
            self.calls.apply_answer(at, answer)
        return why


@pytest.fixture
def gate():
    return Gate()


def test_an_unanswered_call_ends_after_a_minute(gate):
    gate.press()
    gate.wait(CALL_ANSWER_S - 1)
    assert gate.told == []
    gate.wait(1)
    assert gate.told == [CallEnded("unanswered")]
    gate.wait(1000)
    assert len(gate.told) == 1
    assert CALL_ANSWER_S == 60.0


@pytest.mark.parametrize("answer", ["opening", "nobody"])
def test_an_answer_ends_the_call_and_a_second_operator_learns_it(gate, answer):
    gate.press()
    assert gate.answer(answer) == ""
    assert gate.answer("opening") == NO_CALL
    gate.wait(1000)
    assert gate.told == [CallAnswered(answer=answer)]


def test_a_waiting_caller_can_be_let_in_by_the_next_operator(gate):
    gate.press()
    gate.wait(50)
    assert gate.answer("wait") == ""
    gate.wait(CALL_ANSWER_S)
    assert gate.answer("wait") == ""
    assert gate.answer("opening") == ""
    assert [fact.answer for fact in gate.told] == ["wait", "wait", "opening"]


def test_a_caller_who_waits_in_vain_is_informed(gate):
    gate.press()
    gate.answer("wait")
    gate.wait(CALL_WAIT_S)
    assert gate.told == [CallAnswered(answer="wait"), CallEnded("unanswered")]


def test_a_call_that_is_over_cannot_be_answered(gate):
    assert gate.answer("opening") == NO_CALL
    gate.press()
    gate.wait(CALL_ANSWER_S)
    assert gate.answer("opening") == NO_CALL
    assert gate.told == [CallEnded("unanswered")]


def test_a_second_press_does_not_delay_the_end_of_an_unanswered_call(gate):
    gate.press()
    gate.wait(50)
    gate.press()
    gate.wait(10)
    assert gate.told == [CallEnded("unanswered")]


def test_a_press_after_wait_or_after_the_end_starts_a_new_call(gate):
    gate.press()
    gate.answer("wait")
    gate.wait(100)
    gate.press()
    gate.wait(CALL_ANSWER_S)
    assert gate.told[-1] == CallEnded("unanswered")
    gate.press()
    assert gate.answer("nobody") == ""


def test_without_a_link_the_caller_is_informed_at_once(gate):
    gate.is_linked = False
    gate.press()
    assert gate.told == [CallEnded("unreachable")]
    gate.wait(1000)
    assert len(gate.told) == 1


def test_a_link_lost_during_the_call_ends_it_at_once(gate):
    gate.press()
    gate.wait(20)
    gate.lose()
    assert gate.told == [CallEnded("unreachable")]
    gate.is_linked = True
    gate.calls.handle_event(Degraded([]))
    assert gate.answer("wait") == NO_CALL


def test_the_loss_of_another_part_ends_no_call(gate):
    gate.press()
    gate.calls.handle_event(Degraded(["vision"]))
    assert gate.told == []


def test_a_waiting_caller_keeps_waiting_after_the_link_is_lost(gate):
    gate.press()
    gate.answer("wait")
    gate.lose()
    assert gate.told == [CallAnswered(answer="wait")]


def test_calls_at_two_doors_are_independent(gate):
    gate.press("main")
    gate.press("second")
    assert gate.answer("wait") == SEVERAL_CALLS
    assert gate.answer("nobody", "second") == ""
    assert gate.answer("wait") == ""
    assert gate.told == [CallAnswered("second", answer="nobody"), CallAnswered("main", answer="wait")]
    assert gate.answer("wait", "second") == NO_CALL


@pytest.mark.parametrize("cause", ["grant", "rex"])
def test_an_opened_door_ends_only_its_own_call(gate, cause):
    gate.press("main")
    gate.press("second")
    gate.calls.handle_event(DoorReleased(cause, 8.0, door="main"))
    assert gate.told == [CallEnded("opened", "main")]
    gate.wait(CALL_ANSWER_S)
    assert gate.told[-1] == CallEnded("unanswered", "second")


def test_the_release_that_answers_a_call_does_not_end_it_twice(gate):
    gate.press()
    gate.answer("opening")
    gate.calls.handle_event(DoorReleased("grant", 8.0))
    assert gate.told == [CallAnswered(answer="opening")]


async def test_a_call_ends_without_any_input(monkeypatch):
    monkeypatch.setattr("gated.access.calls.CALL_ANSWER_S", 0.05)
    told = []
    calls = Calls(told.append, lambda: True, STATUS_S)
    task = asyncio.create_task(calls.run())
    await asyncio.sleep(0)
    calls.handle_event(CallPressed())
    calls.record_proof(time.monotonic())
    async with asyncio.timeout(20):
        while not told:
            await asyncio.sleep(0.01)
    assert told == [CallEnded("unanswered")]
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def test_an_unproved_call_is_reported_unheard_after_seconds(gate):
    gate.is_heard = False
    gate.press()
    gate.wait(PROOF_S - 0.1)
    assert gate.told == []
    gate.wait(0.1)
    assert gate.told == [CallEnded("unreachable")]
    assert PROOF_S <= 5.0


def test_after_an_unheard_call_the_next_one_is_reported_unheard_at_once(gate):
    gate.is_heard = False
    gate.press()
    gate.wait(PROOF_S)
    gate.wait(1)
    gate.press()
    assert gate.told == [CallEnded("unreachable")] * 2


def test_a_call_fails_at_once_if_the_last_status_is_unanswered(gate):
    gate.is_heard = False
    gate.wait(STATUS_S + PROOF_S + 0.1)
    gate.press()
    assert gate.told == [CallEnded("unreachable")]


def test_after_an_outage_the_office_gets_time_to_answer(gate):
    gate.lose()
    gate.wait(10 * STATUS_S)
    gate.is_linked = True
    gate.calls.handle_event(Degraded([]))
    gate.press()
    assert gate.told == []


def test_a_returned_office_receives_the_next_call(gate):
    gate.is_heard = False
    gate.wait(STATUS_S * 3)
    gate.press()
    gate.calls.record_proof(gate.now)
    gate.is_heard = True
    gate.press()
    gate.wait(PROOF_S)
    assert gate.told == [CallEnded("unreachable")]
    assert gate.answer("nobody") == ""


def test_a_proof_older_than_the_call_does_not_count(gate):
    gate.is_heard = False
    gate.press()
    gate.calls.record_proof(gate.now - 0.1)
    gate.wait(PROOF_S)
    assert gate.told == [CallEnded("unreachable")]


def test_every_call_requests_a_proof_and_a_second_press_does_not(gate):
    gate.press()
    gate.press()
    assert gate.calls.count == 1
    gate.press("second")
    gate.answer("wait", "main")
    gate.press("main")
    assert gate.calls.count == 3


def test_an_answer_of_wait_proves_that_the_call_arrived(gate):
    gate.is_heard = False
    gate.press()
    gate.answer("wait")
    gate.wait(PROOF_S)
    assert gate.told == [CallAnswered(answer="wait")]


def test_the_loss_of_the_link_ends_both_calls(gate):
    gate.press("main")
    gate.press("second")
    gate.lose()
    assert gate.told == [CallEnded("unreachable", "main"), CallEnded("unreachable", "second")]


async def test_an_unheard_call_is_reported_without_any_input(monkeypatch):
    monkeypatch.setattr("gated.access.calls.PROOF_S", 0.05)
    told = []
    calls = Calls(told.append, lambda: True, STATUS_S)
    task = asyncio.create_task(calls.run())
    await asyncio.sleep(0)
    calls.handle_event(CallPressed())
    async with asyncio.timeout(20):
        while not told:
            await asyncio.sleep(0.01)
    assert told == [CallEnded("unreachable")]
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

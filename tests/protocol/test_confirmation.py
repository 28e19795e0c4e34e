"""Only a fresh answer to the gate's own question says that a command is still wanted. A no is final."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.errors import WithdrawnError
from gated.protocol import confirmation
from gated.protocol.command_messages import Command, Confirmation, ConfirmationRequest, Progress, ReleaseDoor
from gated.protocol.confirmation import CONFIRM_INTERVAL_S, CONFIRM_TIMEOUT_S, CONFIRM_VALID_S, Question
from gated.sync.operator_dialog import OperatorDialog

ORDER = "0a" * 16
US = {"site": "market-south", "gate": "gate-2"}


def yes(nonce, order=ORDER):
    return Confirmation(**US, command=order, nonce=nonce, is_wanted=True)


def test_an_answer_is_valid_for_5_s_from_its_question():
    question = Question(ORDER)
    question.handle_answer(yes(question.ask(10.0)), 13.0)
    assert question.is_wanted(10.0 + CONFIRM_VALID_S)
    assert not question.is_wanted(10.0 + CONFIRM_VALID_S + 0.1)


def test_a_late_unknown_or_repeated_answer_is_ignored():
    question = Question(ORDER)
    nonce = question.ask(10.0)
    for answer, at in ((yes(nonce), 15.1), (yes("f" * 32), 11.0), (yes(""), 11.0), (yes(nonce, "0b" * 16), 11.0)):
        question.handle_answer(answer, at)
        assert not question.is_wanted(at)
    fresh = question.ask(20.0)
    question.handle_answer(yes(fresh), 21.0)
    assert question.is_wanted(25.0)
    question.handle_answer(yes(fresh), 26.0)
    assert not question.is_wanted(26.0)


def test_a_no_is_final_with_or_without_a_nonce():
    for nonce in ("", "x"):
        question = Question(ORDER)
        first, second = question.ask(1.0), question.ask(2.0)
        question.handle_answer(yes(first), 2.0)
        question.handle_answer(Confirmation(**US, command=ORDER, nonce=nonce, why="gone"), 2.1)
        question.handle_answer(yes(second), 2.2)
        assert not question.is_wanted(2.2)
        assert question.refusal == "gone"


def test_a_question_is_repeated_after_a_second_at_any_polling_rate():
    question = Question(ORDER)
    first = question.ask(10.0)
    assert [question.ask(10.0 + CONFIRM_INTERVAL_S * share) for share in (0.0, 0.5, 0.99)] == [None] * 3
    assert question.ask(10.0 + CONFIRM_INTERVAL_S) not in (None, first)


def test_an_unanswered_question_is_given_up_after_90_s():
    question = Question(ORDER)
    asked = [nonce for second in range(200) if (nonce := question.ask(10.0 + second))]
    assert len(set(asked)) == len(asked) == CONFIRM_TIMEOUT_S
    assert "did not confirm it within 90 s" in question.refusal
    question.handle_answer(yes(asked[-1]), 10.0 + CONFIRM_TIMEOUT_S)
    assert not question.is_wanted(10.0 + CONFIRM_TIMEOUT_S)


@given(st.lists(st.tuples(st.sampled_from(["ask", "yes", "old", "no", "wait"]), st.floats(0, 10)), max_size=40))
def test_a_confirmation_is_valid_at_most_5_s_after_its_question_whatever_a_broker_does(steps):
    question, now, nonces, answered, is_over = Question(ORDER), 0.0, [], [], False
    for step, wait_s in steps:
        now += wait_s
        if step == "ask" and (nonce := question.ask(now)):
            nonces.append((nonce, now))
        elif step == "yes" and nonces:
            nonce, at = nonces[-1]
            question.handle_answer(yes(nonce), now)
            answered.append(at)
        elif step == "old" and nonces:
            question.handle_answer(yes(nonces[0][0]), now)
            answered.append(nonces[0][1])
        elif step == "no":
            question.handle_answer(Confirmation(**US, command=ORDER), now)
            is_over = True
        if question.is_wanted(now):
            assert not is_over
            assert any(now - at <= CONFIRM_VALID_S for at in answered)


class Office:
    """A fake office that gives the set answer to each question and keeps what it heard."""

    def __init__(self, answer):
        command = Command(**US, id=ORDER, number=1, at="", operator="li", action=ReleaseDoor())
        self.said, self.answer = [], answer
        self.talk = OperatorDialog(command, self._receive)

    def _receive(self, message):
        self.said.append(message)
        if isinstance(message, ConfirmationRequest) and self.answer is not None:
            self.talk.handle_confirmation(Confirmation(**US, command=ORDER, nonce=message.nonce, is_wanted=self.answer))


async def test_a_gate_asks_until_it_gets_an_answer(monkeypatch):
    monkeypatch.setattr(confirmation, "CONFIRM_INTERVAL_S", 0.01)
    office = Office(None)
    asking = asyncio.create_task(office.talk.confirm("5 looks"))
    while len(office.said) < 3:
        await asyncio.sleep(0.01)
    assert len({ask.nonce for ask in office.said}) == len(office.said)
    office.answer = True
    assert await asking > 0


async def test_a_no_or_a_missing_answer_ends_the_command(monkeypatch):
    monkeypatch.setattr(confirmation, "CONFIRM_INTERVAL_S", 0.01)
    office = Office(False)
    with pytest.raises(WithdrawnError, match="nothing was done"):
        await office.talk.confirm("5 looks")
    assert office.talk.withdrawn.is_set()
    monkeypatch.setattr(confirmation, "CONFIRM_TIMEOUT_S", 0.05)
    with pytest.raises(WithdrawnError, match="did not confirm it"):
        await Office(None).talk.confirm("5 looks")


def test_the_operator_gets_each_new_progress_text_once():
    office = Office(None)
    for says in ("1 of 5", "1 of 5", "2 of 5"):
        office.talk.show_progress(says)
    assert office.said == [Progress(**US, command=ORDER, says=says) for says in ("1 of 5", "2 of 5")]

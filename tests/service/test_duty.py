"""The loss of a part is told once, and its return is told once."""

import pytest

from gated.events import Degraded, WorkerLost, WorkerReady
from gated.service.duty import Duty


@pytest.fixture
def told():
    return []


@pytest.fixture
def duty(told):
    return Duty(told.append)


def test_a_loss_and_its_end_are_each_reported_once(duty, told):
    for why in ("the disk is full", "the disk is full", None, None):
        duty.set("journal", why)
    assert told == [Degraded(["journal"]), Degraded([])]


def test_all_losses_are_told_together_in_order(duty, told):
    duty.set("vision", "dark")
    duty.set("clock", "unknown")
    assert told[-1] == Degraded(["clock", "vision"])
    assert duty.lost == ["clock", "vision"]


def test_a_worker_that_fails_for_the_same_reason_again_is_no_news(duty, told):
    for _ in range(3):
        duty.fails("vision", "camera: unplugged")
    duty.fails("vision", "models: altered")
    assert [fact for fact in told if isinstance(fact, WorkerLost)] == [
        WorkerLost("vision", "camera: unplugged"),
        WorkerLost("vision", "models: altered"),
    ]
    assert told.count(Degraded(["vision"])) == 1


def test_a_worker_that_works_again_is_told_and_no_loss_any_more(duty, told):
    duty.fails("latch", "it does not answer")
    duty.works("latch")
    assert told[-2:] == [WorkerReady("latch"), Degraded([])]


@pytest.mark.parametrize("how", ["works", "fails"])
def test_a_worker_has_answered_when_it_works_or_fails(duty, how):
    assert not duty.answered["vision"].is_set()
    duty.works("vision") if how == "works" else duty.fails("vision", "no camera")
    assert duty.answered["vision"].is_set()


def test_the_log_says_why(duty, caplog):
    duty.set("network", "no route")
    assert "network is lost: no route" in caplog.text


class TestWhatTheLatchHasToDoWithout:
    def test_it_is_told_once_while_it_lasts_and_once_when_it_is_over(self, duty, told, caplog):
        for _ in range(3):
            duty.misses({"lamps": "pin 5 is busy", "keypad": "pin 9 is busy"})
        duty.misses({"keypad": "pin 9 is busy, try 2"})
        duty.misses({})
        assert told == [Degraded(["keypad", "lamps"]), Degraded(["keypad"]), Degraded([])]
        assert caplog.text.count("lamps is missing: pin 5 is busy") == 1

    def test_it_is_no_reason_to_forget_what_else_is_lost(self, duty, told):
        duty.set("clock", "nothing keeps it")
        duty.misses({"lamps": "pin 5 is busy"})
        duty.misses({})
        assert told[-1] == Degraded(["clock"])

"""The loss of a part is told once, and its return is told once."""

import asyncio

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


def test_all_losses_are_reported_together_in_order(duty, told):
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


def test_a_recovered_worker_is_reported_and_is_no_loss(duty, told):
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
    def test_a_missing_part_is_reported_once_and_its_return_once(self, duty, told, caplog):
        for _ in range(3):
            duty.misses({"lamps": "pin 5 is busy", "keypad": "pin 9 is busy"})
        duty.misses({"keypad": "pin 9 is busy, try 2"})
        duty.misses({})
        assert told == [Degraded(["keypad", "lamps"]), Degraded(["keypad"]), Degraded([])]
        assert caplog.text.count("lamps is missing: pin 5 is busy") == 1

    def test_a_missing_part_leaves_other_lost_parts_lost(self, duty, told):
        duty.set("clock", "nothing keeps it")
        duty.misses({"lamps": "pin 5 is busy"})
        duty.misses({})
        assert told[-1] == Degraded(["clock"])


@pytest.mark.parametrize("part", ["disk", "credentials", "gallery"])
def test_files_are_opened_again_once_when_a_part_on_disk_works_again(part):
    calls = []
    duty = Duty(lambda _: None, lambda: calls.append(part))
    duty.set(part, None)
    duty.set(part, "read-only")
    assert calls == []
    duty.set(part, None)
    duty.set(part, None)
    assert calls == [part]


def test_the_return_of_another_part_opens_no_file_again():
    calls = []
    duty = Duty(lambda _: None, lambda: calls.append(1))
    for why in ("dark", None):
        duty.set("vision", why)
    assert calls == []


@pytest.mark.parametrize("part", ["network", "server", "sync", "journal"])
def test_the_office_is_out_of_reach_while_a_part_of_the_link_is_lost(duty, part):
    assert duty.reaches_office
    duty.set("camera", "dark")
    assert duty.reaches_office
    duty.set(part, "broken")
    assert not duty.reaches_office


async def test_a_silent_worker_is_lost_after_its_time_and_an_answering_one_is_not(duty):
    duty.works("latch")
    await duty.wait_for_workers(asyncio.Event(), 0.01)
    assert duty.lost == ["vision"]


async def test_a_stop_request_ends_the_wait_and_loses_no_worker(duty):
    stop = asyncio.Event()
    stop.set()
    await duty.wait_for_workers(stop, 60.0)
    assert duty.lost == []

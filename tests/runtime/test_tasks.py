"""The end of a critical task ends the process. The wait between tries grows."""

import asyncio

import pytest

from gated.errors import StateError
from gated.runtime import tasks
from gated.runtime.tasks import Backoff, CriticalTaskError, critical, first_of


async def test_a_critical_task_that_raises_ends_the_process():
    async def fails():
        raise ValueError("broken")

    with pytest.raises(CriticalTaskError, match="eyes failed .*broken"):
        await critical("eyes", fails)


async def test_a_critical_task_that_returns_ends_the_process_too():
    async def returns():
        return

    with pytest.raises(CriticalTaskError, match="ended, and must not end"):
        await critical("eyes", returns)


async def test_a_critical_task_may_be_cancelled():
    async def waits():
        await asyncio.Event().wait()

    task = asyncio.ensure_future(critical("eyes", waits))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_waits_double_up_to_the_longest_and_start_over():
    backoff = Backoff(first_s=1, most_s=8)
    for whole in (1, 2, 4, 8, 8, 8):
        assert whole / 2 <= backoff.next_s() <= whole
    backoff.reset()
    assert backoff.next_s() <= 1


class Part:
    """A part that fails with each of these errors in turn and then works."""

    def __init__(self, *errors):
        self.errors, self.lives = list(errors), 0

    async def run(self, works):
        self.lives += 1
        if self.errors:
            raise self.errors.pop(0)
        works()
        await tasks.until_cancelled()


async def told_by(part, until_told, **waits):
    """Run an optional part until it has reported that many changes. Returns the reports."""
    told = []
    task = asyncio.create_task(tasks.optional("screen", part.run, lambda *loss: told.append(loss), **waits))
    async with asyncio.timeout(20):
        while len(told) < until_told:
            await asyncio.sleep(0.005)
    assert not task.done()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    return told


async def test_an_optional_part_that_fails_by_whatever_error_is_lost_and_tried_again():
    part = Part(StateError("no key"), OSError(98, "Address already in use"), ZeroDivisionError("of ours"))
    told = await told_by(part, 4, first_s=0.01)
    assert [name for name, _ in told] == ["screen"] * 4
    assert [why for _, why in told][::3] == ["no key", None]
    assert "Address already in use" in told[1][1]
    assert "ZeroDivisionError" in told[2][1]
    assert "of ours" not in told[2][1], "the words of an error inside may be about somebody"


async def test_an_optional_part_that_returns_begins_anew_and_is_not_lost():
    part = Part()

    async def run(works):
        part.lives += 1
        works()
        if part.lives == 3:
            await tasks.until_cancelled()

    part.run = run
    assert await told_by(part, 3, first_s=0.01) == [("screen", None)] * 3


async def test_a_failing_part_is_tried_less_and_less_often():
    part = Part(*(OSError("gone") for _ in range(1000)))
    began = asyncio.get_running_loop().time()
    await told_by(part, 5, first_s=0.02, most_s=0.04)
    assert asyncio.get_running_loop().time() - began >= 0.01 + 3 * 0.02


async def test_the_first_work_that_ends_ends_the_others_and_its_error_is_raised():
    ended = []

    async def fails() -> None:
        raise OSError("the link is gone")

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("waits")

    with pytest.raises(OSError, match="the link is gone"):
        await first_of(waits(), fails(), name="test")
    assert ended == ["waits"]


async def test_a_work_that_fails_while_it_is_cancelled_loses_no_cancellation():
    async def fails_when_cancelled() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("too late")

    task = asyncio.create_task(first_of(fails_when_cancelled(), name="test"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

"""Critical tasks are deadly, and waits between tries grow."""

import asyncio

import pytest

from gated.runtime.tasks import Backoff, CriticalTaskError, critical


async def test_a_critical_task_that_raises_ends_the_process():
    async def fails():
        raise ValueError("broken")

    with pytest.raises(CriticalTaskError, match="eyes failed .*broken"):
        await critical("eyes", fails)


async def test_a_critical_task_that_returns_ends_the_process_too():
    async def returns():
        return

    with pytest.raises(CriticalTaskError, match="returned"):
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

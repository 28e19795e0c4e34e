"""Tests that a worker started early is used first, and is never lost."""

import pytest

from gated.errors import WireError
from gated.runtime.starter import Starter


class Workers:
    """Workers with numbers. `fail` makes the next start fail with this error."""

    def __init__(self):
        self.started, self.ended, self.fail = 0, [], None

    async def start(self):
        if self.fail is not None:
            raise self.fail
        self.started += 1
        return self.started

    async def end(self, worker):
        self.ended.append(worker)


@pytest.fixture
def workers():
    return Workers()


@pytest.fixture
def starter(workers):
    return Starter(workers.start, workers.end)


async def test_a_worker_is_started_when_it_is_needed(starter, workers):
    assert [await starter.start(), await starter.start()] == [1, 2]
    assert not starter.has_early


async def test_the_early_worker_is_the_first_one_and_serves_once(starter, workers):
    await starter.start_early()
    assert starter.has_early
    assert workers.started == 1
    assert await starter.start() == 1
    assert not starter.has_early
    assert await starter.start() == 2


async def test_an_early_worker_without_a_user_is_ended_once(starter, workers):
    await starter.start_early()
    await starter.aclose()
    await starter.aclose()
    assert workers.ended == [1]


async def test_a_worker_in_use_is_not_ended_by_its_starter(starter, workers):
    """Its user ends it. Its process id may belong to another process by the time of the close."""
    await starter.start_early()
    await starter.start()
    await starter.aclose()
    assert workers.ended == []


@pytest.mark.parametrize("error", [ConnectionRefusedError(), WireError("too long")])
async def test_a_failed_early_start_is_reported_by_the_next_start(starter, workers, error):
    workers.fail = error
    await starter.start_early()
    assert not starter.has_early
    with pytest.raises(type(error)):
        await starter.start()
    workers.fail = None
    assert await starter.start() == 1


async def test_nothing_is_ended_where_nothing_was_started_early(starter, workers):
    await starter.aclose()
    assert workers.ended == []

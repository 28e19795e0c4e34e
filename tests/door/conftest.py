"""A latch as a real process on mock pins, and a brain that connects to it."""

import asyncio
import contextlib
import time
from datetime import datetime

import pytest

from gated.door.latch_client import LatchClient


class Brain:
    """The product's client of the latch. It records everything that it receives."""

    def __init__(self, gate) -> None:
        self.events, self.times, self.links, self.cards, self.keys = [], [], [], [], []
        self.received_at = []
        """The arrival time of each event, in monotonic seconds."""
        self.door = LatchClient(
            gate.state / "latch.sock",
            self._report,
            lambda up, why: self.links.append((up, why)),
            lambda bits, door: self.cards.append((bits, door)),
            lambda key, door: self.keys.append((key, door)),
        )

    async def __aenter__(self):
        self.task = asyncio.create_task(self.door.run())
        await until(lambda: self.door.is_linked)
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    def release(self, lease_s=2.0, age_s=0.0, **more) -> None:
        self.door.release("visit", lease_s, time.monotonic() - age_s, **more)

    async def receives(self, event) -> None:
        """Wait until it has received this event."""
        await until(lambda: event in self.events)

    def _report(self, event, at: datetime) -> None:
        self.events.append(event)
        self.times.append(at)
        self.received_at.append(time.monotonic())


async def until(condition, timeout_s=10.0):
    """Wait until a condition holds. Raises `TimeoutError` if it does not in time."""
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture(name="until")
def _until():
    return until


@pytest.fixture
def link(gate):
    """Return a function that makes a brain. In `async with` it is linked to the gate's latch."""
    return lambda: Brain(gate)


@pytest.fixture
def latch(gate, wait_for):
    """The gate's latch process, with the settings at the time of the request."""
    process = gate.start("latch")
    wait_for((gate.state / "latch.sock").exists)
    yield process
    process.terminate()
    process.wait(5)

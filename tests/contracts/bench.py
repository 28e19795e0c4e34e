"""A bench: a gate's parts on a table, and whoever tries them from outside. On a Pi it is copper and a person
(`hw_tests/bench.py`), on a desk mock pins and a script (`tests/hw/conftest.py`); the promises beside this file are
tried on both alike.
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from contracts.daemon import Daemon

from gated.frame import Camera

needs = pytest.mark.needs
"""What must be there for a promise to be tried, in the words of `hw_tests/wiring.py`."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long and how often something is tried, and how patiently."""

    starts: int = 10
    presses: int = 20
    frames: int = 100
    spinners: int = 4
    """Processes that keep a core busy each."""
    light_s: float = 8.0
    """So long the camera is watched while the light changes."""
    soak_s: float = 3600.0
    look_s: float = 10.0
    """The pause between two looks at a gate that is being soaked."""
    slack_s: float = 0.0
    """What everything may take longer here: nothing on a bench; on a desk somebody else has the cores."""
    patience_s: float = 60.0
    """So long a person, or a process that starts, may take."""

    def within(self, seconds: float) -> float:
        """What takes so long at a gate may take this long here."""
        return seconds + self.slack_s


@dataclass(frozen=True, slots=True)
class Edge:
    """A change of the line that the relay sees; `at` in monotonic seconds."""

    at: float
    is_on: bool


@dataclass(frozen=True, slots=True)
class Pulse:
    """A low on a line of a card reader: D0 or D1, when it began (monotonic seconds) and how long it was."""

    line: int
    at: float
    width_s: float


@dataclass(frozen=True, slots=True)
class Vitals:
    """How the board is. `throttled`: the bits of `vcgencmd get_throttled`."""

    temperature_c: float
    throttled: int


class Person(Protocol):
    """Whoever stands at the bench."""

    def tell(self, text: str) -> None:
        """Show a line; nobody answers."""

    async def please(self, deed: str) -> None:
        """Ask for something, and come back when it is done."""

    async def sees(self, claim: str) -> bool:
        """Whether a claim is true."""

    async def number(self, question: str) -> int:
        """A number that only a person can know."""


class Bench(Protocol):
    """A gate's parts, and what can be seen and done from outside. Whoever makes one closes it: then the lock is off."""

    pace: Pace
    person: Person
    folder: Path
    """What is in it outlives a power cut."""
    latch: Daemon
    gate: Daemon
    lamps: Sequence[str]
    keys: str
    """Of the matrix keypad, row by row."""
    reader: str
    """The path of the USB reader."""
    sound: str
    """The loudspeaker, as ALSA has it."""

    def note(self, what: str, value: str) -> None:
        """Something for the report."""

    def is_on(self) -> bool:
        """Whether the relay is told to let people pass, by the line that it sees."""

    def edges(self, since: float) -> Sequence[Edge]:
        """How that has changed since a monotonic second."""

    async def press(self, is_pressed: bool) -> None:
        """Press the exit button, or let it go."""

    def camera(self) -> Camera:
        """The camera, still to be opened."""

    def pulses(self) -> AbstractAsyncContextManager[list[Pulse]]:
        """What comes on the card reader's lines meanwhile. No latch may have them."""

    def vitals(self) -> Vitals:
        """How the board is now."""

    def boot(self) -> str:
        """Another word after every start of the machine."""

    def has_power(self) -> bool:
        """Whether to go on; where the power is really cut nobody ever hears that it is gone."""


async def until(true: Callable[[], object], timeout_s: float, why: str) -> float:
    """Wait until something holds, and give when that was, in monotonic seconds; fails with the reason."""
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, f"{why} (waited {timeout_s:g} s)"
        await asyncio.sleep(0.005)
    return time.monotonic()


@contextlib.contextmanager
def busy(spinners: int) -> Iterator[None]:
    """So many cores have nothing else to do."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(spinners)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextlib.asynccontextmanager
async def released(bench: Bench, lease_s: float = 20.0) -> AsyncIterator[None]:
    """The lock is released by a brain's grant, at first; the latch runs, at first."""
    bench.latch.start(bench.pace.patience_s)
    async with bench.latch.brain() as brain:
        brain.door.release("bench", lease_s, time.monotonic())
        await until(bench.is_on, bench.pace.within(1.0), "a release does not reach the relay's line")
        yield


def quantile(values: Sequence[float], part: float) -> float:
    """The value that so great a part of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]

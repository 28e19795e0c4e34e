"""The bench of a gate: its parts on a table, and a person who operates them.

On a Pi the bench has real pins and a person (`hw_tests/bench.py`), on a desk mock pins and a script
(`tests/hw/desk.py`). Both run the same promises, in the modules beside this one.
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
"""Parts that a promise needs, by the names of `hw_tests/wiring.py`."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Durations, repetitions and time limits of the tests."""

    starts: int = 10
    presses: int = 20
    frames: int = 100
    spinners: int = 4
    """Number of processes that each keep a core busy."""
    light_s: float = 8.0
    """Time to watch the camera while the light changes."""
    soak_s: float = 3600.0
    look_s: float = 10.0
    """Pause between two checks in the endurance test."""
    slack_s: float = 0.0
    """Added to every time limit: 0 on a bench, more on a desk with other load."""
    patience_s: float = 60.0
    """Longest time for a person, or for a process to start."""

    def within(self, seconds: float) -> float:
        """Return the time limit here for a time limit of a gate."""
        return seconds + self.slack_s


@dataclass(frozen=True, slots=True)
class Edge:
    """A change of the relay's line. `at`: monotonic seconds."""

    at: float
    is_on: bool


@dataclass(frozen=True, slots=True)
class Pulse:
    """A low pulse on D0 or D1 of a card reader: line, start (monotonic seconds) and width."""

    line: int
    at: float
    width_s: float


@dataclass(frozen=True, slots=True)
class Vitals:
    """State of the board. `throttled`: the bits of `vcgencmd get_throttled`."""

    temperature_c: float
    throttled: int


class Person(Protocol):
    """The person at the bench."""

    def show(self, text: str) -> None:
        """Show a line without a question."""

    async def please(self, deed: str) -> None:
        """Ask for an action, and return when it is done."""

    async def sees(self, claim: str) -> bool:
        """Ask whether a claim is true."""

    async def number(self, question: str) -> int:
        """Ask for a number."""


class Bench(Protocol):
    """A gate's parts, operated and observed from outside. The creator closes it, which leaves the relay off."""

    pace: Pace
    person: Person
    folder: Path
    """Its files survive a power cut."""
    latch: Daemon
    gate: Daemon
    lamps: Sequence[str]
    keys: str
    """Of the matrix keypad, row by row."""
    reader: str
    """Path of the USB reader."""
    sound: str
    """The loudspeaker's ALSA device."""

    def note(self, what: str, value: str) -> None:
        """Add a note to the report."""

    def is_on(self) -> bool:
        """Return whether the relay's line is on."""

    def edges(self, since: float) -> Sequence[Edge]:
        """Return the changes of the relay's line since a monotonic time."""

    async def press(self, is_pressed: bool) -> None:
        """Press or release the exit button."""

    def camera(self) -> Camera:
        """Return the camera, not yet opened."""

    def pulses(self) -> AbstractAsyncContextManager[list[Pulse]]:
        """Record the pulses on the card reader's lines in this context. No latch may hold the lines."""

    def vitals(self) -> Vitals:
        """Return the current state of the board."""

    def boot(self) -> str:
        """Return an id that differs after every boot."""

    def has_power(self) -> bool:
        """Return whether to continue. A real power cut never returns False."""


async def until(true: Callable[[], object], timeout_s: float, why: str) -> float:
    """Wait until something holds, and return that monotonic time. Fails with the reason."""
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, f"{why} (waited {timeout_s:g} s)"
        await asyncio.sleep(0.005)
    return time.monotonic()


@contextlib.contextmanager
def busy(spinners: int) -> Iterator[None]:
    """Keep this many cores busy in this context."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(spinners)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@contextlib.asynccontextmanager
async def released(bench: Bench, lease_s: float = 20.0) -> AsyncIterator[None]:
    """Run the latch and grant a release by a brain in this context."""
    bench.latch.start(bench.pace.patience_s)
    async with bench.latch.brain() as brain:
        brain.door.release("bench", lease_s, time.monotonic())
        await until(bench.is_on, bench.pace.within(1.0), "a release does not reach the relay's line")
        yield


def quantile(values: Sequence[float], part: float) -> float:
    """Return the value that this share of them does not exceed."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]

"""Compares the edges of the lock's line with the journal. Pure: text and events in, findings out.

Each change of the line to "released" must have a cause: an event of the journal, the exit button or the fire input.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

LATE_S = 0.5
"""Longest time between an edge and the latch's event of it. The event carries the latch's time."""
BUTTON_S = 1.0
"""Longest time from an edge of the exit button or the fire input to the lock's edge."""
LEASE_S, OVERRUN_S = 30.0, 0.5
"""Longest lease, and the longest time that the line may stay on after it."""

_EDGE = re.compile(r"pi-header edge (\d+) (\d+) (\d+) ([01]) (\w+)")
_MARK = re.compile(r"pi-header mark (\d+) (.*)")
_START = re.compile(r"pi-header start (\d+) (\d+) ([01])")


@dataclass(frozen=True, slots=True)
class Edge:
    """A change of a line's level. `at`: wall clock seconds. `cause`: what changed it, such as output or free."""

    at: float
    line: int
    level: int
    cause: str


@dataclass(frozen=True, slots=True)
class Finding:
    """The comparison of one run. `strange`: edges to "released" without a cause. Times in seconds."""

    releases: int
    explained: int
    strange: tuple[Edge, ...]
    longest_s: float
    too_long: tuple[Edge, ...]


def read_console(text: str) -> list[Edge]:
    """Return the edges in the console's text, in order. A switched-on machine begins with the levels of its lines."""
    edges = []
    for line in text.splitlines():
        if found := _EDGE.search(line):
            _, wall, number, level, cause = found.groups()
            edges.append(Edge(int(wall) / 1e9, int(number), int(level), cause))
        elif found := _START.search(line):
            wall, number, level = found.groups()
            edges.append(Edge(int(wall) / 1e9, int(number), int(level), "start"))
    return edges


def read_marks(text: str) -> dict[str, float]:
    """Return the time of the last mark of each name."""
    return {found[2].strip(): int(found[1]) / 1e9 for found in map(_MARK.search, text.splitlines()) if found}


def compare(edges: Sequence[Edge], events: Sequence[dict], lock: int, rex: int, fire: int) -> Finding:
    """Return how the lock's edges and the journal agree. A pressed rex is low, fire is high."""
    reasons = [at_of(event) for event in events if event["kind"] == "door_released"]
    leaving = [edge.at for edge in edges if (edge.line, edge.level) in ((rex, 0), (fire, 1)) and edge.cause == "hand"]
    strange, longest, long_ones, releases = [], 0.0, [], 0
    on = None
    for edge in edges:
        if edge.line != lock:
            continue
        if edge.level:
            releases += 1
            on = edge
            if not (_near(reasons, edge.at, -LATE_S, LATE_S) or _near(leaving, edge.at, -BUTTON_S, 0.0)):
                strange.append(edge)
        elif on is not None:
            longest = max(longest, edge.at - on.at)
            is_renewed = _near(reasons, edge.at, on.at - edge.at + LATE_S, 0.0)
            if edge.at - on.at > LEASE_S + OVERRUN_S and not is_renewed:
                long_ones.append(on)
            on = None
    return Finding(releases, releases - len(strange), tuple(strange), longest, tuple(long_ones))


def at_of(event: dict) -> float:
    """Return the time of an event in wall clock seconds."""
    return datetime.fromisoformat(event["at"]).timestamp()


def _near(times: Sequence[float], at: float, first_s: float, last_s: float) -> bool:
    """Return whether one of the times is within `at + first_s` to `at + last_s`."""
    return any(at + first_s <= each <= at + last_s for each in times)

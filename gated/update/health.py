"""Whether the gate is well with a version on trial: what is seen, and what is made of it."""

import asyncio
import math
import socket
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass, field

import msgspec

from gated.config import Settings
from gated.door.observer import observe
from gated.errors import ConfigError, LatchError
from gated.events import Started
from gated.health.diagnosis import lost_parts
from gated.journal.journal import Journal
from gated.sync.dial import address

HEALTH_S = 120.0
"""So long the gate must be well without a break. greenboot waits 60 s behind 150, balenaOS 15 minutes for its engine;
ours is on duty within seconds, and three starts guard it beyond that.
"""
PATIENCE = 2.5
"""What has not proved itself after so many times that long is taken back."""
RECENT = 2_000
"""So many of the newest facts are looked through for the last start."""
ANSWER_S = 3.0
ELSEWHERE = frozenset({"server", "clock", "records_withheld", "office_outdated", "crowd"})
"""Parts that come and go with the world outside."""


class Look(msgspec.Struct, frozen=True):
    """What a version sees of its gate at one moment. Another version reads it as JSON: fields are only ever added."""

    version: str
    """Of the brain that was started last, by the journal."""
    lost: list[str]
    """The parts that it has lost; vision is lost while no frame comes."""
    head: int
    """The journal's newest row."""
    latch: str
    """Why the latch does not do its part; empty where it answers, and knows the brain."""
    has_office: bool
    """Whether the office's address can be reached from here: a link that is down is ours then."""

    def problem(self, version: str, before: Collection[str]) -> str:
        """What is not as it should be with this version; empty when all is. `before`: the parts lost before it."""
        if self.version != version:
            return f"{self.version or 'nothing'} was started, not {version}"
        if self.latch:
            return self.latch
        away = ELSEWHERE if self.has_office else ELSEWHERE | {"network"}
        missing = set(self.lost) - set(before) - away
        return f"lost with it: {', '.join(sorted(missing))}" if missing else ""


@dataclass(slots=True)
class Watch:
    """The judgement over a trial. `health_s`: how long all must be well."""

    health_s: float
    _began: float = field(default=math.nan, init=False)
    _well_since: float = field(default=math.nan, init=False)
    _run: str = field(default="", init=False)
    _problem: str = field(default="it was never seen on duty", init=False)

    def judge(self, run: str, problem: str, now: float) -> str | None:
        """None while it is open, empty when the version is kept, else why it has to go. `run`: which start of the brain
        is on duty, empty while none is. `problem`: what is not as it should be. `now`: monotonic seconds.
        """
        if math.isnan(self._began):
            self._began = now
        if self._run and run != self._run:
            problem = problem or "the brain ended and was started again"
        if run:
            self._run = run
        if problem:
            self._well_since, self._problem = math.nan, problem
        elif math.isnan(self._well_since):
            self._well_since = now
        if now - self._well_since >= self.health_s:
            return ""
        return self._problem if now - self._began >= self.health_s * PATIENCE else None


def look(settings: Settings) -> Look:
    """Look at the gate with these settings. Raises `StateError` where its journal cannot be read."""
    with closing(Journal.open(settings.state, settings.site.id, settings.gate.id)) as journal:
        facts, head = [entry.event for entry in reversed(journal.last(RECENT))], journal.position().head
    return Look(
        version=next((fact.version for fact in facts if isinstance(fact, Started)), ""),
        lost=sorted(lost_parts(facts)),
        head=head,
        latch=_latch_trouble(settings),
        has_office=_reaches_office(settings.sync.url),
    )


def _latch_trouble(settings: Settings) -> str:
    try:
        state = asyncio.run(observe(settings.latch_socket))
    except LatchError as error:
        return str(error)
    return "" if state.has_brain else "the latch knows no brain"


def _reaches_office(url: str) -> bool:
    try:
        with socket.create_connection(address(url), ANSWER_S):
            return True
    except (OSError, ConfigError):
        return False

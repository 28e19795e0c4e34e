"""Checks whether a gate works with the version on trial, and judges the trial.

`gated.update.updater` uses `look` for one observation and `Watch` for the judgement.
"""

import asyncio
import math
import socket
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass, field

import msgspec

from gated.config import Settings
from gated.doctor.diagnosis import lost_parts
from gated.door.latch_observer import read_latch_state
from gated.errors import ConfigError, LatchError
from gated.events import Started
from gated.journal.journal import Journal
from gated.protocol.broker import address

HEALTH_S = 120.0
"""Time that the gate must work without interruption, in seconds.

For comparison, greenboot waits 60 s within 150 s, and balenaOS waits 15 minutes for its engine. Our brain is on duty
within seconds, and the limit of three starts protects the gate after that.
"""
PATIENCE = 2.5
"""Limits a whole trial, as a multiple of `health_s`. A version that is not proved by then is taken back."""
RECENT = 2_000
"""Number of newest journal rows that are searched for the last start."""
ANSWER_S = 3.0
"""Limits how long a connection to the office's address may take, in seconds."""
ELSEWHERE = frozenset({"server", "clock", "records_withheld", "office_outdated", "crowd"})
"""Parts that can be lost for reasons outside the gate."""


class GateObservation(msgspec.Struct, frozen=True):
    """One observation of a gate by one version. Another version reads it as JSON, so fields are only ever added."""

    version: str
    """The version of the brain that was started last, from the journal."""
    lost: list[str]
    """Parts that the brain has lost. Vision is lost while no frame arrives."""
    head: int
    """Number of the journal's newest row."""
    latch: str
    """Why the latch does not work; empty if it answers and knows a brain."""
    has_office: bool
    """Whether this machine can reach the office's address. If it can, a lost link counts against the version."""

    def problem(self, version: str, before: Collection[str]) -> str:
        """Return what is wrong with this version; empty if nothing is. `before`: parts lost before the trial."""
        if self.version != version:
            return f"{self.version or 'nothing'} was started, not {version}"
        if self.latch:
            return self.latch
        away = ELSEWHERE if self.has_office else ELSEWHERE | {"network"}
        missing = set(self.lost) - set(before) - away
        return f"parts lost during the trial: {', '.join(sorted(missing))}" if missing else ""


@dataclass(slots=True)
class TrialWatch:
    """The judgement of one trial. `health_s`: seconds for which everything must work."""

    health_s: float
    _began: float = field(default=math.nan, init=False)
    _well_since: float = field(default=math.nan, init=False)
    _run: str = field(default="", init=False)
    _problem: str = field(default="it never was on duty", init=False)

    def judge(self, run: str, problem: str, now: float) -> str | None:
        """Return None while undecided, an empty text to keep the version, or the reason to take it back.

        `run`: the start of the brain that is on duty, empty if none is. `problem`: what is wrong now. `now`: monotonic
        seconds.
        """
        if math.isnan(self._began):
            self._began = now
        if self._run and run != self._run:
            problem = problem or "the brain ended and was restarted"
        if run:
            self._run = run
        if problem:
            self._well_since, self._problem = math.nan, problem
        elif math.isnan(self._well_since):
            self._well_since = now
        if now - self._well_since >= self.health_s:
            return ""
        return self._problem if now - self._began >= self.health_s * PATIENCE else None


def observe_gate(settings: Settings) -> GateObservation:
    """Observe the gate that has these settings. Raises `StateError` if its journal cannot be read."""
    with closing(Journal.open(settings.state, settings.site.id, settings.gate.id)) as journal:
        facts, head = [entry.event for entry in reversed(journal.last(RECENT))], journal.position().head
    return GateObservation(
        version=next((fact.version for fact in facts if isinstance(fact, Started)), ""),
        lost=sorted(lost_parts(facts)),
        head=head,
        latch=_latch_trouble(settings),
        has_office=_reaches_office(settings.sync.url),
    )


def _latch_trouble(settings: Settings) -> str:
    try:
        state = asyncio.run(read_latch_state(settings.latch_socket))
    except LatchError as error:
        return str(error)
    return "" if state.has_brain else "no brain is connected to the latch"


def _reaches_office(url: str) -> bool:
    try:
        with socket.create_connection(address(url), ANSWER_S):
            return True
    except (OSError, ConfigError):
        return False

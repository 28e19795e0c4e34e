"""Whether a command of the office counts: addressed, fresh, and never seen before, across restarts and power cuts."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from gated.sync.messages import Command, Finding, Reply


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    outcome: Literal["done", "refused", "failed"]
    why: str = ""
    findings: tuple[Finding, ...] = ()


class CommandDesk:
    """Judges commands, with a ledger on disk. Used from one thread at a time."""

    def __init__(self, state: Path, site: str, gate: str) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Give the ledger back. May be called twice."""
        raise NotImplementedError

    def hear(self, command: Command, now: float, wall: datetime | None) -> Command | Reply | None:
        """The command itself when it is to be carried out, once, and that is on disk; else the answer, or None for a
        repetition that was answered already. `now` is monotonic; `wall` is None while the clock is not trusted.
        """
        raise NotImplementedError

    def settle(self, command: Command, outcome: Outcome) -> Reply:
        """The answer to a command that was carried out."""
        raise NotImplementedError

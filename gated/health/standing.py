"""How the gate stands at this moment, from what anybody of its user can ask: the latch, the journal, the lockdown."""

import asyncio
from contextlib import closing
from datetime import datetime

import msgspec

from gated.access.lockdown import read_lockdown
from gated.config import Settings
from gated.door.observer import observe
from gated.errors import LatchError
from gated.events import Started
from gated.health.diagnosis import lost_parts
from gated.journal.journal import Journal

RECENT = 20_000


class Standing(msgspec.Struct, frozen=True):
    """One gate, now. `brain`: the version that is on duty, empty while none is."""

    gate: str
    brain: str
    since: str
    """When it was started; UTC, ISO 8601, empty while none is."""
    latch: str
    """"serves", or why it does not."""
    doors: dict[str, str]
    lost: list[str]
    """Parts that the brain has lost."""
    lockdown: bool
    fire: bool
    office: str
    """"none", "in step", or how many events wait."""
    last: str
    """The newest fact, by its kind and time."""

    @property
    def is_well(self) -> bool:
        """Whether the gate is on duty and has lost nothing."""
        return bool(self.brain) and self.latch == "serves" and not self.lost


def standing(settings: Settings) -> Standing:
    """Ask. Raises `StateError` where the journal cannot be read."""
    try:
        seen, why = asyncio.run(observe(settings.latch_socket)), ""
    except LatchError as error:
        seen, why = None, str(error)
    has_brain = seen is not None and seen.has_brain
    with closing(Journal.open(settings.state, settings.site.id, settings.gate.id)) as journal:
        newest, position = journal.last(RECENT)[::-1], journal.position()
    start = next((entry for entry in newest if isinstance(entry.event, Started)), None)
    waiting = position.head - position.acked
    return Standing(
        gate=f"{settings.site.id}/{settings.gate.id}",
        brain=start.event.version if has_brain and start and isinstance(start.event, Started) else "",
        since=start.at if has_brain and start else "",
        latch=why or "serves",
        doors=dict(seen.doors) if seen is not None else {},
        lost=sorted(lost_parts(entry.event for entry in newest)) if has_brain else [],
        lockdown=read_lockdown(settings.state) is not None,
        fire=seen is not None and seen.is_on_fire,
        office="none" if not settings.sync.url else f"{waiting} events wait" if waiting else "in step",
        last=f"{newest[0].kind} at {_short(newest[0].at)}" if newest else "nothing yet",
    )


def _short(at: str) -> str:
    return datetime.fromisoformat(at).isoformat(" ", "seconds")

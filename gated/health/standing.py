"""How the gate stands at this moment, from what anybody of its user can ask: the latch, the journal, the lockdown."""

import asyncio
from contextlib import closing
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from gated.access.lockdown import read_lockdown
from gated.config import Settings
from gated.door.observer import observe
from gated.errors import LatchError
from gated.events import Started
from gated.gallery.register import counts
from gated.health.diagnosis import lost_parts
from gated.journal.entry import Entry
from gated.journal.file import NAME
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
    models: str
    people: int
    templates: int
    last: str
    """The newest fact, by its kind and time."""

    @property
    def is_well(self) -> bool:
        """Whether the gate is on duty and has lost nothing."""
        return bool(self.brain) and self.latch == "serves" and not self.lost


def standing(settings: Settings) -> Standing:
    """Ask, and make nothing that is not there. Raises `StateError` where journal or people cannot be read."""
    try:
        seen, why = asyncio.run(observe(settings.latch_socket)), ""
    except LatchError as error:
        seen, why = None, str(error)
    has_brain = seen is not None and seen.has_brain
    newest, waiting = _past(settings)
    people, templates = counts(settings.state)
    start = next((entry for entry in newest if isinstance(entry.event, Started)), None)
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
        models=settings.models.set,
        people=people,
        templates=templates,
        last=f"{newest[0].kind} at {shown_at(newest[0].at, settings)}" if newest else "nothing yet",
    )


def _past(settings: Settings) -> tuple[list[Entry], int]:
    """The newest facts, the last first, and how many the office does not hold yet."""
    if not (settings.state / NAME).exists():
        return [], 0
    with closing(Journal.open(settings.state, settings.site.id, settings.gate.id)) as journal:
        position = journal.position()
        return journal.last(RECENT)[::-1], position.head - position.acked


def shown_at(at: str, settings: Settings) -> str:
    """A time of the journal's as people at this gate read it."""
    return datetime.fromisoformat(at).astimezone(ZoneInfo(settings.site.timezone)).strftime("%Y-%m-%d %H:%M:%S %Z")

"""Reports a gate's current state, for `gated status`: latch, journal, lockdown, people and certificate.

Any process of the gate's user can ask.
"""

import asyncio
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gated.access.lockdown import read_lockdown
from gated.config import Settings
from gated.doctor.diagnosis import lost_parts
from gated.doctor.false_accepts import threshold_text
from gated.door.latch_observer import read_latch_state
from gated.errors import BusyError, LatchError, StateError
from gated.events import Started
from gated.gallery.register import counts
from gated.journal.entry import Entry
from gated.journal.journal import Journal
from gated.journal.journal_file import JOURNAL_DB
from gated.protocol.certificate import end_of
from gated.protocol.certificate_lifetime import end_text
from gated.sitetime import format_time, zone

RECENT = 20_000
"""Number of newest facts that are searched."""
UNKNOWN = "of unknown version"


class GateStatus(msgspec.Struct, frozen=True):
    """One gate's current state. `brain`: the version on duty, empty if none is."""

    gate: str
    brain: str
    since: str
    """Time of the brain's start, in UTC (ISO 8601); empty without a brain on duty."""
    latch: str
    """Either "serves" or why the latch does not."""
    doors: dict[str, str]
    lost: list[str]
    """Parts that the brain has lost."""
    lockdown: bool
    fire: bool
    office: str
    """Either "none", "in step", or how many events wait."""
    models: str
    people: int
    templates: int
    trouble: list[str]
    """The parts that cannot be read or changed."""
    last: str
    """The newest fact: its kind and time."""
    certificate: str = ""
    """When the gate's certificate ends; empty without an office."""
    threshold: str = ""
    """The calibrated threshold with its uncertainty and the false-accept budget; empty before a calibration."""

    @property
    def is_well(self) -> bool:
        """Return whether the gate is on duty and has lost nothing."""
        return bool(self.brain) and self.latch == "serves" and not self.lost and not self.trouble


def gate_status(settings: Settings) -> GateStatus:
    """Return the current state. Creates no file. A part that cannot be read goes to `trouble`; nothing is raised."""
    try:
        seen, why = asyncio.run(read_latch_state(settings.latch_socket)), ""
    except LatchError as error:
        seen, why = None, str(error)
    has_brain = seen is not None and seen.has_brain
    trouble: list[str] = []
    newest, waiting = _past(settings, trouble)
    people, templates = _counts(settings, trouble)
    start = next((entry for entry in newest if isinstance(entry.event, Started)), None)
    return GateStatus(
        gate=f"{settings.site.id}/{settings.gate.id}",
        brain=(start.event.version if start and isinstance(start.event, Started) else UNKNOWN) if has_brain else "",
        since=start.at if has_brain and start else "",
        latch=why or "serves",
        doors=dict(seen.doors) if seen is not None else {},
        lost=sorted(lost_parts(entry.event for entry in newest)) if has_brain else [],
        trouble=trouble,
        lockdown=read_lockdown(settings.state) is not None,
        fire=seen is not None and seen.is_on_fire,
        office="none" if not settings.sync.url else f"{waiting} events wait" if waiting else "in step",
        models=settings.models.set,
        people=people,
        templates=templates,
        last=f"{newest[0].kind} at {shown_at(newest[0].at, settings)}" if newest else "nothing yet",
        certificate=_certificate(settings),
        threshold=threshold_text(settings),
    )


def _certificate(settings: Settings) -> str:
    """Return when the certificate of this gate's link ends, in words."""
    ends = end_of(Path(settings.sync.cert)) if settings.sync.url else None
    return end_text(ends, datetime.now(UTC)) if ends is not None else ""


def _past(settings: Settings, trouble: list[str]) -> tuple[list[Entry], int]:
    """Return the newest facts, newest first, and the number of rows that the office does not hold yet."""
    if not (settings.state / JOURNAL_DB).exists():
        return [], 0
    try:
        with closing(Journal.to_read(settings.state, settings.site.id, settings.gate.id)) as journal:
            if journal.trouble:
                trouble.append(f"new events are in memory only: {journal.trouble}")
            position = journal.position()
            return journal.last(RECENT)[::-1], position.head - position.acked
    except (BusyError, StateError) as error:
        trouble.append(str(error))
        return [], 0


def _counts(settings: Settings, trouble: list[str]) -> tuple[int, int]:
    """Return the number of people and of templates; 0 and 0 if they cannot be read."""
    try:
        return counts(settings.state)
    except (BusyError, StateError) as error:
        trouble.append(str(error))
        return 0, 0


def shown_at(at: str, settings: Settings) -> str:
    """Return a time of the journal in the site's time zone."""
    return format_time(at, zone(settings.site.timezone))

"""When an input is believed: after it has kept still for a while. And when it is not believed to be sound. Pure."""

from dataclasses import dataclass, replace

from gated.door.state import NOT_YET

CONTACT_S = 0.02
"""A contact is believed so soon, because its news may take 50 ms in all; a reed bounces for less than five."""
WINDOW_S = 10.0
MOST_CHANGES = 20
"""No leaf and no hand moves a line more often than this in `WINDOW_S`."""
RESTLESS_S = 1.0
"""A line that never keeps still for so long is as odd as one that changes too often."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One input: what it says (`raw`) and what is believed of it (`is_active`). Times are monotonic seconds."""

    settle_s: float
    """So long a new level must last before it is believed; edges of a spike do not."""
    is_active: bool = False
    raw: bool = False
    raw_since: float = NOT_YET
    restless_since: float = NOT_YET
    """Since when it has not kept still."""
    changes: tuple[float, ...] = ()
    """When what is believed changed, within the window."""
    is_odd: bool = False

    @property
    def due_at(self) -> float:
        """When it must be read again if there is no edge; infinite: it need not."""
        return self.raw_since + self.settle_s if self.raw != self.is_active else NOT_YET


def read(reading: Reading, raw: bool, now: float) -> Reading:
    """The input after one look at it. Look at every edge, at `due_at`, and now and then."""
    if raw != reading.raw:
        reading = replace(reading, raw=raw, raw_since=now, restless_since=min(reading.restless_since, now))
    if now >= reading.due_at:
        reading = replace(reading, is_active=raw, changes=(*reading.changes, now)[-MOST_CHANGES - 1 :])
    if now >= reading.raw_since + reading.settle_s:
        reading = replace(reading, restless_since=NOT_YET)
    return _judge(replace(reading, changes=tuple(at for at in reading.changes if now - at < WINDOW_S)), now)


def oddity(reading: Reading, now: float) -> str:
    """What is wrong with the input, or nothing."""
    if len(reading.changes) > MOST_CHANGES:
        return f"it has changed more than {MOST_CHANGES} times in {WINDOW_S:.0f} s"
    if now - reading.restless_since >= RESTLESS_S:
        return "it does not keep still"
    return ""


def _judge(reading: Reading, now: float) -> Reading:
    """Odd at once; sound again only when the whole window was calm."""
    is_calm = not reading.changes and reading.restless_since == NOT_YET
    return replace(reading, is_odd=bool(oddity(reading, now)) or (reading.is_odd and not is_calm))

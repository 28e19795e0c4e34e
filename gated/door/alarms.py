"""What a door complains of when time passes: a leaf that is held open, a relay that does not do as told. Pure."""

from dataclasses import replace

from gated.door.state import NEVER, NOT_YET, Door
from gated.events import DoorHeldOpen, Event, LineImplausible, LinePlausible

ODD_S = 0.5
"""So long a relay may take to follow its coil; one with its contacts welded never does."""

LOCK = "lock"


def watch(door: Door, now: float) -> tuple[Door, list[Event]]:
    """The door with its alarms brought up to `now`, and those that are new."""
    door, held = _held_open(door, now)
    door, odd = _plausible(door, now)
    return door, [*held, *odd]


def next_alarm(door: Door) -> float:
    """When the next alarm is due if nothing else happens, in monotonic seconds; infinite: none is."""
    times = [NOT_YET]
    if door.open_since < NOT_YET and door.told < 2:
        times.append(door.open_since + _stages(door)[door.told])
    if door.is_open and door.free_until > NEVER and not door.is_on_fire:
        times.append(door.free_until)  # from then on an open leaf needs a reason
    if door.odd_since < NOT_YET and not door.is_odd:
        times.append(door.odd_since + ODD_S)
    return min(times)


def _stages(door: Door) -> tuple[float, float]:
    """After so long people are asked, and after so long it is an alarm, in seconds."""
    return door.wires.held_open_s, door.wires.held_open_alarm_s


def _held_open(door: Door, now: float) -> tuple[Door, list[Event]]:
    """First people are asked to shut the leaf, then it is an alarm; never in a fire, nor in hours of free passage."""
    if not door.is_open or door.is_on_fire or door.free_until > NEVER:
        return replace(door, open_since=NOT_YET, told=0), []
    since = min(door.open_since, now)
    due = sum(now >= since + stage_s for stage_s in _stages(door))
    news: list[Event] = [DoorHeldOpen(round(now - since, 1), stage == 1) for stage in range(door.told, due)]
    return replace(door, open_since=since, told=max(door.told, due)), news


def _plausible(door: Door, now: float) -> tuple[Door, list[Event]]:
    """Compare what the relay's spare contact says with what the coil was told."""
    if door.wires.feedback_pin is None:
        return door, []
    if ("feedback" in door.active) == door.is_coil_on:
        healed: list[Event] = [LinePlausible(LOCK)] if door.is_odd else []
        return replace(door, odd_since=NOT_YET, is_odd=False), healed
    since = min(door.odd_since, now)
    if door.is_odd or not now >= since + ODD_S:
        return replace(door, odd_since=since), []
    why = "the relay has not dropped" if "feedback" in door.active else "the relay has not picked up"
    return replace(door, odd_since=since, is_odd=True), [LineImplausible(LOCK, why)]

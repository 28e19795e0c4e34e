"""The alarms of one door that depend on time: a leaf held open, and a relay that does not follow its coil. Pure."""

from msgspec.structs import replace

from gated.door.door_state import NO_LEASE, NOT_YET, Door
from gated.events import DoorHeldOpen, Event, LineImplausible, LinePlausible

RELAY_S = 0.5
"""The time that a relay may take to follow its coil. A relay with welded contacts never follows."""

LOCK_LINE = "lock"


def update_alarms(door: Door, now: float) -> tuple[Door, list[Event]]:
    """Return the door with its alarms updated to `now`, and the new alarm events."""
    door, held = _watch_leaf(door, now)
    door, mismatch = _watch_relay(door, now)
    return door, [*held, *mismatch]


def next_alarm(door: Door) -> float:
    """Return when the next alarm is due if no input changes, in monotonic seconds. Infinite if none is due."""
    times = [NOT_YET]
    if door.open_since < NOT_YET and door.held_open_stage < 2:
        times.append(door.open_since + _stages(door)[door.held_open_stage])
    if door.is_open and door.schedule_until > NO_LEASE and not door.is_on_fire:
        times.append(door.schedule_until)  # after the schedule ends, an open leaf needs a valid reason
    if door.mismatch_since < NOT_YET and not door.is_mismatched:
        times.append(door.mismatch_since + RELAY_S)
    return min(times)


def _stages(door: Door) -> tuple[float, float]:
    """Return after how many seconds people are asked to close the leaf, and after how many the alarm follows."""
    return door.wires.held_open_s, door.wires.held_open_alarm_s


def _watch_leaf(door: Door, now: float) -> tuple[Door, list[Event]]:
    """Report a leaf that stays open too long: first a request to close the leaf, then an alarm.

    An open leaf is allowed during a fire release and during an unlock schedule.
    """
    if not door.is_open or door.is_on_fire or door.schedule_until > NO_LEASE:
        return replace(door, open_since=NOT_YET, held_open_stage=0), []
    since, reported = min(door.open_since, now), door.held_open_stage
    due = sum(now >= since + stage_s for stage_s in _stages(door))
    events: list[Event] = [DoorHeldOpen(round(now - since, 1), stage == 1) for stage in range(reported, due)]
    return replace(door, open_since=since, held_open_stage=max(reported, due)), events


def _watch_relay(door: Door, now: float) -> tuple[Door, list[Event]]:
    """Compare the relay's feedback contact with the coil command."""
    if door.wires.feedback_pin is None:
        return door, []
    if ("feedback" in door.active) == door.is_coil_on:
        over: list[Event] = [LinePlausible(LOCK_LINE)] if door.is_mismatched else []
        return replace(door, mismatch_since=NOT_YET, is_mismatched=False), over
    since = min(door.mismatch_since, now)
    if door.is_mismatched or not now >= since + RELAY_S:
        return replace(door, mismatch_since=since), []
    why = "the relay has not dropped" if "feedback" in door.active else "the relay has not picked up"
    return replace(door, mismatch_since=since, is_mismatched=True), [LineImplausible(LOCK_LINE, why)]

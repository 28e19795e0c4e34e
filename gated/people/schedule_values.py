"""Schedules and calendar days as the office sent them. Lost data never allows access."""

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from gated.config import Schedule


class CalendarDays(Struct, frozen=True):
    """Calendar days that the office sent, as YYYY-MM-DD."""

    holidays: frozenset[str] = frozenset()
    workdays: frozenset[str] = frozenset()
    """Make-up working days."""
    doubtful: frozenset[str] = frozenset()
    """Days in damaged rows: nobody knows whether they are holidays or working days."""
    is_doubtful: bool = False
    """Whether every day is doubtful."""


def schedule_of(days: Iterable[str], start: str, end: str) -> Schedule:
    """Return a weekly schedule from the office's values. Invalid values give a schedule without days."""
    try:
        return msgspec.convert({"days": tuple(days), "start": start, "end": end}, Schedule)
    except msgspec.ValidationError:
        return Schedule(days=())


def intersection(schedule: Schedule, other: Schedule) -> Schedule:
    """Return the common hours of two schedules; no hours if one schedule cannot express the result."""
    days = tuple(day for day in schedule.days if day in other.days)
    for whole, part in ((schedule, other), (other, schedule)):
        if whole.start == whole.end:
            return Schedule(days, part.start, part.end)
    if (schedule.start < schedule.end) != (other.start < other.end):
        return Schedule(days=())  # one of them runs past midnight: the shared hours may be two intervals
    start, end = max(schedule.start, other.start), min(schedule.end, other.end)
    return Schedule(days, start, end) if start < end or schedule.start > schedule.end else Schedule(days=())

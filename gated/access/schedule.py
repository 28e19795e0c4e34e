"""Hours of the week in the site's own time. Pure: a schedule, a moment and the calendar become yes or no."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from gated.config import Schedule

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def is_within(schedule: Schedule, at: datetime, holidays: Collection[str], timezone: ZoneInfo) -> bool:
    """Whether the schedule holds at that moment (aware; one that is not never is within).

    A holiday (YYYY-MM-DD) is a "holiday" and no weekday. `start` itself is within, `end` is not; hours that run past
    midnight belong to the day on which they began. Clocks on the wall count: an hour that comes twice in autumn is
    within twice, one that spring leaves out is no time at all.
    """
    if at.utcoffset() is None:
        return False
    local = at.astimezone(timezone)
    clock, today = local.strftime("%H:%M"), local.date()
    is_today = _day(today, holidays) in schedule.days
    if schedule.start == schedule.end:
        return is_today
    if schedule.start < schedule.end:
        return is_today and schedule.start <= clock < schedule.end
    if clock >= schedule.start:
        return is_today
    return clock < schedule.end and _day(today - timedelta(days=1), holidays) in schedule.days


def _day(day: date, holidays: Collection[str]) -> str:
    return "holiday" if day.isoformat() in holidays else WEEKDAYS[day.weekday()]


@dataclass(frozen=True, slots=True)
class Calendar:
    """The site's schedules by name, its holidays and its time zone."""

    schedules: Mapping[str, Schedule]
    holidays: Collection[str]
    timezone: ZoneInfo

    def allows(self, schedule: str, at: datetime) -> bool:
        """Whether that schedule holds now; one that is not in the settings never does."""
        return schedule in self.schedules and is_within(self.schedules[schedule], at, self.holidays, self.timezone)

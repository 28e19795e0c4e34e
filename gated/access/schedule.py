"""Hours of the week in the site's own time. Pure: a schedule, a moment and the calendar become yes or no."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from gated import names
from gated.config import Schedule

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WORKING = frozenset(WEEKDAYS[:5])
DECEMBER = 12


def is_within(
    schedule: Schedule, at: datetime, holidays: Collection[str], timezone: ZoneInfo, workdays: Collection[str] = ()
) -> bool:
    """Whether the schedule holds at that moment (aware; one that is not never is within).

    A holiday (YYYY-MM-DD) is a "holiday" and no weekday. A make-up working day (`workdays`) is no weekday either:
    nobody says which one it stands for, so it is a day of a schedule that has all of mon to fri, and of no other.
    `start` itself is within, `end` is not; hours that run past midnight belong to the day on which they began. Clocks
    on the wall count: an hour that comes twice in autumn is within twice, one that spring leaves out is no time at all.
    """
    if at.utcoffset() is None:
        return False
    local = at.astimezone(timezone)
    clock, today = local.strftime("%H:%M"), local.date()
    is_today = _is_day_of(schedule, today, holidays, workdays)
    if schedule.start == schedule.end:
        return is_today
    if schedule.start < schedule.end:
        return is_today and schedule.start <= clock < schedule.end
    if clock >= schedule.start:
        return is_today
    return clock < schedule.end and _is_day_of(schedule, today - timedelta(days=1), holidays, workdays)


def _is_day_of(schedule: Schedule, day: date, holidays: Collection[str], workdays: Collection[str]) -> bool:
    text = day.isoformat()
    if text in holidays:
        return "holiday" in schedule.days
    if text in workdays:
        return WORKING.issubset(schedule.days)
    return WEEKDAYS[day.weekday()] in schedule.days


@dataclass(frozen=True, slots=True)
class Calendar:
    """The site's schedules by name, its holidays, its time zone and its make-up working days."""

    schedules: Mapping[str, Schedule]
    holidays: Collection[str]
    timezone: ZoneInfo
    workdays: Collection[str] = ()
    doubtful: Collection[str] = ()
    """Days of which nobody knows whether they are a holiday, a make-up working day, or any other."""
    is_doubtful: bool = False
    """Whether no day is known."""

    def allows(self, schedule: str, at: datetime) -> bool:
        """Whether that schedule holds now, however its name is spelt; one that is not known never does. On a day that
        is in doubt it must hold whatever the day is.
        """
        hours = self.schedules.get(names.plain(schedule))
        return hours is not None and all(
            is_within(hours, at, holidays, self.timezone, workdays) for holidays, workdays in self._readings(at)
        )

    def _readings(self, at: datetime) -> Iterator[tuple[Collection[str], Collection[str]]]:
        """Holidays and working days, in every way that those which count now may be meant."""
        yield self.holidays, self.workdays
        if not (self.doubtful or self.is_doubtful) or at.utcoffset() is None:
            return
        today = at.astimezone(self.timezone).date()
        days = {each.isoformat() for each in (today, today - timedelta(days=1))}
        if doubtful := days if self.is_doubtful else days & set(self.doubtful):
            holidays, workdays = set(self.holidays), set(self.workdays)
            yield holidays - doubtful, workdays - doubtful
            yield holidays | doubtful, workdays
            yield holidays - doubtful, workdays | doubtful


def years_unknown(days: Iterable[str], at: datetime, timezone: ZoneInfo) -> list[int]:
    """The years whose holidays and make-up working days somebody must enter now, given the `days` that are known.

    In December that is the next year where it has none. It is this year too, where an earlier one had some.
    """
    local = at.astimezone(timezone)
    known = {int(day[:4]) for day in days if day[:4].isdecimal()}
    unknown = [local.year] if local.year not in known and any(year < local.year for year in known) else []
    return unknown + ([local.year + 1] if local.month == DECEMBER and local.year + 1 not in known else [])

"""Weekly schedules in the time zone of the site. Pure: a schedule, a moment and the calendar give yes or no."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from gated import names
from gated.config import Schedule

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WORKING = frozenset(WEEKDAYS[:5])
DECEMBER = 12


def is_within(
    schedule: Schedule, at: datetime, holidays: Collection[str], timezone: ZoneInfo, workdays: Collection[str] = ()
) -> bool:
    """Return whether the schedule holds at this moment. Returns False for a time without a time zone.

    A holiday (YYYY-MM-DD) counts as "holiday" and not as a weekday. A make-up working day (`workdays`) does not count
    as its weekday, and the gate does not know which weekday it replaces. It belongs to a schedule that has all of mon
    to fri, and to no other. `start` is included and `end` is not. Hours past midnight belong to the day on which they
    begin. Local clock time counts: an hour that occurs twice in autumn is within twice, and an hour that spring skips
    never occurs.
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


class Calendar(Struct, frozen=True):
    """The calendar of the site: its schedules by name, holidays, time zone and make-up working days."""

    schedules: Mapping[str, Schedule]
    holidays: Collection[str]
    timezone: ZoneInfo
    workdays: Collection[str] = ()
    doubtful: Collection[str] = ()
    """Days whose kind is unknown: holiday, make-up working day or ordinary day."""
    is_doubtful: bool = False
    """Whether the kind of every day is unknown."""

    def allows(self, schedule: str, at: datetime) -> bool:
        """Return whether the schedule of this name holds now. The name may be spelled in any way; an unknown name never
        holds.

        On a day of unknown kind the schedule must hold for every possible kind.
        """
        schedule_times = self.schedules.get(names.plain(schedule))
        return schedule_times is not None and all(
            is_within(schedule_times, at, holidays, self.timezone, workdays)
            for holidays, workdays in self._readings(at)
        )

    def _readings(self, at: datetime) -> Iterator[tuple[Collection[str], Collection[str]]]:
        """Yield holidays and working days for each possible kind of the days in doubt that matter at this moment."""
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
    """Return the years whose holidays and make-up working days must be entered now. `days` are the known days.

    In December the next year is included if it has no known days. This year is included if it has no known days and an
    earlier year has some.
    """
    local = at.astimezone(timezone)
    known = {int(day[:4]) for day in days if day[:4].isdecimal()}
    unknown = [local.year] if local.year not in known and any(year < local.year for year in known) else []
    return unknown + ([local.year + 1] if local.month == DECEMBER and local.year + 1 not in known else [])

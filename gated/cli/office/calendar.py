"""`gated office calendar`: sets the holidays and make-up working days of a year, for every gate."""

import re
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import click

from gated.access.schedules import years_unknown
from gated.cli import read_only_command, show_json, streams
from gated.cli.office import json_option
from gated.cli.table_output import show
from gated.errors import OfficeError
from gated.office.store import Store
from gated.protocol.wire_records import ScheduleRecord

years = click.IntRange(2000, 2199)


@click.group()
def calendar() -> None:
    """Set the holidays and make-up working days of a year for every gate. A gate's own settings take precedence.

    On a holiday, only the "holiday" hours of a schedule count. A make-up working day is, for example, a Saturday before
    the Spring Festival. It counts for schedules with all of mon to fri, and for no other schedule.
    """


@calendar.command("set")
@click.argument("year", type=years)
@click.option("--holidays", default="", metavar="DAYS", help="Such as 2027-01-01,2027-02-05..2027-02-11.")
@click.option("--workdays", default="", metavar="DAYS", help="Make-up working days, such as 2027-02-14.")
@click.pass_obj
def set_year(folder: Path, year: int, holidays: str, workdays: str) -> None:
    """Replace the holidays and make-up working days of a year."""
    free, worked = days_of(year, holidays), days_of(year, workdays)
    if both := sorted(set(free) & set(worked)):
        raise OfficeError(
            f"{', '.join(both)}: is both a holiday and a working day; remove it from one of the two lists"
        )
    if not free and not worked:
        raise click.UsageError("give --holidays, --workdays or both; `calendar remove` deletes a year")
    with closing(Store.open(folder)) as store:
        name = f"calendar-{year}"
        store.book.put(
            ScheduleRecord(n=0, name=name, days=[], start="00:00", end="00:00", holidays=free, workdays=worked)
        )
    streams.echo(f"{year}: {len(free)} holidays and {len(worked)} make-up working days")


@calendar.command("remove")
@click.argument("year", type=years)
@click.pass_obj
def remove_year(folder: Path, year: int) -> None:
    """Delete the days of a year."""
    with closing(Store.open(folder)) as store:
        if store.book.get(f"schedule/calendar-{year}") is None:
            raise OfficeError(f"the calendar has no days of {year}; `gated office calendar list` shows the known years")
        store.book.remove(f"schedule/calendar-{year}")
    streams.echo(f"removed the calendar of {year}")


@calendar.command("list")
@json_option
@click.pass_obj
@read_only_command
def list_years(folder: Path, as_json: bool) -> None:
    """List every year with its days. From December on, warns if the next year is missing."""
    with closing(Store.open(folder)) as store:
        found = sorted(calendars(store), key=lambda each: each.name)
        unknown = unknown_years(store, datetime.now(UTC))
    if as_json:
        show_json([{"name": each.name, "holidays": each.holidays, "workdays": each.workdays} for each in found])
        return
    rows = [[each.name.removeprefix("calendar-"), ", ".join(each.holidays), ", ".join(each.workdays)] for each in found]
    show(["year", "holidays", "make-up working days"], rows)
    for year in unknown:
        streams.echo(
            f"note: the calendar has no days of {year} yet; enter them by `gated office calendar set {year}`", err=True
        )


def calendars(store: Store) -> list[ScheduleRecord]:
    """Return the schedule records that are calendars."""
    return [each for each in store.book.live(ScheduleRecord) if each.holidays or each.workdays]


def unknown_years(store: Store, now: datetime) -> list[int]:
    """Return the years without a calendar that must be entered now."""
    days = [day for each in calendars(store) for day in (*each.holidays, *each.workdays)]
    return years_unknown(days, now, store.zone)


def days_of(year: int, text: str) -> list[str]:
    """Parse days and ranges (`FIRST..LAST`) of one year, separated by commas or spaces. Raises `OfficeError`."""
    found = {day for part in re.split(r"[\s,，、]+", text) if part for day in _run(part)}
    for day in sorted(found):
        if day.year != year:
            raise OfficeError(f"{day}: is not a day of {year}; set the days of each year separately")
    return [day.isoformat() for day in sorted(found)]


def _run(part: str) -> Iterable[date]:
    first, _, last = part.partition("..")
    try:
        begin, end = date.fromisoformat(first), date.fromisoformat(last or first)
    except ValueError as error:
        raise OfficeError(f"{part}: is not a day; write YYYY-MM-DD, or FIRST..LAST") from error
    if not begin <= end or end - begin > timedelta(days=366):
        raise OfficeError(f"{part}: ends before it begins, or is longer than a year; write FIRST..LAST")
    return [begin + timedelta(days=n) for n in range((end - begin).days + 1)]

"""`gated office schedule`: names weekly hours, for the access rules."""

from contextlib import closing
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace

from gated import names, wording
from gated.cli import read_only_command, show_json, streams
from gated.cli.find_person import sure, yes_option
from gated.cli.office import json_option
from gated.cli.office.shared_records import store_records, weekly_schedules
from gated.cli.table_output import show
from gated.config import Schedule
from gated.errors import OfficeError
from gated.office.office_person import OfficePerson
from gated.office.store import Store
from gated.people.plain_text import plain_text
from gated.protocol.wire_records import HouseholdRecord, RoleRecord, ScheduleRecord
from gated.sitetime import clock_of


@click.group()
def schedule() -> None:
    """Name the weekly hours that access rules use: of people, households and roles."""


@schedule.command("set")
@click.argument("name")
@click.option(
    "--days",
    "weekdays",
    default="mon,tue,wed,thu,fri,sat,sun,holiday",
    show_default=True,
    help="Days of the week, and holiday.",
)
@click.option("--start", default="00:00", show_default=True, help="HH:MM, in the site's time zone.")
@click.option("--end", default="24:00", show_default=True, help="HH:MM; if before --start, on the next day.")
@yes_option
@click.pass_obj
def set_schedule(folder: Path, name: str, *, weekdays: str, start: str, end: str, yes: bool) -> None:
    """Set the days and hours of a schedule. Replaces its former hours."""
    name = names.plain(plain_text("schedule", name))
    fields = {"days": [names.plain(day) for day in weekdays.split(",")], "start": clock_of(start), "end": clock_of(end)}
    try:
        checked = msgspec.convert(fields, Schedule)
    except msgspec.ValidationError as error:
        raise OfficeError(f"schedule {name}: {wording.problem(error, Schedule)}") from error
    with closing(Store.open(folder)) as store:
        _confirm(store, name, yes=yes)
        rules = ScheduleRecord(n=0, name=name, days=list(checked.days), start=checked.start, end=checked.end)
        spellings = store.book.spellings(ScheduleRecord, name)
        store_records(store, "schedule", [replace(rules, name=each) for each in spellings])
    streams.echo(f"set the schedule {name}")


def _confirm(store: Store, name: str, *, yes: bool) -> None:
    """Ask for confirmation of a new schedule whose name is similar to a known one."""
    known = sorted({each.name for each in store.book.live(ScheduleRecord)})
    if not any(names.is_same(name, each) for each in known) and (other := names.near_word(name, known)):
        otherwise = f"there is no schedule {name!r} yet, but there is {other!r}"
        sure(f"{otherwise}. Make a new schedule?", otherwise, yes=yes)


@schedule.command("remove")
@click.argument("name")
@yes_option
@click.pass_obj
def remove_schedule(folder: Path, name: str, yes: bool) -> None:
    """Delete a schedule. Access rules that use it then admit nobody. Asks first if there are such rules."""
    with closing(Store.open(folder)) as store:
        known = {each.name for each in store.book.live(ScheduleRecord)}
        keys = [f"schedule/{each}" for each in sorted(known) if names.is_same(each, name)]
        if not keys:
            raise OfficeError(f"there is no schedule {name!r}; {names.did_you_mean(name, known)}")
        if used := _uses(store, name):
            otherwise = f"{used} access rules use {names.plain(name)!r} and would admit nobody"
            sure(f"{otherwise}. Remove it?", otherwise, yes=yes)
        with store.file.writing():
            for key in keys:
                store.book.remove(key)
    streams.echo(f"removed the schedule {names.plain(name)}")


def _uses(store: Store, name: str) -> int:
    """Return how many access rules name a schedule."""
    rules = [rule for person in store.book.live(OfficePerson) for rule in person.rights]
    rules += [rule for home in store.book.live(HouseholdRecord) for rule in home.rights]
    rules += [rule for role in store.book.live(RoleRecord) for rule in role.rights]
    return sum(names.is_same(rule.schedule or "", name) for rule in rules)


@schedule.command("list")
@json_option
@click.pass_obj
@read_only_command
def list_schedules(folder: Path, as_json: bool) -> None:
    """List all schedules."""
    with closing(Store.open(folder)) as store:
        found = weekly_schedules(store)
    if as_json:
        show_json([{"name": each.name, "days": each.days, "start": each.start, "end": each.end} for each in found])
    else:
        show(["name", "days", "start", "end"], [[s.name, ", ".join(s.days), s.start, s.end] for s in found])

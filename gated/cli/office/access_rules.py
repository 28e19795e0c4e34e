"""`gated office rights|schedule`: sets the access rules of households and roles, and the weekly schedules."""

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import msgspec
from msgspec.structs import replace

from gated import names, wording
from gated.cli import looks, show_json, streams
from gated.cli.find_person import sure, yes_option
from gated.cli.people_stores import days_of, since_option, until_option
from gated.cli.place_options import doors_option, gates_option, one_of, places_of
from gated.cli.table_output import in_words, show
from gated.config import Schedule
from gated.errors import OfficeError
from gated.gallery.enrolment import plain_text
from gated.office.office_person import OfficePerson
from gated.office.store import Store
from gated.people.access_rule import plain_role
from gated.protocol.messages import Gone, HouseholdRecord, Passage, RoleRecord, ScheduleRecord
from gated.protocol.record_keys import key_of
from gated.sitetime import clock_of

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def passages_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of an access rule: doors, gates, schedule and dates."""
    schedule = click.option("--schedule", help="Only in the hours of this schedule (`gated office schedule`).")
    clear = click.option("--clear", is_flag=True, help="Remove the rules.")
    for option in (clear, until_option, since_option, schedule, gates_option, doors_option):
        command = option(command)
    return command


def passages(
    store: Store, *, doors: tuple[str, ...], gates: tuple[str, ...], schedule: str | None, since: date | None,
    until: date | None, clear: bool,
) -> list[Passage]:  # fmt: skip
    """Return the access rules that the options describe. Raises click's usage error for no option, or an unknown gate
    or schedule.
    """
    if clear == bool(doors or gates or schedule or since or until):
        raise click.UsageError("say some of --door, --gate, --schedule, --from and --until, or --clear alone")
    begin, end = days(since, until, store.zone)
    if schedule is not None:
        schedule = one_of("--schedule", schedule, {each.name for each in hours_of(store)})
    known = {each.gate for each in store.gates()}
    places = places_of(doors, tuple(one_of("--gate", gate, known) for gate in gates))
    return [] if clear else [Passage(place, schedule, begin, end) for place in places or (None,)]


def days(since: date | None, until: date | None, zone: ZoneInfo) -> tuple[str | None, str | None]:
    """Return the start of day `since` and the end of day `until` in the site's calendar, as ISO 8601."""
    begin, end = days_of(since, until, zone)
    return begin.isoformat() if begin else None, end.isoformat() if end else None


def hours_of(store: Store) -> list[ScheduleRecord]:
    """Return every schedule that is weekly hours and not a calendar."""
    return [each for each in store.book.live(ScheduleRecord) if not (each.holidays or each.workdays)]


def keep_bound(store: Store, who: OfficePerson) -> None:
    """Copy the rules of a person's household and role to the spelling of the names in `who`.

    A gate of an older version matches one exact spelling. The caller holds a write transaction, and stores `who`
    afterwards.
    """
    for home in store.book.live(HouseholdRecord):
        if names.is_same(home.household, who.household):
            _copy(store, replace(home, household=who.household))
    for role in store.book.live(RoleRecord):
        if names.is_same(role.role, who.role):
            _copy(store, replace(role, role=who.role))


def _copy(store: Store, record: HouseholdRecord | RoleRecord) -> None:
    """Store the record unless a live record exists under this spelling."""
    if isinstance(store.book.get(key_of(record)), Gone | None):
        store.book.put(record)


@click.group()
def rights() -> None:
    """Set the doors and hours of a household or role. A person's own rule takes precedence."""


@rights.command()
@click.argument("household")
@passages_option
@click.pass_obj
def household(folder: Path, /, household: str, **said: Any) -> None:
    """Set the doors and hours of a household."""
    name = names.tidy(plain_text("household", household))
    with closing(Store.open(folder)) as store:
        spellings = store.book.spellings(HouseholdRecord, name)
        lived_in = {who.household for who in store.book.live(OfficePerson)}
        if not said["clear"] and not any(names.is_same(name, each) for each in lived_in):
            raise OfficeError(f"nobody lives in {household!r}; {names.did_you_mean(name, lived_in)}")
        told = passages(store, **said)
        _say(store, "household", [HouseholdRecord(n=0, household=each, rights=told) for each in spellings])
    streams.say(f"set the rights of household {name}")


@rights.command()
@click.argument("role")
@passages_option
@click.pass_obj
def role(folder: Path, /, role: str, **said: Any) -> None:
    """Set the doors and hours of a role, such as staff."""
    name = plain_role(role)
    with closing(Store.open(folder)) as store:
        told = passages(store, **said)
        roles = {who.role for who in store.book.live(OfficePerson)}
        spellings = store.book.spellings(RoleRecord, name)
        _say(store, "role", [RoleRecord(n=0, role=each, rights=told) for each in spellings])
    streams.say(f"set the rights of {name}")
    if not any(names.is_same(name, each) for each in roles):
        streams.say(f"nobody has the role {name} yet; {names.did_you_mean(name, roles)}", err=True)


@rights.command("list")
@_json
@click.pass_obj
@looks
def list_rights(folder: Path, as_json: bool) -> None:
    """List the rules of households and roles. `gated office person show` shows a person's own rules."""
    with closing(Store.open(folder)) as store:
        zone = store.zone
        rows = [{"of": "household", "name": r.household, "rights": r.rights} for r in store.book.live(HouseholdRecord)]
        rows += [{"of": "role", "name": r.role, "rights": r.rights} for r in store.book.live(RoleRecord)]
    if as_json:
        show_json(rows)
    else:
        show(
            ["of", "name", "rights"], [[str(row["of"]), str(row["name"]), _plain(row["rights"], zone)] for row in rows]
        )


@click.group()
def schedule() -> None:
    """Name weekly hours, for the rules of people, households and roles."""


@schedule.command("set")
@click.argument("name")
@click.option(
    "--days", "which", default="mon,tue,wed,thu,fri,sat,sun,holiday", show_default=True, help="Days of the week."
)
@click.option("--start", default="00:00", show_default=True, help="HH:MM, in the site's time zone.")
@click.option("--end", default="24:00", show_default=True, help="HH:MM; if before --start, on the next day.")
@yes_option
@click.pass_obj
def set_schedule(folder: Path, name: str, *, which: str, start: str, end: str, yes: bool) -> None:
    """Set the hours of a schedule."""
    name = names.plain(plain_text("schedule", name))
    said = {"days": [names.plain(day) for day in which.split(",")], "start": clock_of(start), "end": clock_of(end)}
    try:
        hours = msgspec.convert(said, Schedule)
    except msgspec.ValidationError as error:
        raise OfficeError(f"schedule {name}: {wording.problem(error, Schedule)}") from error
    with closing(Store.open(folder)) as store:
        _ask_about(store, name, yes=yes)
        told = ScheduleRecord(n=0, name=name, days=list(hours.days), start=hours.start, end=hours.end)
        spellings = store.book.spellings(ScheduleRecord, name)
        _say(store, "schedule", [replace(told, name=each) for each in spellings])
    streams.say(f"set the schedule {name}")


def _ask_about(store: Store, name: str, *, yes: bool) -> None:
    """Ask for confirmation of a new schedule whose name is similar to a known one."""
    known = sorted({each.name for each in store.book.live(ScheduleRecord)})
    if not any(names.is_same(name, each) for each in known) and (other := names.near_word(name, known)):
        otherwise = f"there is no schedule {name!r} yet, and {other!r} is known"
        sure(f"{otherwise}. Is it another schedule?", otherwise, yes=yes)


@schedule.command("remove")
@click.argument("name")
@yes_option
@click.pass_obj
def remove_schedule(folder: Path, name: str, yes: bool) -> None:
    """Delete a schedule. A rule that names it then admits nobody. Asks first if there is such a rule."""
    with closing(Store.open(folder)) as store:
        known = {each.name for each in store.book.live(ScheduleRecord)}
        keys = [f"schedule/{each}" for each in sorted(known) if names.is_same(each, name)]
        if not keys:
            raise OfficeError(f"there is no schedule {name!r}; {names.did_you_mean(name, known)}")
        if used := _uses(store, name):
            otherwise = f"{used} rights name {names.plain(name)!r} and would let nobody pass"
            sure(f"{otherwise}. Remove it?", otherwise, yes=yes)
        with store.file.writing():
            for key in keys:
                store.book.remove(key)
    streams.say(f"removed the schedule {names.plain(name)}")


def _uses(store: Store, name: str) -> int:
    """Return how many access rules name a schedule."""
    told = [right for who in store.book.live(OfficePerson) for right in who.rights]
    told += [right for home in store.book.live(HouseholdRecord) for right in home.rights]
    told += [right for role in store.book.live(RoleRecord) for right in role.rights]
    return sum(names.is_same(right.schedule or "", name) for right in told)


@schedule.command("list")
@_json
@click.pass_obj
@looks
def list_schedules(folder: Path, as_json: bool) -> None:
    """List all schedules."""
    with closing(Store.open(folder)) as store:
        found = hours_of(store)
    if as_json:
        show_json([{"name": each.name, "days": each.days, "start": each.start, "end": each.end} for each in found])
    else:
        show(["name", "days", "start", "end"], [[s.name, ", ".join(s.days), s.start, s.end] for s in found])


def _say(store: Store, kind: str, records: Sequence[HouseholdRecord | RoleRecord | ScheduleRecord]) -> None:
    """Store the records, under every spelling in use. A record with empty rights is removed.

    Raises `OfficeError` if there is nothing to store and nothing to remove.
    """
    with store.file.writing():
        is_told = [bool(each.rights) if isinstance(each, HouseholdRecord | RoleRecord) else True for each in records]
        there = [not isinstance(store.book.get(key_of(each)), Gone | None) for each in records]
        if not any(is_told) and not any(there):
            raise OfficeError(f"nothing is said of this {kind}; `gated office rights list` shows what is")
        for record, told, known in zip(records, is_told, there, strict=True):
            if told:
                store.book.put(record)
            elif known:
                store.book.remove(key_of(record))


def _plain(rights: Any, zone: ZoneInfo) -> str:
    return "; ".join(in_words(each, zone) or "always" for each in rights)

"""`gated office rights|schedule`: when all of a household or a role may pass, and hours of the week."""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import click
import msgspec

from gated.cli import show_json
from gated.cli.books import since_option, until_option
from gated.cli.tables import show
from gated.config import Schedule
from gated.errors import OfficeError
from gated.events import MAIN, SECOND
from gated.gallery.enrolment import plain_text
from gated.gallery.entitlement import plain_role
from gated.office.store import Store
from gated.sync.messages import HouseholdRecord, Passage, RoleRecord, ScheduleRecord

_json = click.option("--json", "as_json", is_flag=True, help="For a program.")


def passages_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say by which doors and when."""
    doors = click.option(
        "--door", "doors", multiple=True, type=click.Choice([MAIN, SECOND]), help="Only by this; may repeat."
    )
    schedule = click.option("--schedule", help="Only in the hours of this `gated office schedule`.")
    clear = click.option("--clear", is_flag=True, help="Forget what was said.")
    for option in (clear, until_option, since_option, schedule, doors):
        command = option(command)
    return command


def passages(
    doors: tuple[str, ...], schedule: str | None, since: date | None, until: date | None, clear: bool
) -> list[Passage]:
    """What was said. Raises click's usage error when nothing was."""
    if clear == bool(doors or schedule or since or until):
        raise click.UsageError("say some of --door, --schedule, --from and --until, or --clear alone")
    begin, end = days(since, until)
    return [] if clear else [Passage(door, schedule, begin, end) for door in doors or (None,)]


def days(since: date | None, until: date | None) -> tuple[str | None, str | None]:
    """From the first moment of a day until after the last of another, by this machine's calendar; ISO 8601."""
    begin = None if since is None else datetime.combine(since, time()).astimezone()
    end = None if until is None else datetime.combine(until + timedelta(days=1), time()).astimezone()
    now = datetime.now(UTC)
    if end is not None and not max(begin or now, now) < end:
        raise click.BadParameter("that day is past, or before --from", param_hint="--until")
    return begin.isoformat() if begin else None, end.isoformat() if end else None


@click.group()
def rights() -> None:
    """Say by which doors and when all of a household or a role may pass, where nothing is said of one alone."""


@rights.command()
@click.argument("household")
@passages_option
@click.pass_obj
def household(folder: Path, /, household: str, **said: Any) -> None:
    """Of all who live together."""
    name = plain_text("household", household)
    _say(folder, f"household/{name}", HouseholdRecord(n=0, household=name, rights=passages(**said)))
    click.echo("set the rights of that household")


@rights.command()
@click.argument("role")
@passages_option
@click.pass_obj
def role(folder: Path, /, role: str, **said: Any) -> None:
    """Of all who are something here, such as staff."""
    name = plain_role(role)
    _say(folder, f"role/{name}", RoleRecord(n=0, role=name, rights=passages(**said)))
    click.echo(f"set the rights of {name}")


@rights.command("list")
@_json
@click.pass_obj
def list_rights(folder: Path, as_json: bool) -> None:
    """What is said of households and roles; what is said of one person, `gated office person show` tells."""
    with closing(Store.open(folder)) as store:
        rows = [{"of": "household", "name": r.household, "rights": r.rights} for r in store.book.live(HouseholdRecord)]
        rows += [{"of": "role", "name": r.role, "rights": r.rights} for r in store.book.live(RoleRecord)]
    if as_json:
        show_json(rows)
    else:
        show(["of", "name", "rights"], [[str(row["of"]), str(row["name"]), _plain(row["rights"])] for row in rows])


@click.group()
def schedule() -> None:
    """Name hours of the week, for the rights of people, households and roles."""


@schedule.command("set")
@click.argument("name")
@click.option("--days", "which", default="mon,tue,wed,thu,fri,sat,sun,holiday", show_default=True, help="Which days.")
@click.option("--start", default="00:00", show_default=True, help="HH:MM, by the clock on the site's wall.")
@click.option("--end", default="00:00", show_default=True, help="HH:MM; before --start it is on the next day.")
@click.pass_obj
def set_schedule(folder: Path, name: str, which: str, start: str, end: str) -> None:
    """Say which hours a schedule has."""
    listed = [day.strip() for day in which.split(",")]
    try:
        msgspec.convert({"days": listed, "start": start, "end": end}, Schedule)
    except msgspec.ValidationError as error:
        raise OfficeError(f"schedule {name}: {error}") from error
    _say(folder, f"schedule/{name}", ScheduleRecord(n=0, name=name, days=listed, start=start, end=end))
    click.echo(f"set the schedule {name}")


@schedule.command("remove")
@click.argument("name")
@click.pass_obj
def remove_schedule(folder: Path, name: str) -> None:
    """Forget a schedule; rights that name it let nobody pass any more."""
    with closing(Store.open(folder)) as store:
        store.book.remove(f"schedule/{name}")
    click.echo(f"removed the schedule {name}")


@schedule.command("list")
@_json
@click.pass_obj
def list_schedules(folder: Path, as_json: bool) -> None:
    """Every schedule."""
    with closing(Store.open(folder)) as store:
        found = store.book.live(ScheduleRecord)
    if as_json:
        show_json([{"name": each.name, "days": each.days, "start": each.start, "end": each.end} for each in found])
    else:
        show(["name", "days", "start", "end"], [[s.name, ", ".join(s.days), s.start, s.end] for s in found])


def _say(folder: Path, key: str, record: HouseholdRecord | RoleRecord | ScheduleRecord) -> None:
    """Have it so; rights that are empty are as if nothing had been said."""
    with closing(Store.open(folder)) as store:
        if isinstance(record, ScheduleRecord) or record.rights:
            store.book.put(record)
        else:
            store.book.remove(key)


def _plain(rights: Any) -> str:
    said = [{name: value for name, value in msgspec.to_builtins(each).items() if value is not None} for each in rights]
    return "; ".join(", ".join(f"{name} {value}" for name, value in each.items()) or "always" for each in said)

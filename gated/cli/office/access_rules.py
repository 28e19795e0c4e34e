"""`gated office rights`: sets the access rules of households and roles."""

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from msgspec.structs import replace

from gated import names
from gated.cli import read_only_command, show_json, streams
from gated.cli.office import json_option
from gated.cli.office.old_gates import warn_of_unknown_rule
from gated.cli.office.shared_records import store_records, weekly_schedules
from gated.cli.people_stores import days_of, since_option, until_option
from gated.cli.place_options import add_option, doors_option, gates_option, one_of, places_of, second_option
from gated.cli.table_output import in_words, show
from gated.errors import OfficeError
from gated.office.office_person import OfficePerson
from gated.office.store import Store
from gated.people.access_rule import AccessRule, plain_role, rule_at
from gated.people.plain_text import plain_text
from gated.protocol.record_keys import key_of
from gated.protocol.wire_records import HouseholdRecord, RoleRecord, Tombstone, WireAccessRule


def access_rule_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of an access rule: doors, gates, schedule and dates."""
    schedule = click.option("--schedule", help="Only during this schedule (`gated office schedule` defines it).")
    clear = click.option("--clear", is_flag=True, help="Remove the rules.")
    for option in (clear, add_option, second_option, until_option, since_option, schedule, gates_option, doors_option):
        command = option(command)
    return command


def access_rules_of(
    store: Store, before: Sequence[WireAccessRule], *, doors: tuple[str, ...], gates: tuple[str, ...],
    schedule: str | None, since: date | None, until: date | None, needs_second: bool, add: bool, clear: bool,
) -> list[WireAccessRule]:  # fmt: skip
    """Return the access rules that the options describe, after the rules `before` with `--add`. Raises click's usage
    error for no option, or an unknown gate or schedule.
    """
    if clear == bool(doors or gates or schedule or since or until or needs_second or add):
        raise click.UsageError(
            "give one or more of --door, --gate, --schedule, --from, --until and --with-card-or-pin, or --clear alone"
        )
    begin, end = days(since, until, store.zone)
    if schedule is not None:
        schedule = one_of("--schedule", schedule, {each.name for each in weekly_schedules(store)})
    known = {each.gate for each in store.gates()}
    places = places_of(doors, tuple(one_of("--gate", gate, known) for gate in gates))
    doors_as_sent = [AccessRule(place, needs_second=needs_second).stored_door for place in places or (None,)]
    new = [WireAccessRule(door, schedule, begin, end) for door in doors_as_sent]
    return [] if clear else [*(before if add else ()), *new]


def warn_of_rule(store: Store, *, needs_second: bool, gates: tuple[str, ...], **_: object) -> None:
    """Name the gates that are too old for a rule with two kinds. The arguments are the options of the rule."""
    if needs_second:
        warn_of_unknown_rule(store, gates)


def shown_rules(rules: Sequence[WireAccessRule]) -> list[dict[str, Any]]:
    """Return access rules for people and as JSON."""
    plain = [rule_at(rule.door, None, None, None) for rule in rules]
    return [
        {
            "door": door.door,
            "schedule": rule.schedule,
            "valid_from": rule.valid_from,
            "valid_until": rule.valid_until,
            "with_card_or_pin": door.needs_second or None,
        }
        for rule, door in zip(rules, plain, strict=True)
    ]


def _rules_under(store: Store, key: str) -> list[WireAccessRule]:
    """Return the present rules of a household or role."""
    record = store.book.get(key)
    return record.rights if isinstance(record, HouseholdRecord | RoleRecord) else []


def days(since: date | None, until: date | None, zone: ZoneInfo) -> tuple[str | None, str | None]:
    """Return the start of day `since` and the end of day `until` in the site's calendar, as ISO 8601."""
    begin, end = days_of(since, until, zone)
    return begin.isoformat() if begin else None, end.isoformat() if end else None


def copy_shared_rules(store: Store, person: OfficePerson) -> None:
    """Copy the rules of a person's household and role to the spelling of the names in `person`.

    A gate of an older version matches one exact spelling. The caller holds a write transaction, and stores `person`
    afterwards.
    """
    for home in store.book.live(HouseholdRecord):
        if names.is_same(home.household, person.household):
            _copy(store, replace(home, household=person.household))
    for role in store.book.live(RoleRecord):
        if names.is_same(role.role, person.role):
            _copy(store, replace(role, role=person.role))


def _copy(store: Store, record: HouseholdRecord | RoleRecord) -> None:
    """Store the record unless a live record exists under this spelling."""
    if isinstance(store.book.get(key_of(record)), Tombstone | None):
        store.book.put(record)


@click.group("rights")
def access_rules() -> None:
    """Set where and when a household or role may enter. A person's own rule takes precedence.

    Without any rule, people may enter by every door at any time.
    """


@access_rules.command()
@click.argument("household")
@access_rule_options
@click.pass_obj
def household(folder: Path, /, household: str, **options: Any) -> None:
    """Set where and when a household may enter. Replaces its former rules."""
    name = names.tidy(plain_text("household", household))
    with closing(Store.open(folder)) as store:
        spellings = store.book.spellings(HouseholdRecord, name)
        lived_in = {person.household for person in store.book.live(OfficePerson)}
        if not options["clear"] and not any(names.is_same(name, each) for each in lived_in):
            raise OfficeError(f"nobody lives in {household!r}; {names.did_you_mean(name, lived_in)}")
        rules = {
            each: access_rules_of(store, _rules_under(store, f"household/{each}"), **options) for each in spellings
        }
        store_records(
            store, "household", [HouseholdRecord(n=0, household=each, rights=rules[each]) for each in spellings]
        )
        warn_of_rule(store, **options)
    streams.echo(f"set the access rules of household {name}")


@access_rules.command()
@click.argument("role")
@access_rule_options
@click.pass_obj
def role(folder: Path, /, role: str, **options: Any) -> None:
    """Set where and when people with a role may enter, such as staff. Replaces the former rules."""
    name = plain_role(role)
    with closing(Store.open(folder)) as store:
        roles = {person.role for person in store.book.live(OfficePerson)}
        spellings = store.book.spellings(RoleRecord, name)
        rules = {each: access_rules_of(store, _rules_under(store, f"role/{each}"), **options) for each in spellings}
        store_records(store, "role", [RoleRecord(n=0, role=each, rights=rules[each]) for each in spellings])
        warn_of_rule(store, **options)
    streams.echo(f"set the access rules of the role {name}")
    if not any(names.is_same(name, each) for each in roles):
        streams.echo(f"note: nobody has the role {name} yet; {names.did_you_mean(name, roles)}", err=True)


@access_rules.command("list")
@json_option
@click.pass_obj
@read_only_command
def list_access_rules(folder: Path, as_json: bool) -> None:
    """List the rules of households and roles. `gated office person show` shows a person's own rules."""
    with closing(Store.open(folder)) as store:
        zone = store.zone
        rows = [
            {"of": "household", "name": r.household, "rights": shown_rules(r.rights)}
            for r in store.book.live(HouseholdRecord)
        ]
        rows += [{"of": "role", "name": r.role, "rights": shown_rules(r.rights)} for r in store.book.live(RoleRecord)]
    if as_json:
        show_json(rows)
    else:
        show(
            ["of", "name", "rights"], [[str(row["of"]), str(row["name"]), _plain(row["rights"], zone)] for row in rows]
        )


def _plain(access_rules: Any, zone: ZoneInfo) -> str:
    return "; ".join(in_words(each, zone) or "always" for each in access_rules)

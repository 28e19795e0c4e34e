"""`gated people role|rights|prefer`: sets the access rules and the preferences of people."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from gated import names
from gated.cli import Context, streams
from gated.cli.credentials import card_or_pin
from gated.cli.find_person import called, sure, yes_option
from gated.cli.people_stores import books, known, since_option, until_option, window
from gated.cli.place_options import add_option, doors_option, gates_option, one_of, places_of, second_option
from gated.events import AccessRulesChanged, PreferencesChanged
from gated.people.access_rule import RESIDENT, AccessRule, RuleOwner
from gated.people.credential_store import Credentials
from gated.people.face_mark import FaceMark
from gated.people.preferences import NO_PREFERENCES, Preferences
from gated.sitetime import iso
from gated.types import SubjectId


@click.command()
@click.argument("subject")
@click.argument("role", required=False)
@yes_option
@click.pass_obj
def role(context: Context, subject: str, role: str | None, yes: bool) -> None:
    """Show or set the role of a person: resident, staff, guardian, or another word.

    `gated people rights --role` sets the doors and hours of a role.
    """
    with books(context) as (store, note):
        found = known(store, subject)
        person = found.subject
        if role is None:
            streams.echo(store.role_of(person))
            return
        near_role(role, {each.role for each in store.people()}, yes=yes)
        role = store.set_role(person, role)
        note(AccessRulesChanged(person))
        is_open = role != RESIDENT and not store.access_rules_of(person, "role")
    streams.echo(f"{called(found)}, {person}, is {role}")
    if is_open:  # a typing error can cause this, too
        click.echo("this role has no access rule, so its people may use every door at all hours", err=True)


@click.command("rights")
@click.argument("subject")
@doors_option
@gates_option
@click.option("--schedule", help="Only in the hours of [schedules.NAME] or of an office schedule.")
@since_option
@until_option
@second_option
@add_option
@click.option("--household", is_flag=True, help="Set the rule of the person's household.")
@click.option("--role", is_flag=True, help="Set the rule of the person's role.")
@click.option("--clear", is_flag=True, help="Remove the rules; the rules of household and role then apply.")
@click.pass_obj
def access_rules(
    context: Context, *, subject: str, doors: tuple[str, ...], gates: tuple[str, ...], schedule: str | None,
    since: date | None, until: date | None, needs_second: bool, add: bool, household: bool, role: bool, clear: bool,
) -> None:  # fmt: skip
    """Set the doors and hours of a person. Without a rule, every door at all hours.

    A person's own rules come first, then those of the household, then those of the role. With `--door`, the rules of
    other doors stay. Without it, the new rule replaces all rules.

    A card or PIN after the face only at night: `--schedule day`, and then `--with-card-or-pin --add`.
    """
    if clear == bool(doors or gates or schedule or since or until or needs_second or add):
        raise click.UsageError(
            "give at least one of --door, --gate, --schedule, --from, --until and --with-card-or-pin, or --clear alone"
        )
    if household and role:
        raise click.UsageError("give --household or --role, not both")
    owner: RuleOwner = "household" if household else "role" if role else "subject"
    valid_from, valid_until = window(context, since, until)
    with books(context) as (store, note):
        if schedule is not None:
            schedule = one_of("--schedule", schedule, {*context.settings.schedules, *store.schedules()})
        known_gates = {context.settings.gate.id, *store.gates()}
        places = places_of(doors, tuple(one_of("--gate", gate, known_gates) for gate in gates))
        found = known(store, subject)
        person = found.subject
        before = store.access_rules_of(person, owner)
        kept = [rule for rule in before if add or (places and rule.door is not None and rule.door not in places)]
        new = [
            AccessRule(place, schedule, valid_from, valid_until, needs_second)
            for place in (() if clear else places or (None,))
        ]
        store.set_access_rules(person, kept + new, owner)
        note(AccessRulesChanged(person, household, role))
    others = "" if owner == "subject" else f" and all of that {owner}"
    streams.echo(f"set the access rules of {called(found)}, {person}{others}")


def near_role(role: str, known: set[str], *, yes: bool) -> None:
    """Ask for confirmation of an unknown role whose name is similar to a known one."""
    if not any(names.is_same(role, other) for other in known) and (other := names.near_word(role, sorted(known))):
        otherwise = f"nobody has the role {role!r} yet, and {other!r} is known"
        sure(f"Nobody has the role {role!r} yet, and {other!r} is known. Is it another role?", otherwise, yes=yes)


def preference_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a person's preferences to a command."""
    options = (
        click.option("--release-s", type=click.FloatRange(5, 30), help="Seconds that the lock stays released."),
        click.option("--search-s", type=click.FloatRange(1, 30), help="Seconds that the gate searches for the face."),
        click.option("--first", type=click.Choice(["speech", "light", "touch"]), help="The cue to give first."),
        click.option("--clear", is_flag=True, help="Reset to the defaults."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def given_preferences(options: Mapping[str, Any], *, clear: bool) -> dict[str, Any]:
    """Return the preferences that the caller gave. Raises `click.UsageError` for none, or for some with `clear`."""
    given = {name: value for name, value in options.items() if value is not None}
    if clear == bool(given):
        raise click.UsageError("give at least one of --release-s, --search-s and --first, or --clear alone")
    return given


def mark_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a mark to a command."""
    options = (
        click.option("--child", "kind", flag_value="child", help="A child under 14."),
        click.option("--alike", "kind", flag_value="alike", help="The face resembles another person's."),
        click.option("--none", "kind", flag_value="none", help="Remove the mark."),
        until_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


def given_mark(kind: str | None, end: datetime | None) -> FaceMark | None:
    """Return the mark that the options describe. Raises `click.UsageError`."""
    if kind is None or (kind == "none" and end is not None):
        raise click.UsageError("give --child or --alike, also with --until DAY, or --none alone")
    return None if kind == "none" else FaceMark(kind, end)


@click.command()
@click.argument("subject")
@mark_options
@click.pass_obj
def mark(context: Context, subject: str, kind: str | None, until: date | None) -> None:
    """Mark a person whose face may not open alone: the person also uses a card or PIN.

    A card or PIN alone still opens. The gate stores no reason beside the mark. `--until` is the last day of the mark,
    such as the day before a 14th birthday.
    """
    new = given_mark(kind, window(context, None, until)[1])
    with books(context) as (store, note):
        person = known(store, subject)
        store.set_mark(person.subject, new)
        note(AccessRulesChanged(person.subject))
    streams.echo(f"{'removed' if new is None else 'set'} the mark of {called(person)}, {person.subject}")


@click.command()
@click.argument("subject")
@preference_options
@click.pass_obj
def prefer(context: Context, /, subject: str, *, clear: bool, **options: Any) -> None:
    """Set how the gate behaves for a person.

    Options not given stay unchanged. The gate neither asks for a reason nor stores one.
    """
    asked = given_preferences(options, clear=clear)
    with books(context) as (store, note):
        person = known(store, subject)
        holder = store.holders().get(person.subject)
        before = NO_PREFERENCES if holder is None or clear else holder.preferences
        store.set_preferences(person.subject, replace(before, **asked))
        note(PreferencesChanged(person.subject))
    streams.echo(f"set the preferences of {called(person)}, {person.subject}")


def what_somebody_has(store: Credentials, subject: SubjectId, zone: ZoneInfo) -> dict[str, Any]:
    """Return cards, PINs, access rules and preferences for `gated people show`, without numbers."""
    holder = store.holders().get(subject)
    preferences = NO_PREFERENCES if holder is None else holder.preferences
    return {
        "ways": [card_or_pin(each, zone) for each in store.of(subject)],
        "rights": [_rule_json(rule, zone) for rule in store.access_rules_of(subject)],
        "household_rights": [_rule_json(rule, zone) for rule in store.access_rules_of(subject, "household")],
        "role_rights": [_rule_json(rule, zone) for rule in store.access_rules_of(subject, "role")],
        "preferences": {wish: getattr(preferences, wish) for wish in Preferences.__slots__},
        "mark": None if holder is None else _mark_json(holder.mark, zone),
    }


def _mark_json(mark: FaceMark | None, zone: ZoneInfo) -> dict[str, Any] | None:
    return None if mark is None else {"kind": mark.kind, "until": iso(mark.until, zone)}


def _rule_json(rule: AccessRule, zone: ZoneInfo) -> dict[str, Any]:
    hours = {"valid_from": iso(rule.valid_from, zone), "valid_until": iso(rule.valid_until, zone)}
    return {"door": rule.door, "schedule": rule.schedule, **hours, "with_card_or_pin": rule.needs_second or None}

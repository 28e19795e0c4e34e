"""`gated people role|rights|prefer`: by which doors and when people may pass, and how they like the gate to behave."""

from dataclasses import replace
from datetime import date
from typing import Any

import click

from gated.cli import Context
from gated.cli.books import books, shown, since_option, until_option, window
from gated.cli.ways import card_or_pin
from gated.events import MAIN, SECOND, PreferencesChanged, RightsChanged
from gated.gallery.credentials import Credentials
from gated.gallery.entitlement import AS_EVERYBODY, RESIDENT, Preferences, Right, Whose
from gated.types import SubjectId


@click.command()
@click.argument("subject")
@click.argument("role", required=False)
@click.pass_obj
def role(context: Context, subject: str, role: str | None) -> None:
    """Show somebody's role, or give them another, such as resident, staff or guardian.

    `gated people rights --role` says by which doors and when all of one role may pass.
    """
    who = SubjectId(subject)
    with books(context) as (store, note):
        if role is None:
            click.echo(store.role_of(who))
            return
        role = store.set_role(who, role)
        note(RightsChanged(subject))
        is_open = role != RESIDENT and not store.rights_of(who, "role")
    click.echo(f"{subject} is {role}")
    if is_open:  # which a slip of the keys would be as well
        click.echo("nothing is said of this role, so it may pass by every door at all hours", err=True)


@click.command()
@click.argument("subject")
@click.option(
    "--door", "doors", multiple=True, type=click.Choice([MAIN, SECOND]), help="Only by this door; may repeat."
)
@click.option("--schedule", help="Only in the hours of [schedules.NAME].")
@since_option
@until_option
@click.option("--household", is_flag=True, help="For all whom they live with, where nothing is said of one alone.")
@click.option("--role", is_flag=True, help="For all of their role, where nothing is said of one or a household.")
@click.option("--clear", is_flag=True, help="Forget what was said; what is said of more people counts.")
@click.pass_obj
def rights(
    context: Context, *, subject: str, doors: tuple[str, ...], schedule: str | None, since: date | None,
    until: date | None, household: bool, role: bool, clear: bool,
) -> None:  # fmt: skip
    """Say by which doors and when somebody may pass; without a word they pass by every door at all hours.

    What is said of one alone counts before what is said of the household, and that before what is said of the role.
    With `--door` what was said of other doors stays; without it, it is replaced.
    """
    if clear == bool(doors or schedule or since or until):
        raise click.UsageError("say some of --door, --schedule, --from and --until, or --clear alone")
    if schedule is not None and schedule not in context.settings.schedules:
        raise click.BadParameter(f"there is no [schedules.{schedule}] in the settings", param_hint="--schedule")
    if household and role:
        raise click.UsageError("say --household or --role, one at a time")
    whose: Whose = "household" if household else "role" if role else "subject"
    valid_from, valid_until = window(context, since, until)
    with books(context) as (store, note):
        who = SubjectId(subject)
        before = store.rights_of(who, whose)
        kept = [right for right in before if doors and right.door is not None and right.door not in doors]
        new = [] if clear else [Right(door, schedule, valid_from, valid_until) for door in doors or (None,)]
        store.set_rights(who, kept + new, whose)
        note(RightsChanged(subject, household, role))
    click.echo(f"set the rights of {subject}{'' if whose == 'subject' else f' and all of that {whose}'}")


@click.command()
@click.argument("subject")
@click.option("--release-s", type=click.FloatRange(5, 30), help="So long the lock stays released for them, in seconds.")
@click.option("--search-s", type=click.FloatRange(1, 30), help="So long their face is looked for, in seconds.")
@click.option("--first", type=click.Choice(["speech", "light", "touch"]), help="The cue that they want first.")
@click.option("--clear", is_flag=True, help="As everybody.")
@click.pass_obj
def prefer(context: Context, /, subject: str, *, clear: bool, **wishes: Any) -> None:
    """Do as somebody asks; what is not said stays. Nobody is asked why, and no reason is kept."""
    asked = {wish: value for wish, value in wishes.items() if value is not None}
    if clear == bool(asked):
        raise click.UsageError("say some of --release-s, --search-s and --first, or --clear alone")
    with books(context) as (store, note):
        holder = store.holders().get(SubjectId(subject))
        before = AS_EVERYBODY if holder is None or clear else holder.preferences
        store.set_preferences(SubjectId(subject), replace(before, **asked))
        note(PreferencesChanged(subject))
    click.echo(f"set what {subject} prefers")


def what_somebody_has(store: Credentials, subject: SubjectId) -> dict[str, Any]:
    """Cards, PINs, rights and preferences, for `gated people show`. Never a number."""
    holder = store.holders().get(subject)
    preferences = AS_EVERYBODY if holder is None else holder.preferences
    return {
        "ways": [card_or_pin(each) for each in store.of(subject)],
        "rights": [_right(right) for right in store.rights_of(subject)],
        "household_rights": [_right(right) for right in store.rights_of(subject, "household")],
        "role_rights": [_right(right) for right in store.rights_of(subject, "role")],
        "preferences": {wish: getattr(preferences, wish) for wish in Preferences.__slots__},
    }


def _right(right: Right) -> dict[str, Any]:
    hours = {"valid_from": shown(right.valid_from), "valid_until": shown(right.valid_until)}
    return {"door": right.door, "schedule": right.schedule, **hours}

"""`gated people rights|prefer`: by which doors and when people may pass, and how they like the gate to behave."""

from dataclasses import replace
from datetime import date
from typing import Any

import click

from gated.cli import Context
from gated.cli.books import books, shown, since_option, until_option, window
from gated.cli.ways import card_or_pin
from gated.events import MAIN, SECOND, PreferencesChanged, RightsChanged
from gated.gallery.credentials import Credentials
from gated.gallery.entitlement import AS_EVERYBODY, Preferences, Right
from gated.types import SubjectId


@click.command()
@click.argument("subject")
@click.option(
    "--door", "doors", multiple=True, type=click.Choice([MAIN, SECOND]), help="Only by this door; may repeat."
)
@click.option("--schedule", help="Only in the hours of [schedules.NAME].")
@since_option
@until_option
@click.option("--household", is_flag=True, help="For all whom they live with, where nothing is said of one alone.")
@click.option("--clear", is_flag=True, help="Forget what was said: by every door, at all hours.")
@click.pass_obj
def rights(
    context: Context, *, subject: str, doors: tuple[str, ...], schedule: str | None, since: date | None,
    until: date | None, household: bool, clear: bool,
) -> None:  # fmt: skip
    """Say by which doors and when somebody may pass; without a word they pass by every door at all hours.

    With `--door` what was said of other doors stays; without it, it is replaced.
    """
    if clear == bool(doors or schedule or since or until):
        raise click.UsageError("say some of --door, --schedule, --from and --until, or --clear alone")
    if schedule is not None and schedule not in context.settings.schedules:
        raise click.BadParameter(f"there is no [schedules.{schedule}] in the settings", param_hint="--schedule")
    valid_from, valid_until = window(context, since, until)
    with books(context) as (store, note):
        who = SubjectId(subject)
        before = store.rights_of(who, household=household)
        kept = [right for right in before if doors and right.door is not None and right.door not in doors]
        new = [] if clear else [Right(door, schedule, valid_from, valid_until) for door in doors or (None,)]
        store.set_rights(who, kept + new, household=household)
        note(RightsChanged(subject, household))
    click.echo(f"set the rights of {subject}{' and household' if household else ''}")


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
        "household_rights": [_right(right) for right in store.rights_of(subject, household=True)],
        "preferences": {wish: getattr(preferences, wish) for wish in Preferences.__slots__},
    }


def _right(right: Right) -> dict[str, Any]:
    hours = {"valid_from": shown(right.valid_from), "valid_until": shown(right.valid_until)}
    return {"door": right.door, "schedule": right.schedule, **hours}

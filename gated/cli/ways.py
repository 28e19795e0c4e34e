"""`gated people card|pin|guest`: how people come in beside their faces."""

import sys
from contextlib import closing
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from gated.cli import Context, show_json
from gated.cli.books import Note, books, shown, since_option, until_option, window
from gated.cli.tables import show
from gated.errors import CredentialError
from gated.events import CredentialAdded, CredentialRemoved
from gated.gallery.credentials import Credentials
from gated.gallery.enrolment import plain_text
from gated.gallery.entitlement import Credential
from gated.gallery.issuing import give_card, set_pin, take_away
from gated.types import SubjectId

_number = click.option("--number", required=True, help="What is printed on the card, or what a reader says.")
_uses = click.option("--uses", type=click.IntRange(1, 100_000), help="It opens so many times.")
_label = click.option("--label", default="", help="A note for the office; it stays on this gate.")


@click.group()
def card() -> None:
    """Give cards, list them, take them away."""


@card.command("add")
@click.argument("subject")
@_number
@since_option
@until_option
@_uses
@_label
@click.pass_obj
def add_card(
    context: Context, *, subject: str, number: str, since: date | None, until: date | None, uses: int | None, label: str
) -> None:
    """Give somebody a card. Its number is not kept, only a digest that needs this site's key."""
    _give(context, SubjectId(subject), number, (since, until), uses=uses, label=label)


@card.command("list")
@click.option("--json", "as_json", is_flag=True, help="For a program.")
@click.pass_obj
def list_cards(context: Context, as_json: bool) -> None:
    """Every card, of residents and of guests; never a number."""
    settings = context.settings
    with closing(Credentials.open(settings.state, settings.site.id)) as store:
        rows = [card_or_pin(each) for each in store.all() if each.way == "card"]
    if as_json:
        show_json(rows)
    else:
        columns = ["credential", "subject", "label", "valid_from", "valid_until", "uses_left", "last_used_at"]
        show(columns, [[_plain(row[column]) for column in columns] for row in rows])


@card.command("remove")
@click.argument("credential")
@click.pass_obj
def remove_card(context: Context, credential: str) -> None:
    """Take a card away, by its id; a gate that runs follows within a second."""
    with books(context) as (store, note):
        if not any(each.way == "card" and each.id == credential for each in store.all()):
            raise CredentialError(f"there is no card {credential!r}; `gated people card list` shows the ids")
        _take(store, note, credential)
    click.echo(f"removed card {credential}")


@click.command()
@_number
@until_option
@_uses
@_label
@click.pass_obj
def guest(context: Context, *, number: str, until: date | None, uses: int | None, label: str) -> None:
    """Give a guest a card, for today only unless `--until` says otherwise."""
    today = datetime.now(ZoneInfo(context.settings.site.timezone)).date()
    _give(context, None, number, (today, until or today), uses=uses, label=label)


@click.group()
def pin() -> None:
    """Set or remove somebody's PIN."""


@pin.command("set")
@click.argument("subject")
@click.option("--duress", is_flag=True, help="Their second PIN: it opens, and silently calls for help.")
@click.pass_obj
def set_pin_of(context: Context, subject: str, duress: bool) -> None:
    """Set somebody's PIN; it is asked for, or read from standard input, and replaces the one they had."""
    digits = _typed()
    with books(context) as (store, note):
        new, old = set_pin(
            store, digits, SubjectId(subject), least=context.settings.readers.pin_digits, is_duress=duress
        )
        if old is not None:
            note(CredentialRemoved("pin", old.id, subject))
        note(CredentialAdded("pin", new.id, subject))
    click.echo(f"set {'the duress PIN' if duress else 'the PIN'} of {subject}")


@pin.command("remove")
@click.argument("subject")
@click.option("--duress", is_flag=True, help="Only the duress PIN.")
@click.pass_obj
def remove_pin(context: Context, subject: str, duress: bool) -> None:
    """Take somebody's PIN away, and the duress PIN with it."""
    with books(context) as (store, note):
        theirs = [each for each in store.of(SubjectId(subject)) if each.way == "pin" and (each.is_duress or not duress)]
        if not theirs:
            raise CredentialError(f"{subject!r} has no such PIN; `gated people show` tells what somebody has")
        for each in theirs:
            _take(store, note, each.id)
    click.echo(f"removed {len(theirs)} PIN of {subject}")


def card_or_pin(credential: Credential) -> dict[str, Any]:
    """One of them for people and programs; never a number."""
    return {
        "credential": credential.id,
        "way": credential.way,
        "subject": credential.subject,
        "label": credential.label,
        "is_duress": credential.is_duress,
        "uses_left": credential.uses_left,
    } | {
        name: shown(getattr(credential, name))
        for name in ("valid_from", "valid_until", "first_used_at", "last_used_at")
    }


def _give(
    context: Context, subject: SubjectId | None, number: str, days: tuple[date | None, date | None], *,
    uses: int | None, label: str,
) -> None:  # fmt: skip
    begin, end = window(context, *days)
    label = plain_text("label", label) if label.strip() else ""
    with books(context) as (store, note):
        new = give_card(store, number, subject, label=label, valid_from=begin, valid_until=end, uses=uses)
        note(CredentialAdded("card", new.id, subject))
    click.echo(f"gave {subject or 'a guest'} the card {new.id}")


def _take(store: Credentials, note: Note, which: str) -> None:
    gone = take_away(store, which)
    note(CredentialRemoved(gone.way, gone.id, gone.subject))


def _typed() -> str:
    """A PIN, never from the command line, which every process may read."""
    if sys.stdin.isatty():
        return str(click.prompt("PIN", hide_input=True, confirmation_prompt=True)).strip()
    return sys.stdin.readline().strip()


def _plain(value: object) -> str:
    return "" if value is None else str(value)

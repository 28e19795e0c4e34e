"""`gated people card|pin|guest`: manage credentials other than faces."""

from contextlib import closing
from datetime import date, datetime
from typing import Any, assert_never
from zoneinfo import ZoneInfo

import click

from gated.cli import Context, read_only_command, show_json, streams
from gated.cli.find_person import called
from gated.cli.people_stores import Note, books, known, since_option, until_option, window, zone_of
from gated.cli.pins import choose_option, insisted, print_generated_pin
from gated.cli.table_output import in_words, in_zone, show
from gated.errors import CredentialError
from gated.events import CredentialAdded, CredentialRemoved
from gated.people import card_readings
from gated.people.credential import Credential, by_kind
from gated.people.credential_store import Credentials
from gated.people.issuing import issue_card, issue_random_pin, remove_duress_pin, revoke_credential, set_pin
from gated.people.plain_text import plain_text
from gated.sitetime import iso
from gated.types import CredentialKind

_number = click.option("--number", required=True, help="The printed number or a reader's output.")
_uses = click.option("--uses", type=click.IntRange(1, 100_000), help="Number of uses.")
_same_each_time = click.option(
    "--same-each-time",
    is_flag=True,
    help="The number looks random, but you saw the same number more than once.",
)
_label = click.option("--label", default="", help="A note for the office; it stays on this gate.")


@click.group()
def card() -> None:
    """Give, list and remove cards."""


@card.command("add")
@click.argument("subject")
@_number
@since_option
@until_option
@_uses
@_label
@_same_each_time
@click.pass_obj
def add_card(
    context: Context, *, subject: str, number: str, since: date | None, until: date | None, uses: int | None,
    label: str, same_each_time: bool,
) -> None:  # fmt: skip
    """Give a person a card, by its printed number or the output of any reader. It opens at every kind of reader.

    The gate does not store the number, only digests of its readings, made with the site key.
    """
    window = since, until
    _give(context, subject, number, window, uses=uses, label=label, may_be_random=same_each_time)


@card.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
@read_only_command
def list_cards(context: Context, as_json: bool) -> None:
    """List all cards of residents and guests, without numbers."""
    settings = context.settings
    with closing(Credentials.open(settings.state, settings.site.id)) as store:
        rows = [card_or_pin(each, zone_of(context)) for each in by_kind(store.all())[0]]
    zone = zone_of(context)
    if as_json:
        show_json(rows)
    else:
        columns = ["credential", "subject", "label", "valid_from", "valid_until", "uses_left", "last_used_at"]
        show(in_zone(columns, zone), [[in_words(row[column], zone) for column in columns] for row in rows])


@card.command("remove")
@click.argument("credential")
@click.pass_obj
def remove_card(context: Context, credential: str) -> None:
    """Remove a card by its id. A running gate follows within a second."""
    with books(context) as (store, note):
        if not any(each.id == credential for each in by_kind(store.all())[0]):
            raise CredentialError(f"there is no card {credential!r}; `gated people card list` shows the ids")
        _revoke(store, note, credential)
    streams.echo(f"removed card {credential}")


@click.command()
@_number
@until_option
@_uses
@_label
@_same_each_time
@click.pass_obj
def guest(
    context: Context, *, number: str, until: date | None, uses: int | None, label: str, same_each_time: bool
) -> None:
    """Give a guest a card. It is valid today only, or until `--until`."""
    today = datetime.now(zone_of(context)).date()
    window = today, until or today
    _give(context, None, number, window, uses=uses, label=label, may_be_random=same_each_time)


@click.group()
def pin() -> None:
    """Set or remove a person's PIN."""


@pin.command("set")
@click.argument("subject")
@click.option("--duress", is_flag=True, help="The duress PIN: it opens, and silently calls for help.")
@choose_option
@click.pass_obj
def set_pin_of(context: Context, subject: str, duress: bool, choose: bool) -> None:
    """Make a PIN for a person and show it once. It replaces the earlier PIN.

    With --choose, the person types one. A program may write one to standard input.
    """
    least = context.settings.readers.pin_digits
    with books(context) as (store, note):
        person, typed = known(store, subject), insisted(choose)
        if typed is None:
            digits, replaced = issue_random_pin(store, person.subject, least=least, is_duress=duress)
        else:
            digits, (_, replaced) = typed, set_pin(store, typed, person.subject, least=least, is_duress=duress)
        for _ in range(replaced):
            note(CredentialRemoved("pin", person.subject, person.subject))
        note(CredentialAdded("pin", person.subject, person.subject))
    streams.echo(f"set {'the duress PIN' if duress else 'the PIN'} of {called(person)}, {person.subject}")
    print_generated_pin(typed, digits)
    if replaced > 1:
        click.echo("the duress PIN was removed with the old PIN; set a new one if it is wanted")


@pin.command("remove")
@click.argument("subject")
@click.option("--duress", is_flag=True, help="Remove only the duress PIN; type it, or pass it on standard input.")
@click.pass_obj
def remove_pin(context: Context, subject: str, duress: bool) -> None:
    """Remove the PIN of a person, and the duress PIN with it."""
    with books(context) as (store, note):
        person = known(store, subject)
        pins = by_kind(store.of(person.subject))[1]
        if len(pins) <= duress:
            raise CredentialError(f"{person.subject} has no such PIN; `gated people show` lists a person's credentials")
        gone = 1 if duress else len(pins)
        if duress:
            remove_duress_pin(store, insisted(choose=True) or "", person.subject)
        else:
            for each in pins:
                revoke_credential(store, each.id)
        for _ in range(gone):
            note(CredentialRemoved("pin", person.subject, person.subject))
    streams.echo(f"removed {gone} PIN of {called(person)}, {person.subject}")


def card_or_pin(credential: Credential, zone: ZoneInfo) -> dict[str, Any]:
    """Return a card or a PIN as values for people and programs, never with its number."""
    return {
        "credential": _public_id(credential),
        "way": credential.kind,
        "subject": credential.subject,
        "label": credential.label,
        "uses_left": credential.uses_left,
    } | {
        name: iso(getattr(credential, name), zone)
        for name in ("valid_from", "valid_until", "first_used_at", "last_used_at")
    }


def _public_id(credential: Credential) -> str | None:
    """Return the id to show: for a card its own id, for a PIN the id of its owner.

    So nobody can distinguish the two PINs of a person.
    """
    match credential.kind:
        case CredentialKind.CARD:
            return credential.id
        case CredentialKind.PIN:
            return credential.subject
        case _:
            assert_never(credential.kind)


def _give(
    context: Context, subject: str | None, number: str, days: tuple[date | None, date | None], *,
    uses: int | None, label: str, may_be_random: bool,
) -> None:  # fmt: skip
    begin, end = window(context, *days)
    label = plain_text("label", label) if label.strip() else ""
    with books(context) as (store, note):
        person = None if subject is None else known(store, subject)
        owner = None if person is None else person.subject
        new = issue_card(
            store, number, owner, label=label, valid_from=begin, valid_until=end, uses=uses,
            may_be_random=may_be_random,
        )  # fmt: skip
        note(CredentialAdded("card", new.id, owner))
    show_readings(number)
    streams.echo(f"gave {'a guest' if person is None else called(person)} the card {new.id}")


def show_readings(number: str) -> None:
    """Print at this terminal the readings that a card is accepted by. The digits are not stored."""
    click.echo("it opens at every reader with one of these outputs:")
    for kind, reading in card_readings.shown(number):
        streams.echo(f"  {kind}: {reading}")


def _revoke(store: Credentials, note: Note, words: str) -> None:
    gone = revoke_credential(store, words)
    note(CredentialRemoved(gone.kind, gone.id, gone.subject))

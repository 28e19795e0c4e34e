"""`gated office person`: who may come in at all the gates of the site."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec.structs import replace

from gated.cli import show_json
from gated.cli.books import since_option, until_option
from gated.cli.office_rights import days, passages, passages_option
from gated.cli.tables import show
from gated.config import ReaderSettings
from gated.errors import CredentialError, OfficeError
from gated.gallery.enrolment import plain_text
from gated.gallery.entitlement import new_id, plain_role
from gated.gallery.issuing import NUMBER, plain_number
from gated.gallery.pins import MOST_DIGITS, is_weak
from gated.journal.entry import stamp
from gated.office.store import Store
from gated.sync.messages import Card, Consented, PersonRecord, Wishes

_consent = click.option("--consent", metavar="REF", help="Reference of the consent to be recognised, on paper.")
_notice = click.option("--notice", metavar="VERSION", help="Version of the notice that was read or heard before.")
_transfer = click.option("--transfer", is_flag=True, help="They also agreed that their face goes to the other gates.")
_role = click.option("--role", help="What they are here, such as resident, staff or guardian.")
_json = click.option("--json", "as_json", is_flag=True, help="For a program.")

WITHDRAWN = {"recognise": {"recognise", "transfer"}, "transfer": {"transfer"}}
"""What goes with a consent: a face that nobody may recognise is no use to another gate."""


@click.group()
def person() -> None:
    """Add, change, suspend, resume or remove people; list and show them. Every gate follows within seconds."""


@person.command()
@click.option("--name", required=True)
@click.option("--household", required=True, help="Who lives together; a number or a name.")
@click.option("--subject", help="The id that somebody has already who was enrolled at a gate.")
@_role
@_consent
@_notice
@_transfer
@click.pass_obj
def add(
    folder: Path, *, name: str, household: str, subject: str | None, role: str | None, consent: str | None,
    notice: str | None, transfer: bool,
) -> None:  # fmt: skip
    """Add somebody: by a card or a PIN they come in at once, by their face when a gate has taken it (`enrol`)."""
    who = PersonRecord(
        n=0,
        subject=subject or secrets.token_hex(8),
        name=plain_text("name", name),
        household=plain_text("household", household),
        role=plain_role(role) if role else "resident",
        added_at=stamp(datetime.now(UTC)),
        consents=_consents(consent, notice, transfer),
    )
    with closing(Store.open(folder)) as store:
        if store.book.get(f"person/{who.subject}") is not None:
            raise OfficeError(f"{who.subject!r} is there already, or was removed for good; `person change` changes")
        store.book.put(who)
    click.echo(f"added {who.subject}")


@person.command()
@click.argument("subject")
@click.option("--name")
@click.option("--household", help="Who lives together; a number or a name.")
@_role
@_consent
@_notice
@_transfer
@click.option("--withdraw", type=click.Choice(["recognise", "transfer"]), help="They do not agree to this any more.")
@click.pass_obj
def change(
    folder: Path, subject: str, *, name: str | None, household: str | None, role: str | None, consent: str | None,
    notice: str | None, transfer: bool, withdraw: str | None,
) -> None:  # fmt: skip
    """Say something anew of somebody; what is not said stays. A withdrawn consent deletes faces at every gate."""
    said = {
        field: plain(value)
        for field, value, plain in (
            ("name", name, partial(plain_text, "name")),
            ("household", household, partial(plain_text, "household")),
            ("role", role, plain_role),
        )
        if value is not None
    }
    new = _consents(consent, notice, transfer)
    over = {each.purpose for each in new} | WITHDRAWN.get(withdraw or "", set())
    with _changing(folder, subject) as (store, who):
        kept = [each for each in who.consents if each.purpose not in over]
        store.book.put(replace(who, **said, consents=kept + new))
    click.echo(f"changed {subject}")


@person.command()
@click.argument("subject")
@click.pass_obj
def suspend(folder: Path, subject: str) -> None:
    """Know somebody, and let them in nowhere until they are resumed."""
    with _changing(folder, subject) as (store, who):
        store.book.put(replace(who, status="suspended"))
    click.echo(f"suspended {subject}")


@person.command()
@click.argument("subject")
@click.pass_obj
def resume(folder: Path, subject: str) -> None:
    """End a suspension."""
    with _changing(folder, subject) as (store, who):
        store.book.put(replace(who, status="active"))
    click.echo(f"resumed {subject}")


@person.command()
@click.argument("subject")
@click.pass_obj
def remove(folder: Path, subject: str) -> None:
    """Erase somebody, here and at every gate; `gated office receipts` shows which gates have done so."""
    with closing(Store.open(folder)) as store:
        store.book.person(subject)
        store.book.remove(f"person/{subject}")
    click.echo(f"removed {subject}; `gated office receipts {subject}` shows where they are gone")


@person.command("list")
@_json
@click.pass_obj
def list_people(folder: Path, as_json: bool) -> None:
    """Everybody, by household and name."""
    with closing(Store.open(folder)) as store:
        people = sorted(store.book.live(PersonRecord), key=lambda who: (who.household, who.name, who.subject))
        rows = [_row(store, who) for who in people]
    if as_json:
        show_json(rows)
    else:
        columns = ["subject", "name", "household", "role", "status", "enrolled_at"]
        show(columns, [[_plain(row[column]) for column in columns] for row in rows])


@person.command("show")
@click.argument("subject")
@_json
@click.pass_obj
def show_person(folder: Path, subject: str, as_json: bool) -> None:
    """Everything that is kept of one person, but for every number."""
    with closing(Store.open(folder)) as store:
        row = _row(store, store.book.person(subject))
    if as_json:
        show_json(row)
    else:
        show(["what", "is"], [[key, _plain(value)] for key, value in row.items()])


@person.command("rights")
@click.argument("subject")
@passages_option
@click.pass_obj
def person_rights(folder: Path, /, subject: str, **said: Any) -> None:
    """Say by which doors and when one person may pass; with --clear what is said of household or role counts."""
    with _changing(folder, subject) as (store, who):
        store.book.put(replace(who, rights=passages(**said)))
    click.echo(f"set the rights of {subject}")


@person.command()
@click.argument("subject")
@click.option("--release-s", type=click.FloatRange(5, 30), help="So long the lock stays released for them, in seconds.")
@click.option("--search-s", type=click.FloatRange(1, 30), help="So long their face is looked for, in seconds.")
@click.option("--first", type=click.Choice(["speech", "light", "touch"]), help="The cue that they want first.")
@click.option("--clear", is_flag=True, help="As everybody.")
@click.pass_obj
def prefer(folder: Path, /, subject: str, *, clear: bool, **wishes: Any) -> None:
    """Have every gate do as somebody asks. Nobody is asked why, and no reason is kept."""
    asked = {wish: value for wish, value in wishes.items() if value is not None}
    if clear == bool(asked):
        raise click.UsageError("say some of --release-s, --search-s and --first, or --clear alone")
    with _changing(folder, subject) as (store, who):
        store.book.put(replace(who, wishes=Wishes() if clear else replace(who.wishes, **asked)))
    click.echo(f"set what {subject} prefers")


@person.command()
@click.argument("subject")
@click.option("--number", help="Give them this card: what is printed on it, or what a reader says.")
@click.option("--take", metavar="CARD", help="Take this card away; `person show` tells its id.")
@since_option
@until_option
@click.option("--uses", type=click.IntRange(1, 100_000), help="It opens so many times at each gate.")
@click.option("--label", default="", help="A note for the office.")
@click.pass_obj
def card(
    folder: Path, subject: str, *, number: str | None, take: str | None, since: date | None, until: date | None,
    uses: int | None, label: str,
) -> None:  # fmt: skip
    """Give somebody a card, or take one away."""
    if (number is None) == (take is None):
        raise click.UsageError("say --number to give a card, or --take to take one away")
    with _changing(folder, subject) as (store, who):
        if take is not None:
            kept = [each for each in who.cards if each.id != take]
            if kept == who.cards:
                raise CredentialError(f"{subject} has no card {take!r}; `gated office person show` tells the ids")
            store.book.put(replace(who, cards=kept))
            click.echo(f"removed card {take}")
            return
        begin, end = days(since, until)
        given = Card(new_id(), _card_number(number or ""), label.strip(), begin, end, uses)
        if any(given.number == each.number for other in store.book.live(PersonRecord) for each in other.cards):
            raise CredentialError("this card is given out already; take it away there first")
        store.book.put(replace(who, cards=[*who.cards, given]))
    click.echo(f"gave {subject} the card {given.id}")


@person.command()
@click.argument("subject")
@click.option("--duress", is_flag=True, help="Their second PIN: it opens, and silently calls for help.")
@click.option("--take", is_flag=True, help="Take it away; the PIN takes the duress PIN with it.")
@click.pass_obj
def pin(folder: Path, subject: str, duress: bool, take: bool) -> None:
    """Set somebody's PIN; it is asked for, or read from standard input, and replaces the one they had."""
    typed = "" if take else _typed()
    with _changing(folder, subject) as (store, who):
        if duress and not who.pin:
            raise CredentialError("a duress PIN is somebody's second: set their PIN first")
        digits = "" if take else _good_pin(store, typed)
        gone = {"duress_pin": ""} if take else {}
        store.book.put(replace(who, duress_pin=digits) if duress else replace(who, **(gone | {"pin": digits})))
    click.echo(f"{'removed' if take else 'set'} {'the duress PIN' if duress else 'the PIN'} of {subject}")


@contextmanager
def _changing(folder: Path, subject: str) -> Iterator[tuple[Store, PersonRecord]]:
    """Somebody as they are; nobody else changes anything meanwhile."""
    with closing(Store.open(folder)) as store, store.file.writing():
        yield store, store.book.person(subject)


def _consents(reference: str | None, notice: str | None, transfer: bool) -> list[Consented]:
    if (reference is None) != (notice is None) or (transfer and reference is None):
        raise click.UsageError("a consent has both: --consent REF and --notice VERSION")
    if reference is None or notice is None:
        return []
    at, purposes = stamp(datetime.now(UTC)), ["recognise", "transfer"] if transfer else ["recognise"]
    reference, notice = plain_text("consent", reference), plain_text("notice", notice)
    return [Consented(purpose, reference, notice, at) for purpose in purposes]


def _card_number(number: str) -> str:
    plain = plain_number(number)
    if not NUMBER.fullmatch(plain):
        raise CredentialError("a card's number has 4 to 40 digits or letters A to Z, and not only zeros; read it again")
    return plain


def _good_pin(store: Store, digits: str) -> str:
    """The same words for a weak PIN and for one that exists, so that this is no way to learn a neighbour's."""
    least = ReaderSettings().pin_digits
    taken = {pin for other in store.book.live(PersonRecord) for pin in (other.pin, other.duress_pin)}
    if is_weak(digits, least) or digits in taken:
        raise CredentialError(
            f"this PIN will not do: choose another of {least} to {MOST_DIGITS} digits, "
            "that are not all alike and do not run up or down"
        )
    return digits


def _typed() -> str:
    """A PIN, never from the command line, which every process may read."""
    if sys.stdin.isatty():
        return str(click.prompt("PIN", hide_input=True, confirmation_prompt=True)).strip()
    return sys.stdin.readline().strip()


def _row(store: Store, who: PersonRecord) -> dict[str, Any]:
    return {
        "subject": who.subject,
        "name": who.name,
        "household": who.household,
        "role": who.role,
        "status": who.status,
        "added_at": who.added_at,
        "consents": who.consents,
        "enrolled_at": store.faces.enrolled_at(who.subject),
        "rights": who.rights,
        "cards": [{"id": each.id, "label": each.label, "valid_until": each.valid_until} for each in who.cards],
        "pin": bool(who.pin),
        "duress_pin": bool(who.duress_pin),
        "wishes": who.wishes,
    }


def _plain(value: object) -> str:
    if isinstance(value, list):
        return "; ".join(map(_plain, value))
    if isinstance(value, msgspec.Struct | dict):
        said = msgspec.to_builtins(value)
        return ", ".join(f"{name} {said[name]}" for name in said if said[name] not in (None, ""))
    return str(value)

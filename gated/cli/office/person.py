"""`gated office person`: adds, changes and removes the people who may enter at the gates of the site."""

import secrets
from contextlib import closing
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click
from msgspec.structs import replace

from gated import names
from gated.cli import streams
from gated.cli.find_person import called, not_twice, sure, yes_option
from gated.cli.office.access_rules import access_rule_options, access_rules_of, copy_shared_rules, warn_of_rule
from gated.cli.office.chosen_person import changing_person, person_by_words
from gated.cli.office.old_gates import warn_of_ignored_mark
from gated.cli.people_stores import days_of
from gated.cli.preferences import given_mark, given_preferences, mark_options, near_role, preference_options
from gated.errors import OfficeError
from gated.journal.entry import stamp
from gated.office.gate_consents import with_enrolment_consents
from gated.office.office_person import OfficePerson
from gated.office.store import Store
from gated.people.access_rule import plain_role
from gated.people.plain_text import plain_text
from gated.protocol.wire_records import WireConsent, WireMark, WirePreferences

_consent = click.option(
    "--consent", metavar="REF", help="Number of the paper on which the person agreed to be recognised."
)
_notice = click.option(
    "--notice", metavar="VERSION", help="Version of the privacy notice that the person has read or heard."
)
_transfer = click.option(
    "--transfer", is_flag=True, help="The person also agrees that the face goes to the other gates."
)
_role = click.option("--role", help="The role of the person: resident, staff, guardian, or another word.")
WITHDRAWN = {"recognise": {"recognise", "transfer"}, "transfer": {"transfer"}}
"""Consents withdrawn together with a consent. Without consent to recognition, a face is of no use to another gate."""


@click.group()
def person() -> None:
    """Manage the people of the site. Every gate follows within seconds."""


@person.command()
@click.option("--name", required=True, help="Name of the person.")
@click.option("--household", required=True, help="Household: a number or a name.")
@click.option("--subject", help="Existing id of a person enrolled at a gate.")
@_role
@_consent
@_notice
@_transfer
@yes_option
@click.pass_obj
def add(
    folder: Path, *, name: str, household: str, subject: str | None, role: str | None, consent: str | None,
    notice: str | None, transfer: bool, yes: bool,
) -> None:  # fmt: skip
    """Add a person. A card or PIN works at once; a face works after a gate has captured it (`enrol`)."""
    record = OfficePerson(
        n=0,
        subject=subject or secrets.token_hex(8),
        name=plain_text("name", name),
        household=names.tidy(plain_text("household", household)),
        role=plain_role(role) if role else "resident",
        added_at=stamp(datetime.now(UTC)),
        consents=_consents(consent, notice, transfer),
    )
    with closing(Store.open(folder)) as store:
        if store.book.get(f"person/{record.subject}") is not None:
            raise OfficeError(f"{record.subject!r} already exists, or was removed; `person change` changes a person")
        _confirm(store, record, yes=yes)
        with store.file.writing():
            copy_shared_rules(store, record)
            known = with_enrolment_consents(store, record)
            store.book.put(known)
    for more in known.consents[len(record.consents) :]:
        streams.echo(f"also recorded the consent to {more.purpose} that the gate reported: {more.reference}")
    streams.echo(f"added {called(record)}, {record.subject}")


@person.command()
@click.argument("subject")
@click.option("--name", help="Name of the person.")
@click.option("--household", help="Household: a number or a name.")
@_role
@_consent
@_notice
@_transfer
@click.option("--withdraw", type=click.Choice(["recognise", "transfer"]), help="Withdraw this consent.")
@yes_option
@click.pass_obj
def change(
    folder: Path, subject: str, *, name: str | None, household: str | None, role: str | None, consent: str | None,
    notice: str | None, transfer: bool, withdraw: str | None, yes: bool,
) -> None:  # fmt: skip
    """Change a person.

    Options that you omit do not change anything. Withdrawing a consent deletes the face at the gates.
    """
    options = {
        field: plain(value)
        for field, value, plain in (
            ("name", name, partial(plain_text, "name")),
            ("household", household, lambda text: names.tidy(plain_text("household", text))),
            ("role", role, plain_role),
        )
        if value is not None
    }
    new = _consents(consent, notice, transfer)
    over = {each.purpose for each in new} | WITHDRAWN.get(withdraw or "", set())
    with changing_person(folder, subject) as (store, record):
        remaining = [each for each in record.consents if each.purpose not in over]
        now = stamp(datetime.now(UTC))
        withdrawn = dict.fromkeys(sorted(WITHDRAWN.get(withdraw or "", set())), now)
        changed = replace(record, **options, consents=remaining + new, withdrawn=record.withdrawn | withdrawn)
        if options:
            _confirm(store, changed, yes=yes)
            copy_shared_rules(store, changed)
        store.book.put(changed)
    streams.echo(f"changed {called(changed)}, {record.subject}")


@person.command()
@click.argument("subject")
@click.pass_obj
def suspend(folder: Path, subject: str) -> None:
    """Suspend a person: no gate lets them in until `resume`."""
    _change_status(folder, subject, "suspended", "suspended")


@person.command()
@click.argument("subject")
@click.pass_obj
def resume(folder: Path, subject: str) -> None:
    """End the suspension of a person."""
    _change_status(folder, subject, "active", "resumed")


@person.command()
@click.argument("subject")
@yes_option
@click.pass_obj
def remove(folder: Path, subject: str, yes: bool) -> None:
    """Erase a person, here and at every gate. `gated office receipts` shows which gates have confirmed.

    Asks first; without a terminal, --yes is required.
    """
    with closing(Store.open(folder)) as store:
        record = person_by_words(store, subject)
        question = f"Erase {called(record)}, {record.subject}, here and at every gate, for good?"
        sure(question, f"{record.subject} would be erased permanently, here and at every gate", yes=yes)
        store.book.remove(f"person/{record.subject}")
    hint = f"`gated office receipts {record.subject}` shows which gates have erased them"
    streams.echo(f"removed {called(record)}, {record.subject}; {hint}")


@person.command("rights")
@click.argument("subject")
@access_rule_options
@click.pass_obj
def person_access_rules(folder: Path, /, subject: str, **options: Any) -> None:
    """Set where and when a person may enter. With --clear, the rules of the household or role apply again."""
    with changing_person(folder, subject) as (store, record):
        store.book.put(replace(record, rights=access_rules_of(store, record.rights, **options)))
        warn_of_rule(store, **options)
    streams.echo(f"set the access rules of {called(record)}, {record.subject}")


@person.command()
@click.argument("subject")
@preference_options
@click.pass_obj
def prefer(folder: Path, /, subject: str, *, clear: bool, **options: Any) -> None:
    """Set how every gate behaves for a person. The gate neither asks for a reason nor stores one."""
    chosen = given_preferences(options, clear=clear)
    with changing_person(folder, subject) as (store, record):
        store.book.put(replace(record, wishes=WirePreferences() if clear else replace(record.wishes, **chosen)))
    streams.echo(f"set the preferences of {called(record)}, {record.subject}")


@person.command()
@click.argument("subject")
@mark_options
@click.pass_obj
def mark(folder: Path, /, subject: str, kind: str | None, until: date | None) -> None:
    """Mark a person whose face may not open alone at any gate: the person also uses a card or PIN.

    A card or PIN alone still opens. The office stores no reason beside the mark. A gate of an older version ignores the
    mark. The command names such gates, and `gated office alarms` shows them.
    """
    with changing_person(folder, subject) as (store, record):
        new = given_mark(kind, days_of(None, until, store.zone)[1])
        end = None if new is None or new.until is None else new.until.isoformat()
        store.book.put(replace(record, mark=None if new is None else WireMark(new.kind, end)))
        if new is not None:
            warn_of_ignored_mark(store)
    streams.echo(f"{'removed' if new is None else 'set'} the mark of {called(record)}, {record.subject}")


def _change_status(folder: Path, words: str, status: Literal["active", "suspended"], result: str) -> None:
    """Suspend or resume a person, and print the result."""
    with changing_person(folder, words) as (store, person):
        store.book.put(replace(person, status=status))
    streams.echo(f"{result} {called(person)}, {person.subject}")


def _confirm(store: Store, person: OfficePerson, *, yes: bool) -> None:
    """Ask for confirmation of a second person with the same name in a household, and of similar names of households or
    roles.
    """
    people = store.book.live(OfficePerson)
    not_twice(person.name, person.household, people, yes=yes, but=person.subject)
    near_role(person.role, {each.role for each in people}, yes=yes)


def _consents(reference: str | None, notice: str | None, transfer: bool) -> list[WireConsent]:
    if (reference is None) != (notice is None) or (transfer and reference is None):
        raise click.UsageError("a consent needs both --consent REF and --notice VERSION")
    if reference is None or notice is None:
        return []
    at, purposes = stamp(datetime.now(UTC)), ["recognise", "transfer"] if transfer else ["recognise"]
    reference, notice = plain_text("consent", reference), plain_text("notice", notice)
    return [WireConsent(purpose, reference, notice, at) for purpose in purposes]

"""`gated enrol` and `gated people`: manage the people who may enter."""

import secrets
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from gated.access.face_calibration import rules_for
from gated.access.photos import EnrolmentApplicant, PhotoEnrolment, RejectedPhoto, enrol_photos
from gated.cli import Context, read_only_command, show_json, streams
from gated.cli.consents import consents
from gated.cli.credentials import card, guest, pin
from gated.cli.enrol_again import HOW, people_to_enrol_again
from gated.cli.find_person import SHORT_ID, called, find, not_twice, sure, yes_option
from gated.cli.people_stores import note_copy, unknown_person, zone_of
from gated.cli.photo_again import enrol_again, paper_option, photos_option, show_enrolment
from gated.cli.preferences import access_rules, mark, prefer, role, what_somebody_has
from gated.cli.quarantine import quarantine
from gated.cli.table_output import in_words, in_zone, show
from gated.errors import EnrolmentError
from gated.events import Event, PersonAdded, PersonEnrolled, PersonRemoved, PersonResumed, PersonSuspended
from gated.face.pipeline import load_pipeline
from gated.gallery.gallery import Gallery
from gated.gallery.register import Register
from gated.journal.journal import Journal
from gated.people.credential_store import Credentials
from gated.people.given_consents import TRANSFER
from gated.people.plain_text import plain_text
from gated.people.store import Person
from gated.sitetime import format_time, iso
from gated.types import SubjectId


@click.command()
@click.option("--name", required=True, help="The person's name; it stays on this gate.")
@click.option("--household", required=True, help="Household: a number or a name.")
@photos_option
@click.option("--consent", required=True, metavar="REF", help="Reference of this person's consent.")
@click.option("--notice", required=True, metavar="VERSION", help="Version of the notice read or heard before.")
@click.option("--transfer", is_flag=True, help="The person also agrees that the face goes to the other gates.")
@paper_option
@yes_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def enrol(
    context: Context, *, name: str, household: str, photos: tuple[Path, ...], consent: str, notice: str, transfer: bool,
    paper: bool, yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Enrol a person who has consented, from photos. The photos are not stored.

    A photo that lies sideways is turned upright. A photo of a print or a screen is refused. At least one photo must
    show mouth and nose. Give --paper only for paper photos that you scanned yourself: PAD then accepts every printed
    photo. The journal records it.

    Exit 1 when nobody was enrolled: no photo is usable, or another person has this face.
    """
    settings = context.settings
    pipeline = load_pipeline(settings.models, settings.face)
    models = pipeline.model_set
    rules = rules_for(settings.access, pipeline.ready())
    origin = models.embedder_sha256, models.dimension, models.composite
    with (
        closing(_journal(context)) as journal,
        closing(Gallery.open(settings.state, settings.site.id, *origin)) as gallery,
    ):
        not_twice(name, household, gallery.people(), yes=yes)
        purposes = (TRANSFER,) if transfer else ()
        try:
            applicant = EnrolmentApplicant(name, household, consent, notice, purposes)
            done = enrol_photos(pipeline, gallery, photos, applicant, rules, is_paper=paper)
        except EnrolmentError as error:
            if as_json:  # JSON output reports the failure too
                show_json(PhotoEnrolment(None, 0, [RejectedPhoto(str(photo), str(error)) for photo in photos]))
            raise
        if done.subject is not None:
            event = PersonEnrolled(
                done.subject, done.templates, notice, models.embedder_sha256, list(purposes), is_from_paper=paper
            )
            _write(journal, event)
    show_enrolment(done, f"{name} ({household})", as_json=as_json)


@click.group()
def people() -> None:
    """Manage the people at this gate: list, suspend, remove, cards, PINs and rights."""


for command in (enrol_again, card, pin, guest, role, access_rules, mark, prefer, quarantine, consents):
    people.add_command(command)


@people.command()
@click.option("--name", required=True, help="The person's name; it stays on this gate.")
@click.option("--household", required=True, help="Household: a number or a name.")
@yes_option
@click.pass_obj
def add(context: Context, name: str, household: str, yes: bool) -> None:
    """Add a person without a face. They come in by card or PIN, at equal rank."""
    subject = SubjectId(secrets.token_hex(8))
    name, household = plain_text("name", name), plain_text("household", household)
    person = Person(subject, name, household, "active", datetime.now(UTC), ())
    with closing(_journal(context)) as journal, closing(_register(context)) as register:
        not_twice(name, household, register.people(), yes=yes)
        register.admit(person)
        _write(journal, PersonAdded(subject))
    streams.echo(f"added {called(person)}, {subject}")


@people.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
@read_only_command
def list_people(context: Context, as_json: bool) -> None:
    """List all people, by household."""
    with closing(_register(context)) as register:
        note_copy(register.why)
        rows = [_row(register, person, zone_of(context)) for person in register.people()]
    again = {person.subject for person in people_to_enrol_again(context.settings)}
    rows = [row | {"enrol_again": row["subject"] in again} for row in rows]
    if as_json:
        show_json(rows)
    else:
        columns = ["subject", "name", "household", "role", "status", "templates", "enrolled_at"]
        lines = [
            {
                **row,
                "name": row["name"] or f"({row['subject'][:SHORT_ID]})",
                "templates": f"{row['templates']}, enrol again" if row["enrol_again"] else row["templates"],
                "enrolled_at": format_time(row["enrolled_at"], zone_of(context), is_named=False),
            }
            for row in rows
        ]
        show(in_zone(columns, zone_of(context)), [[str(row[column]) for column in columns] for row in lines])
        if again:
            streams.echo(f"enrol again: the face is of another model set, and opens nothing; use {HOW}", err=True)


@people.command("show")
@click.argument("subject")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
@read_only_command
def show_person(context: Context, subject: str, as_json: bool) -> None:
    """Show all stored data of one person, without the face itself and without numbers."""
    settings = context.settings
    with closing(_register(context)) as register, closing(Credentials.open(settings.state, settings.site.id)) as store:
        person, zone = _person(register, subject), zone_of(context)
        row = _row(register, person, zone) | what_somebody_has(store, person.subject, zone)
    if as_json:
        show_json(row)
    else:
        show(["what", "is"], [[key, in_words(value, zone)] for key, value in row.items()])


@people.command()
@click.argument("subject")
@click.pass_obj
def suspend(context: Context, subject: str) -> None:
    """Suspend a person until they are resumed. A running gate follows within a second."""
    _change_status(context, subject, Register.suspend, PersonSuspended, "suspended")


@people.command()
@click.argument("subject")
@click.pass_obj
def resume(context: Context, subject: str) -> None:
    """End a suspension."""
    _change_status(context, subject, Register.resume, PersonResumed, "resumed")


@people.command()
@click.argument("subject")
@yes_option
@click.pass_obj
def remove(context: Context, subject: str, yes: bool) -> None:
    """Erase a person: the key to their templates, the templates, the name. The journal keeps only an id.

    Asks first; without a terminal, --yes is required.
    """
    with closing(_journal(context)) as journal, closing(_register(context)) as register:
        person = _person(register, subject)
        has = register.template_count(person.subject)
        question = f"Erase {called(person)}, {person.subject}, with {has} templates, for good?"
        sure(question, f"{person.subject} would be erased permanently", yes=yes)
        templates = register.remove(person.subject)
        _write(journal, PersonRemoved(person.subject, templates))
    streams.echo(f"removed {called(person)}, {person.subject}, and {templates} templates")


def _change_status(
    context: Context,
    words: str,
    change: Callable[[Register, SubjectId], None],
    event: Callable[[SubjectId], Event],
    result: str,
) -> None:
    """Suspend or resume a person, write the event, and print the result."""
    with closing(_journal(context)) as journal, closing(_register(context)) as register:
        person = _person(register, words)
        change(register, person.subject)
        _write(journal, event(person.subject))
    streams.echo(f"{result} {called(person)}, {person.subject}")


def _person(register: Register, words: str) -> Person:
    return find(words, register.people(), unknown_person(words))


def _register(context: Context) -> Register:
    return Register.open(context.settings.state, context.settings.site.id)


def _journal(context: Context) -> Journal:
    settings = context.settings
    return Journal.open(settings.state, settings.site.id, settings.gate.id)


def _write(journal: Journal, event: Event) -> None:
    journal.append(event, datetime.now(UTC))


def _row(register: Register, person: Person, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "subject": person.subject,
        "name": person.name,
        "household": person.household,
        "role": person.role,
        "status": person.status,
        "templates": register.template_count(person.subject),
        "enrolled_at": iso(person.enrolled_at, zone),
        "consents": [
            {
                "purpose": c.purpose,
                "reference": c.reference,
                "notice": c.notice_version,
                "at": iso(c.at, zone),
            }
            for c in person.consents
        ],
    }

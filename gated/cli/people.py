"""`gated enrol` and `gated people`: who may come in."""

import secrets
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gated.access.photos import Applicant, Enrolment, Rejected, enrol_photos
from gated.cli import Context, show_json
from gated.cli.quarantine import quarantine
from gated.cli.tables import show
from gated.cli.ways import card, guest, pin
from gated.cli.wishes import prefer, rights, role, what_somebody_has
from gated.errors import EnrolmentError
from gated.events import Event, PersonAdded, PersonEnrolled, PersonRemoved, PersonResumed, PersonSuspended
from gated.face.pipeline import load_pipeline
from gated.gallery.credentials import Credentials
from gated.gallery.enrolment import plain_text
from gated.gallery.gallery import Gallery
from gated.gallery.people import Person
from gated.gallery.register import Register
from gated.journal.journal import Journal
from gated.types import SubjectId


@click.command()
@click.option("--name", required=True, help="The person's name; it stays on this gate.")
@click.option("--household", required=True, help="Who lives together; a number or a name.")
@click.option(
    "--photo",
    "photos",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="A photo of this person alone; several are better.",
)
@click.option("--consent", required=True, metavar="REF", help="Reference of the consent that this person gave.")
@click.option("--notice", required=True, metavar="VERSION", help="Version of the notice that was read or heard before.")
@click.option("--json", "as_json", is_flag=True, help="For a program.")
@click.pass_obj
def enrol(
    context: Context, *, name: str, household: str, photos: tuple[Path, ...], consent: str, notice: str, as_json: bool
) -> None:
    """Enrol somebody who has consented, from photos. The photos are not kept.

    Exit 1 when nobody was enrolled: no photo will do, or this face is somebody's already.
    """
    settings = context.settings
    pipeline = load_pipeline(settings.models, settings.face)
    model = pipeline.model_set.embedder
    threshold = settings.access.threshold or model.threshold
    with (
        closing(_journal(context)) as journal,
        closing(Gallery.open(settings.state, settings.site.id, model.sha256, model.dimension)) as gallery,
    ):
        try:
            done = enrol_photos(pipeline, gallery, photos, Applicant(name, household, consent, notice), threshold)
        except EnrolmentError as error:
            if as_json:  # a program is told in its own words as well
                show_json(Enrolment(None, 0, [Rejected(str(photo), str(error)) for photo in photos]))
            raise
        if done.subject is not None:
            _write(journal, PersonEnrolled(done.subject, done.templates, notice, model.sha256))
    if as_json:
        show_json(done)
    else:
        click.echo(
            f"enrolled {done.subject} with {done.templates} templates" if done.subject else "nobody was enrolled"
        )
        for rejected in done.rejected:
            click.echo(f"{rejected.photo}: {rejected.reason}", err=True)
    sys.exit(0 if done.subject else 1)


@click.group()
def people() -> None:
    """List, show, suspend, resume or remove people; give them cards and PINs, say when they may pass."""


for command in (card, pin, guest, role, rights, prefer, quarantine):
    people.add_command(command)


@people.command()
@click.option("--name", required=True, help="The person's name; it stays on this gate.")
@click.option("--household", required=True, help="Who lives together; a number or a name.")
@click.pass_obj
def add(context: Context, name: str, household: str) -> None:
    """Add somebody without a face: they come in by a card or a PIN, at equal rank."""
    subject = SubjectId(secrets.token_hex(8))
    name, household = plain_text("name", name), plain_text("household", household)
    person = Person(subject, name, household, "active", datetime.now(UTC), ())
    with closing(_journal(context)) as journal, closing(_register(context)) as register:
        register.admit(person)
        _write(journal, PersonAdded(subject))
    click.echo(f"added {subject}")


@people.command("list")
@click.option("--json", "as_json", is_flag=True, help="For a program.")
@click.pass_obj
def list_people(context: Context, as_json: bool) -> None:
    """Everybody who is enrolled, by household."""
    with closing(_register(context)) as register:
        rows = [_row(register, person) for person in register.people()]
    if as_json:
        show_json(rows)
    else:
        columns = ["subject", "name", "household", "role", "status", "templates", "enrolled_at"]
        show(columns, [[str(row[column]) for column in columns] for row in rows])


@people.command("show")
@click.argument("subject")
@click.option("--json", "as_json", is_flag=True, help="For a program.")
@click.pass_obj
def show_person(context: Context, subject: str, as_json: bool) -> None:
    """Everything that is stored about one person, but for the face itself and every number."""
    settings = context.settings
    with closing(_register(context)) as register, closing(Credentials.open(settings.state, settings.site.id)) as store:
        row = _row(register, register.person(SubjectId(subject))) | what_somebody_has(store, SubjectId(subject))
    if as_json:
        show_json(row)
    else:
        show(["what", "is"], [[key, str(value)] for key, value in row.items()])


@people.command()
@click.argument("subject")
@click.pass_obj
def suspend(context: Context, subject: str) -> None:
    """Know somebody, and let them in no more until they are resumed; a gate that runs follows within a second."""
    with closing(_journal(context)) as journal, closing(_register(context)) as register:
        register.suspend(SubjectId(subject))
        _write(journal, PersonSuspended(subject))
    click.echo(f"suspended {subject}")


@people.command()
@click.argument("subject")
@click.pass_obj
def resume(context: Context, subject: str) -> None:
    """End a suspension."""
    with closing(_journal(context)) as journal, closing(_register(context)) as register:
        register.resume(SubjectId(subject))
        _write(journal, PersonResumed(subject))
    click.echo(f"resumed {subject}")


@people.command()
@click.argument("subject")
@click.pass_obj
def remove(context: Context, subject: str) -> None:
    """Erase somebody: the key to their templates, the templates, the name. The journal keeps a number and no name."""
    with closing(_journal(context)) as journal, closing(_register(context)) as register:
        templates = register.remove(SubjectId(subject))
        _write(journal, PersonRemoved(subject, templates))
    click.echo(f"removed {subject} and {templates} templates")


def _register(context: Context) -> Register:
    return Register.open(context.settings.state, context.settings.site.id)


def _journal(context: Context) -> Journal:
    settings = context.settings
    return Journal.open(settings.state, settings.site.id, settings.gate.id)


def _write(journal: Journal, event: Event) -> None:
    journal.append(event, datetime.now(UTC))


def _row(register: Register, person: Person) -> dict[str, Any]:
    return {
        "subject": person.subject,
        "name": person.name,
        "household": person.household,
        "role": person.role,
        "status": person.status,
        "templates": register.template_count(person.subject),
        "enrolled_at": person.enrolled_at.isoformat(timespec="seconds"),
        "consents": [
            {
                "purpose": c.purpose,
                "reference": c.reference,
                "notice": c.notice_version,
                "at": c.at.isoformat(timespec="seconds"),
            }
            for c in person.consents
        ],
    }

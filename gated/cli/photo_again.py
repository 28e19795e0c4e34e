"""`gated people enrol-again`: gives a known person a face by the present model set, from photos."""

import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from gated.access.face_calibration import rules_for
from gated.access.photo_face import COVERED
from gated.access.photos import PhotoEnrolment, enrol_photos_again
from gated.cli import Context, show_json, streams
from gated.cli.find_person import called, find
from gated.cli.people_stores import unknown_person
from gated.events import PersonEnrolled
from gated.face.pipeline import load_pipeline
from gated.gallery.enrolment import recognition_consent
from gated.gallery.gallery import Gallery
from gated.journal.journal import Journal

photos_option = click.option(
    "--photo",
    "photos",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="A photo of this person alone; several are better.",
)
paper_option = click.option(
    "--paper", is_flag=True, help="The photos are scans of paper photos: PAD does not judge them."
)


@click.command("enrol-again")
@click.argument("subject")
@photos_option
@paper_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def enrol_again(context: Context, *, subject: str, photos: tuple[Path, ...], paper: bool, as_json: bool) -> None:
    """Enrol a known person again from photos, because the face is of another model set. The photos are not stored.

    The consent, cards, PINs and access rules of the person stay. `gated people list` shows who needs this. Checks the
    photos like `gated enrol`. Exit 1 when no photo is usable, or the person has a face of this model set already.
    """
    settings = context.settings
    pipeline = load_pipeline(settings.models, settings.face)
    models, rules = pipeline.model_set, rules_for(settings.access, pipeline.ready())
    origin = models.embedder_sha256, models.dimension, models.composite
    with (
        closing(Journal.open(settings.state, settings.site.id, settings.gate.id)) as journal,
        closing(Gallery.open(settings.state, settings.site.id, *origin)) as gallery,
    ):
        person = find(subject, gallery.people(), unknown_person(subject))
        notice = recognition_consent(person).notice_version
        done = enrol_photos_again(pipeline, gallery, photos, person.subject, rules, is_paper=paper)
        if done.subject is not None:
            event = PersonEnrolled(
                person.subject, done.templates, notice, models.embedder_sha256, [], is_from_paper=paper
            )
            journal.append(event, datetime.now(UTC))
    show_enrolment(done, called(person), as_json=as_json)


def show_enrolment(done: PhotoEnrolment, person: str, *, as_json: bool) -> None:
    """Print the result of an enrolment from photos, and exit: 1 if nobody was enrolled."""
    if as_json:
        show_json(done)
    else:
        message = f"enrolled {person}, {done.subject}, with {done.templates} templates"
        streams.echo(message if done.subject else "nobody was enrolled")
        for rejected in done.rejected:
            streams.echo(f"{rejected.photo}: {rejected.reason}", err=True)
        for photo in done.covered:
            streams.echo(f"{photo}: {COVERED}", err=True)
    sys.exit(0 if done.subject else 1)

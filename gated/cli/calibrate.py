"""`gated calibrate`: shows the threshold that fits the enrolled people, and the people to enrol again."""

import sys
from contextlib import closing
from datetime import UTC, datetime

import click
import msgspec

from gated.cli import Context, read_only_command, show_json, streams
from gated.cli.find_person import called
from gated.cli.table_output import show
from gated.config import Settings
from gated.doctor.false_accepts import days_text
from gated.errors import ModelError
from gated.face.manifest import lawful_set
from gated.gallery.calibration import Calibration, Reason
from gated.gallery.calibrator import Calibrator, GalleryCalibration
from gated.gallery.gallery import Gallery
from gated.people.credential_store import Credentials
from gated.people.keyring import children_of
from gated.people.store import Person
from gated.threshold_table import ThresholdTable
from gated.types import SubjectId

REASONS = {
    Reason.FITTED: "from the people at this gate",
    Reason.TABLE: "from the table of the model set, because there are few people",
    Reason.FLOOR: "the least of the model set",
    Reason.CEILING: "the greatest of the model set: recognition cannot distinguish so many people here",
    Reason.SETTING: "fixed by [access] threshold",
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON. It has ids, and no names.")
@click.pass_obj
@read_only_command
def calibrate(context: Context, as_json: bool) -> None:
    """Calibrate the threshold on the enrolled people, and show the false-accept budget. Changes nothing.

    A running gate calibrates by itself. The command also names people who are too alike, and people with pictures
    below the threshold. It names them at this gate only. Exit 1 when recognition cannot distinguish the
    people.
    """
    settings = context.settings
    models = lawful_set(settings)
    if models.table is None:
        raise ModelError(f"the set {models.name!r} has one threshold, {models.threshold}; choose the set site")
    origin = models.embedder_sha256, models.dimension, models.composite
    with closing(Gallery.open(settings.state, settings.site.id, *origin)) as gallery:
        found = calibration_now(settings, gallery, models.table)
        people = {person.subject: person for person in gallery.people()}
    if as_json:
        show_json(_fields(found, settings.access.strangers_a_day))
    else:
        _show(found, people, settings.access.strangers_a_day)
    sys.exit(1 if found.calibration.is_beyond else 0)


def calibration_now(settings: Settings, gallery: Gallery, table: ThresholdTable) -> GalleryCalibration:
    """Return the calibration that a running gate computes for this gallery. Takes seconds for thousands of people."""
    access, children = settings.access, _children(settings)
    return Calibrator(gallery, table, access.fpir, access.threshold, children=lambda: children).follow()


def _children(settings: Settings) -> frozenset[SubjectId]:
    """Return the people with a mark as a child that holds now, as the gate calibrates with them."""
    with closing(Credentials.open(settings.state, settings.site.id)) as store:
        marks = children_of(store.holders())
    now = datetime.now(UTC)
    return frozenset(child for child, mark in marks.items() if mark.holds(now))


def _fields(found: GalleryCalibration, strangers_a_day: float) -> dict[str, object]:
    calibration = found.calibration
    return {
        **msgspec.to_builtins(calibration),
        "strangers_a_day": strangers_a_day,
        "days_for_one": calibration.days_for_one(strangers_a_day),
        "least_days_for_one": calibration.days_for_one(strangers_a_day, is_bound=True),
        "alike": [
            {
                "subjects": [first, second],
                "score": round(pair.score, 4),
                "threshold": round(pair.threshold, 4),
                "needs_more": pair.needs_more,
                "is_family": pair.is_family,
            }
            for first, second, pair in found.pairs
        ],
        "not_recognised": list(found.not_recognised),
    }


def _show(found: GalleryCalibration, people: dict[SubjectId, Person], strangers_a_day: float) -> None:
    calibration = found.calibration
    show(["", ""], _rows(calibration, strangers_a_day))
    for first, second, pair in found.pairs:
        step = "need a card or a PIN with the face" if pair.needs_more else f"get the threshold {pair.threshold:.3f}"
        step = "live together, so nothing changes" if pair.is_family else step
        streams.echo(f"alike: {_name(people, first)} and {_name(people, second)}, score {pair.score:.3f}: they {step}")
    for subject in found.not_recognised:
        threshold = found.threshold_of(subject)
        streams.echo(f"enrol again: {_name(people, subject)}: own pictures do not reach the threshold {threshold:.3f}")


def _rows(found: Calibration, strangers_a_day: float) -> list[list[str]]:
    days, least = found.days_for_one(strangers_a_day), found.days_for_one(strangers_a_day, is_bound=True)
    rows = [
        ["people", str(found.people)],
        ["threshold", f"{found.threshold:.3f}, {REASONS[found.reason]}"],
        ["interval", f"{found.low:.3f} to {found.high:.3f}, with 90 % confidence"],
        ["target FPIR", f"{100 * found.target_fpir:.2g} %"],
        ["for children", f"{found.child_threshold:.3f}" + (", and a card or PIN" if found.is_child_beyond else "")],
    ]
    if days is None or least is None or found.fpir is None or found.fpir_bound is None:
        return rows
    rate = f"{100 * found.fpir:.2g} %, at most {100 * found.fpir_bound:.2g} % with 95 % confidence"
    budget = (
        f"one stranger in {days_text(days)} days, at least {days_text(least)}, at {strangers_a_day:g} strangers a day"
    )
    return [*rows, ["expected FPIR", rate], ["false-accept budget", budget]]


def _name(people: dict[SubjectId, Person], subject: SubjectId) -> str:
    return called(people[subject]) if subject in people else subject

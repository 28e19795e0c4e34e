"""`gated people quarantine`: what the office sent and looks like poisoning, and somebody's word that it is none."""

import sys
from contextlib import closing
from datetime import UTC, datetime

import click

from gated.cli import Context, show_json
from gated.cli.tables import show
from gated.events import RecordAccepted
from gated.gallery.replica import PERSON, Holdings
from gated.journal.journal import Journal
from gated.types import SubjectId


@click.group()
def quarantine() -> None:
    """Show what of the office's records is held back, and accept it.

    bulk: more people at once than an hour may bring. duplicate: a face that is another's here. vector: a face that is
    none, which no word can mend; the office must send another.
    """


@quarantine.command("list")
@click.option("--json", "as_json", is_flag=True, help="For a program.")
@click.pass_obj
def list_quarantine(context: Context, as_json: bool) -> None:
    """Everybody of whom something is held back, and why."""
    with closing(_holdings(context)) as holdings:
        rows = [
            {"subject": held.key.removeprefix(PERSON), "why": held.quarantine, "record": held.n}
            for held in holdings.quarantined()
        ]
    if as_json:
        show_json(rows)
    else:
        columns = ["subject", "why", "record"]
        show(columns, [[str(row[column]) for column in columns] for row in rows])


@quarantine.command()
@click.argument("subjects", nargs=-1, required=True, metavar="SUBJECT...")
@click.pass_obj
def accept(context: Context, subjects: tuple[str, ...]) -> None:
    """Say that somebody's record is as it should be; the gate fetches it again and follows it.

    Exit 1 when nothing is held back of one of them; the others are accepted.
    """
    settings, is_all = context.settings, True
    with (
        closing(Journal.open(settings.state, settings.site.id, settings.gate.id)) as journal,
        closing(_holdings(context)) as holdings,
    ):
        for subject in subjects:
            if holdings.accept(SubjectId(subject)):
                journal.append(RecordAccepted(subject), datetime.now(UTC))
                click.echo(f"accepted {subject}")
            else:
                is_all = False
                click.echo(
                    f"nothing of {subject!r} is held back; `gated people quarantine list` shows what is", err=True
                )
    sys.exit(0 if is_all else 1)


def _holdings(context: Context) -> Holdings:
    return Holdings.open(context.settings.state, context.settings.site.id)

"""`gated people quarantine`: shows office records that look like poisoning, and lets a person accept them."""

import sys
from contextlib import closing
from datetime import UTC, datetime

import click

from gated.cli import Context, read_only_command, show_json, streams
from gated.cli.table_output import show
from gated.events import BatchRenewed
from gated.gallery.holdings import Holdings
from gated.gallery.record_changes import PERSON
from gated.journal.journal import Journal
from gated.people.held_records import LOST_COUNT
from gated.types import SubjectId


@click.group()
def quarantine() -> None:
    """Show office records that this gate holds back, and accept them.

    bulk: more people, or first faces by a new model set, than the hourly limit. duplicate: the face is similar to
    another person's here. changed: a new face of a person known here. The old face counts until the new one is accepted
    here, or until the person shows the new face together with their own card or PIN. vector: not a valid face. It
    cannot be accepted; the office must send another.

    The office may announce a batch, and accept "bulk" itself, for up to `[sync] most_new_in_batch` people in total.
    `renew` resets that count.
    """


@quarantine.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
@read_only_command
def list_quarantine(context: Context, as_json: bool) -> None:
    """List people with records held back, and why."""
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
    """Confirm the records of people. The gate fetches each record again and applies it. A face held back counts from
    then on.

    Exit 1 if one of them has nothing to accept; all other people are accepted.
    """
    settings, is_all = context.settings, True
    with (
        closing(Journal.open(settings.state, settings.site.id, settings.gate.id)) as journal,
        closing(_holdings(context)) as holdings,
    ):
        for subject in subjects:
            accepted = holdings.accept(SubjectId(subject))
            if accepted is not None:
                for fact in accepted.facts():
                    journal.append(fact, datetime.now(UTC))
                streams.echo(f"accepted {subject}")
            else:
                is_all = False
                streams.echo(
                    f"{subject!r} has no record in quarantine; `gated people quarantine list` shows all", err=True
                )
    sys.exit(0 if is_all else 1)


@quarantine.command()
@click.pass_obj
def renew(context: Context) -> None:
    """Reset the batch count: the office may add up to `[sync] most_new_in_batch` people again."""
    settings = context.settings
    with (
        closing(Journal.open(settings.state, settings.site.id, settings.gate.id)) as journal,
        closing(_holdings(context)) as holdings,
    ):
        total, counted = settings.sync.most_new_in_batch, holdings.renew()
        spent = total if counted == LOST_COUNT else counted
        journal.append(BatchRenewed(spent), datetime.now(UTC))
    streams.echo(f"the office had brought {spent} of {total} people in batches; from now on it may bring {total}")


def _holdings(context: Context) -> Holdings:
    return Holdings.open(context.settings.state, context.settings.site.id)

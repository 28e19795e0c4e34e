"""`gated people quarantine`: shows office records that look like poisoning, and lets a person accept them."""

import sys
from contextlib import closing
from datetime import UTC, datetime

import click

from gated.cli import Context, looks, show_json, streams
from gated.cli.tables import show
from gated.events import BatchRenewed
from gated.gallery.replica import PERSON, Holdings
from gated.journal.journal import Journal
from gated.types import SubjectId


@click.group()
def quarantine() -> None:
    """Show what of the office's records is held back, and accept it.

    bulk: more people, or first faces by a new model set, than an hour may bring. duplicate: a face that is another's
    here. changed: another face of somebody who is known here; theirs counts until this one is accepted, or until they
    show it together with their own card or PIN. vector: a face that is none, which no word can mend; the office must
    send another.

    The office may announce a batch, and accept "bulk" itself, for as many people in all as `[sync] most_new_in_batch`
    says; `renew` lets it begin to count anew.
    """


@quarantine.command("list")
@click.option("--json", "as_json", is_flag=True, help="For a program.")
@click.pass_obj
@looks
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
    """Say that somebody's record is as it should be; the gate fetches it again and follows it. A face that was held is
    the one that counts from then on.

    Exit 1 when nothing is held back of one of them; the others are accepted.
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
                streams.say(f"accepted {subject}")
            else:
                is_all = False
                streams.say(
                    f"nothing of {subject!r} is held back; `gated people quarantine list` shows what is", err=True
                )
    sys.exit(0 if is_all else 1)


@quarantine.command()
@click.pass_obj
def renew(context: Context) -> None:
    """Let the office bring people in batches anew, up to `[sync] most_new_in_batch`."""
    settings = context.settings
    with (
        closing(Journal.open(settings.state, settings.site.id, settings.gate.id)) as journal,
        closing(_holdings(context)) as holdings,
    ):
        spent = holdings.renew()
        journal.append(BatchRenewed(spent), datetime.now(UTC))
    total = settings.sync.most_new_in_batch
    streams.say(f"the office had brought {spent} of {total} people in batches; from now on it may bring {total}")


def _holdings(context: Context) -> Holdings:
    return Holdings.open(context.settings.state, context.settings.site.id)

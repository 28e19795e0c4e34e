"""`gated events`: shows the journal, as a table or as JSON."""

import sys
from contextlib import closing
from typing import Any

import click
import msgspec

from gated import wording
from gated.cli import Context, read_only_command, show_json, streams
from gated.cli.people_stores import note_copy, zone_of
from gated.cli.table_output import show
from gated.journal.entry import Entry
from gated.journal.journal import Journal
from gated.sitetime import format_time
from gated.wording import UNDECODABLE


@click.group()
def events() -> None:
    """Show the journal, and verify that it is unchanged."""


@events.command("list")
@click.option("-n", "--last", type=click.IntRange(1), default=50, show_default=True, help="Number of newest events.")
@click.option("--all", "everything", is_flag=True, help="List all stored events.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: all stored events, or the number in --last.")
@click.pass_context
@read_only_command
def list_events(ctx: click.Context, last: int, everything: bool, as_json: bool) -> None:
    """List the events, newest last."""
    asked = ctx.get_parameter_source("last") is not click.core.ParameterSource.DEFAULT
    with closing(_open(ctx.obj)) as journal:
        kept = journal.last(last if asked or not (everything or as_json) else sys.maxsize)
    rows = [_row(entry) for entry in kept]
    if as_json:
        show_json(rows)
    else:
        zone = zone_of(ctx.obj)
        cells = [
            [str(r.pop("seq")), format_time(r.pop("at"), zone, is_named=False), r.pop("kind"), wording.facts(r)]
            for r in rows
        ]
        show(["seq", f"at, {zone.key}", "kind", "facts"], cells)


@events.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
@read_only_command
def verify(context: Context, as_json: bool) -> None:
    """Find the first row that was changed after it was written. Exit 1 when there is one."""
    with closing(_open(context)) as journal:
        flaw, position = journal.verify(), journal.position()
    if as_json:
        show_json(
            {
                "ok": flaw is None,
                "rows": position.head - position.base,
                "first_bad": flaw and flaw.seq,
                "why": flaw and flaw.why,
            }
        )
    elif flaw is None:
        streams.echo(f"{position.head - position.base} rows, each as it was written; the last is {position.head}")
    else:
        streams.echo(f"row {flaw.seq} is the first that is not as it was written: {flaw.why}", err=True)
    sys.exit(0 if flaw is None else 1)


def _open(context: Context) -> Journal:
    """Open the journal for reading, also on a read-only disk. In that case warn that events in memory are missing."""
    settings = context.settings
    journal = Journal.to_read(settings.state, settings.site.id, settings.gate.id)
    note_copy(journal.trouble)
    return journal


def _row(entry: Entry) -> dict[str, Any]:
    """Return the entry as one flat object. A body that is not valid JSON is shown unchanged."""
    try:
        body = msgspec.json.decode(entry.body)
    except UNDECODABLE:
        body = {"unreadable": entry.body}
    facts = body if isinstance(body, dict) else {"unreadable": entry.body}
    return {"seq": entry.seq, "at": entry.at, **facts, "kind": entry.kind}

"""`gated office events`: shows the events of the gates."""

import time
from contextlib import closing
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
import msgspec

from gated import names, wording
from gated.cli import read_only_unless, show_json_line, streams
from gated.office.journal_store import JournalRow
from gated.office.store import Store
from gated.printable import line
from gated.sitetime import format_time
from gated.wording import UNDECODABLE

FOLLOW_S = 0.2


@click.command()
@click.option("--gate", help="Only events of this gate.")
@click.option("-n", "--last", type=click.IntRange(1), default=50, show_default=True, help="Number of newest events.")
@click.option("--follow", is_flag=True, help="Print new events too, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
@click.pass_obj
def events(folder: Path, gate: str | None, last: int, follow: bool, as_json: bool) -> None:
    """List the events of the gates, in the order of their arrival at the office."""
    with read_only_unless(follow or None), closing(Store.open(folder)) as store:
        if gate is not None:
            gate = store.gate(names.id_of(gate)).gate
        rows, number = store.journals.last(last, gate), 0
        while True:
            for each in rows:
                if as_json:
                    show_json_line(_facts(each) | _head(each))
                else:
                    streams.echo(_row_text(each, store.zone))
                number = each.row
            if not follow:
                return
            time.sleep(FOLLOW_S)
            rows = store.journals.rows(number, gate)


def _facts(row: JournalRow) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(row.event.body)
    except UNDECODABLE:
        body = None
    return body if isinstance(body, dict) else {"unreadable": row.event.body}


def _head(row: JournalRow) -> dict[str, Any]:
    return {"gate": row.gate, "seq": row.event.seq, "at": row.event.at, "kind": row.event.kind}


def _row_text(row: JournalRow, zone: ZoneInfo) -> str:
    head = f"{format_time(row.event.at, zone)}  {row.gate:12} {row.event.kind:20}"
    return f"{line(head)} {wording.facts(_facts(row))}".rstrip()

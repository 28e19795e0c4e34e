"""`gated office alarms`: shows the alarms, and marks one as handled."""

import sys
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from gated.cli import read_only_unless, show_json
from gated.cli.office import json_option
from gated.cli.office.watch import ring
from gated.cli.table_output import in_words, show
from gated.journal.entry import stamp
from gated.office.alarm_meanings import MEANINGS
from gated.office.store import Store


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also show alarms that are over.")
@click.option("--settle", "handled", metavar="ID", type=int, help="Mark this alarm as handled.")
@json_option
@click.pass_obj
def alarms(folder: Path, everything: bool, handled: int | None, as_json: bool) -> None:
    """List the open alarms, with their meaning and what to do. Exit 1 if there is one."""
    with read_only_unless(handled), closing(Store.open(folder)) as store:
        if handled is not None:
            store.alarms.mark_handled(handled, stamp(datetime.now(UTC)))
        found, zone = store.alarms.all(standing=not everything), store.zone
    if as_json:
        show_json([asdict(each) | {"meaning": MEANINGS.get(each.kind, "")} for each in found])
    else:
        rows = [
            [str(a.id), in_words(a.at, zone), a.gate, a.kind, a.detail, MEANINGS.get(a.kind, ""),
             in_words(a.over_at or "", zone)] for a in found
        ]  # fmt: skip
        show(["id", f"at, {zone.key}", "gate", "alarm", "where", "it means", "over"], rows)
        ring(found)
    sys.exit(1 if any(each.over_at is None for each in found) else 0)

"""`gated office receipts`: shows which gates have erased the removed people."""

import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import click

from gated.cli import read_only_command, show_json
from gated.cli.office import json_option
from gated.cli.table_output import in_words, show
from gated.office.store import Store


@click.command()
@click.argument("subject", required=False)
@json_option
@click.pass_obj
@read_only_command
def receipts(folder: Path, subject: str | None, as_json: bool) -> None:
    """List the removed people, with the gates that confirmed the erasure. Exit 1 if one has not yet."""
    with closing(Store.open(folder)) as store:
        erased, zone = store.receipts.all(subject), store.zone
    if as_json:
        show_json([asdict(each) for each in erased])
    else:
        rows = [
            [e.subject, e.gate, in_words(e.at or "not confirmed yet", zone), in_words(e.templates, zone)]
            for e in erased
        ]
        show(["subject", "gate", f"erased at, {zone.key}", "templates"], rows)
    sys.exit(0 if all(each.at for each in erased) else 1)

"""`gated office prune`: deletes old events, as the privacy notice promises."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from gated.cli import streams
from gated.journal.entry import stamp
from gated.office.store import Store


@click.command()
@click.option("--days", type=click.IntRange(1, 3660), required=True, help="Delete events older than this many days.")
@click.pass_obj
def prune(folder: Path, days: int) -> None:
    """Delete old events from this office for good. The newest event of each gate stays.

    Run it every night, as the notice promises (`gated office forms`). People, cards and open alarms stay. Copies of the
    folder keep their events: delete those as well.
    """
    before = stamp(datetime.now(UTC) - timedelta(days=days))
    with closing(Store.open(folder)) as store:
        deleted = store.journals.prune(before)
        store.file.erase()
    streams.echo(f"deleted events: {deleted}")

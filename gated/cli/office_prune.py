"""`gated office prune`: deletes old events, as the privacy notice promises."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from gated.cli import streams
from gated.journal.entry import stamp
from gated.office.store import Store


@click.command()
@click.option("--days", type=click.IntRange(1, 3660), required=True, help="Events older than this many days go.")
@click.pass_obj
def prune(folder: Path, days: int) -> None:
    """Delete old events of all gates at this office, for good; the newest of each gate stays.

    For every night, as the notice says it (`gated office forms`). People, cards and open alarms stay. Copies of the
    folder that were put away keep what they have: delete those as well.
    """
    before = stamp(datetime.now(UTC) - timedelta(days=days))
    with closing(Store.open(folder)) as store:
        gone = store.journals.forget(before)
        store.file.erase()
    streams.say(f"deleted events: {gone}")

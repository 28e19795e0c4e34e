"""`gated office batch`: announces that many people will join."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from gated.cli.office.command_runner import run_command
from gated.cli.office.commands import command_options, options_of
from gated.errors import OfficeError
from gated.office.store import Store
from gated.protocol.command_messages import AnnounceBatch


@click.group()
def batch() -> None:
    """Announce that many people will join. The gates then do not hold these people back."""


@batch.command()
@click.argument("gates", nargs=-1, metavar="[GATE...]")
@click.option("--people", type=click.IntRange(1, 100_000), required=True, help="Maximum number of people.")
@click.option(
    "--hours",
    type=click.FloatRange(0, 72, min_open=True),
    default=6.0,
    show_default=True,
    help="Valid for this many hours.",
)
@command_options
@click.pass_obj
def announce(folder: Path, /, gates: Sequence[str], people: int, hours: float, **options: Any) -> None:
    """Announce that many people will join, at the named gates or at all gates. Without an announcement, a gate holds
    back the people beyond its hourly limit.

    A gate admits as many as its installer allows (`[sync] most_new_in_batch`), and reports that number.
    """
    with closing(Store.open(folder)) as store:
        chosen = list(gates) or [each.gate for each in store.gates()]
    if not chosen:
        raise OfficeError("this office has no gate yet; `gated office invite` lets one join")
    run_command(folder, chosen, AnnounceBatch(people, hours), options_of(options))

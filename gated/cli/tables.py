"""Tables that a person can read, on a terminal as in a pipe."""

from collections.abc import Sequence

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text


def show(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; one that is empty says so."""
    if not rows:
        click.echo("nothing to list")
        return
    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*map(Text, row))  # as it is: a name is no markup
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(160, console.width))
    console.print(table)

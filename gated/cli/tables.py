"""Tables that a person can read, on a terminal as in a pipe.

An id, a time or a number is never cut or broken, so that it can be copied: free text is folded instead. Where even that
does not fit, each row becomes a few lines, one for each column.
"""

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

import click
import msgspec
from rich import box
from rich.cells import cell_len
from rich.table import Column, Table
from rich.text import Text

from gated import printable, wording
from gated.cli.consoles import Console
from gated.sitetime import tell

TIMES = ("_at", "_from", "_until", "at")
"""How the name of a column or field ends that holds a time."""
WHOLE = 44
"""Cells of the longest word that is kept whole: an id has 32, a time with its zone 32. Longer ones are text or JSON."""
BETWEEN = 2
PIPE = 160
"""Cells of a line in a pipe, or more where one row needs them."""


def in_zone(columns: Sequence[str], zone: ZoneInfo) -> list[str]:
    """The heads of columns; over times with the zone that they are told in."""
    return [f"{column}, {zone.key}" if column.endswith(TIMES) else column for column in columns]


def in_words(value: object, zone: ZoneInfo) -> str:
    """A value for people: times as the site has them, lists and fields without brackets."""
    match value:
        case str():
            return tell(value, zone, is_named=False)
        case Mapping():
            said = {name: in_words(each, zone) for name, each in value.items()}
            return ", ".join(f"{name.replace('_', ' ')} {each}" for name, each in said.items() if each)
        case list() | tuple():
            return "; ".join(in_words(each, zone) for each in value)
        case msgspec.Struct():
            return in_words(msgspec.to_builtins(value), zone)
    return wording.value(value)


def show(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; one that is empty says so."""
    if not rows:
        click.echo("nothing to list")
        return
    console = Console()
    rows = [[printable.line(cell) for cell in row] for row in rows]
    cells = [[name, *(row[number] for row in rows)] for number, name in enumerate(columns)]
    room = console.width if console.is_terminal else max(PIPE, console.width, _total([_least(c) for c in cells]))
    widths = widths_in(room, cells)
    if widths is None:
        click.echo("\n\n".join("\n".join(_lines(columns, row, room)) for row in rows))
        return
    table = Table(
        *(Column(name, width=width, overflow="fold") for name, width in zip(columns, widths, strict=True)),
        box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip
    for row in rows:
        table.add_row(*map(Text, row))  # as it is: a name is no markup
    Console(width=room).print(table)


def widths_in(room: int, cells: Sequence[Sequence[str]]) -> list[int] | None:
    """The width of each column within `room`, so that no word is broken; None where that cannot be.

    `cells`: column by column, with its name. The columns that miss least are served first.
    """
    least, most = [_least(column) for column in cells], [_most(column) for column in cells]
    spare = room - _total(least)
    if spare < 0:
        return None
    for number, width in sorted(enumerate(most), key=lambda each: each[1] - least[each[0]]):
        more = min(spare, width - least[number])
        least[number] += more
        spare -= more
    return least


def _total(widths: Sequence[int]) -> int:
    """Of a whole line."""
    return sum(widths) + BETWEEN * (len(widths) - 1)


def _least(cells: Sequence[str]) -> int:
    """The longest word of a column, as far as it must stay whole."""
    return max(1, *(min(WHOLE, cell_len(word)) for cell in cells for word in cell.split() or [""]))


def _most(cells: Sequence[str]) -> int:
    """The longest line of a column."""
    return max(1, *(cell_len(line) for cell in cells for line in cell.splitlines() or [""]))


def _lines(columns: Sequence[str], row: Sequence[str], room: int) -> list[str]:
    """A row below itself: the name of each column and what it has, folded between words alone."""
    lines = []
    for name, cell in zip(columns, row, strict=True):
        line = f"{name}:"
        for word in cell.split():
            if cell_len(line) + 1 + cell_len(word) > room and line.strip():
                lines.append(line)
                line = " "
            line += f" {word}"
        lines.append(line)
    return lines

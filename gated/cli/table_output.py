"""Prints tables for people, on a terminal or in a pipe.

It never cuts or breaks an id, time or number: people copy these. Free text is folded. If the table is still too
wide, each row becomes several lines, one for each column.
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
from gated.sitetime import format_time

TIMES = ("_at", "_from", "_until", "at")
"""Name endings of columns and fields that hold a time."""
WHOLE = 44
"""Width limit, in cells, of a word kept whole. An id has 32, a time with zone 32. Longer words are text or JSON."""
BETWEEN = 2
PIPE = 160
"""Width of a line in a pipe, in cells. A line is wider if a row needs it."""


def in_zone(columns: Sequence[str], zone: ZoneInfo) -> list[str]:
    """Return the column heads. A column of times also names its time zone."""
    return [f"{column}, {zone.key}" if column.endswith(TIMES) else column for column in columns]


def in_words(value: object, zone: ZoneInfo) -> str:
    """Return a value as text for people: local times, and lists and fields without brackets."""
    match value:
        case str():
            return format_time(value, zone, is_named=False)
        case Mapping():
            texts = {name: in_words(each, zone) for name, each in value.items()}
            return ", ".join(f"{name.replace('_', ' ')} {each}" for name, each in texts.items() if each)
        case list() | tuple():
            return "; ".join(in_words(each, zone) for each in value)
        case msgspec.Struct():
            return in_words(msgspec.to_builtins(value), zone)
    return wording.value(value)


def show(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, or "nothing to list" if it is empty."""
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
        table.add_row(*map(Text, row))  # plain text: a name must not act as markup
    Console(width=room).print(table)


def widths_in(room: int, cells: Sequence[Sequence[str]]) -> list[int] | None:
    """Return the width of each column within `room` cells without breaking a word, or None if impossible.

    `cells` holds each column with its name first. The columns that need the least extra width get it first.
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
    """Return the width of a whole line, in cells."""
    return sum(widths) + BETWEEN * (len(widths) - 1)


def _least(cells: Sequence[str]) -> int:
    """Return the minimum width of a column: its longest word, at most `WHOLE` cells."""
    return max(1, *(min(WHOLE, cell_len(word)) for cell in cells for word in cell.split() or [""]))


def _most(cells: Sequence[str]) -> int:
    """Return the full width of a column: its longest line, in cells."""
    return max(1, *(cell_len(line) for cell in cells for line in cell.splitlines() or [""]))


def _lines(columns: Sequence[str], row: Sequence[str], room: int) -> list[str]:
    """Return a row as lines, one "name: value" for each column, folded only between words."""
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

"""The results of the hardware tests on this gate: a JSON file for programs, and a page for the installer to hand over.

The newest result of each promise is kept from run to run, so that both halves of a power cut are on one page.
"""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Literal

import msgspec

STYLE = "body{font:16px/1.4 sans-serif;max-width:60em;margin:2em auto}td{padding:.3em;vertical-align:top}"
MARKS = {"kept": "&#10003; kept", "broken": "&#10007; broken"}
MOST_WHY = 600
"""Most characters of a reason on the page. The terminal shows all of it."""


class Result(msgspec.Struct, frozen=True):
    """The result of one promise. `at`: time of the run, ISO 8601."""

    promise: str
    outcome: Literal["kept", "broken"]
    at: str
    duration_s: float = msgspec.field(name="took_s")
    notes: dict[str, str] = {}
    why: str = ""


class Report(msgspec.Struct, frozen=True):
    """All results, in the order of their first run. `board` describes the machine."""

    board: dict[str, str]
    results: tuple[Result, ...] = ()

    def with_results(self, new: Iterable[Result]) -> "Report":
        """Return the report with these results in place of older ones of the same promise."""
        results = {result.promise: result for result in (*self.results, *new)}
        return msgspec.structs.replace(self, results=tuple(results.values()))


def load(path: Path, board: dict[str, str]) -> Report:
    """Return the report of earlier runs on this board, or an empty one."""
    try:
        return msgspec.structs.replace(msgspec.json.decode(path.read_bytes(), type=Report), board=board)
    except (FileNotFoundError, msgspec.DecodeError):
        return Report(board)


def save(report: Report, folder: Path) -> Path:
    """Write `report.json` and `report.html`. Return the path of the page."""
    (folder / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2))
    (folder / "report.html").write_text(page(report), "utf-8")
    return folder / "report.html"


def page(report: Report) -> str:
    """Return the report as HTML without external resources."""
    broken = sum(result.outcome == "broken" for result in report.results)
    count = f"{len(report.results)} promises tried, {broken} broken"
    board = "".join(f"<li>{escape(name)}: {escape(value)}</li>" for name, value in report.board.items())
    rows = "".join(map(_row, report.results))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Gate on the bench</title><style>{STYLE}</style>'
        f"<h1>Gate on the bench</h1><p>{count}</p><ul>{board}</ul><table>{rows}</table></html>\n"
    )


def _row(result: Result) -> str:
    says = [f"{name}: {value}" for name, value in result.notes.items()] + (
        [result.why[:MOST_WHY]] if result.why else []
    )
    cells = (escape(result.promise), MARKS[result.outcome], "<br>".join(map(escape, says)), escape(result.at[:16]))
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"


def promise_of(node: str) -> str:
    """Return a test's name as a sentence: "TestRelay::test_stopping_secures" is "relay: stopping secures"."""
    chapter, _, name = node.rpartition("::")
    return f"{chapter.rpartition('::')[2].removeprefix('Test').lower()}: {name.removeprefix('test_').replace('_', ' ')}"

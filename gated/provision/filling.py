"""The commented example of the settings with values in it, so that whoever comes later finds every key explained."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

HEADER = re.compile(r"(?:# )?\[(?P<table>[\w.]+)\]")
LINE = re.compile(r"(?:# )?(?P<key>\w+) = (?:\[[^\]]*\]|\"[^\"]*\"|[^#\s]+)(?P<rest>\s*(?:#.*)?)\Z")

Tables = Mapping[str, Mapping[str, Any]]


def filled(example: str, tables: Tables) -> str:
    """The example with these values. What stands before the first table is the table "".

    A table or a key that the example has not is added, for the settings' own check to judge.
    """
    left = {table: dict(values) for table, values in tables.items()}
    lines: list[str] = []
    table, header = "", 0
    for line in example.splitlines():
        match = HEADER.match(line)
        if match:
            _insert(lines, header, left.pop(table, {}))
            table, header = match["table"], len(lines) + 1
            lines.append(f"[{table}]" if left.get(table) else line)
        else:
            lines.append(_line(line, left.get(table, {})))
    _insert(lines, header, left.pop(table, {}))
    for name, values in left.items():
        lines += ["", f"[{name}]", *(_written(key, value) for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _line(line: str, values: dict[str, Any]) -> str:
    """The same, or with the value that is taken out of `values`."""
    match = LINE.match(line)
    if match is None or match["key"] not in values:
        return line
    return _written(match["key"], values.pop(match["key"])) + match["rest"].rstrip()


def _insert(lines: list[str], at: int, values: dict[str, Any]) -> None:
    lines[at:at] = [_written(key, value) for key, value in values.items()]


def _written(key: str, value: Any) -> str:
    """A line of TOML, whose numbers, texts and lists JSON's are too, but for one character that it wants escaped."""
    return f"{key} = {msgspec.json.encode(value).decode()}".replace("\x7f", "\\u007f")

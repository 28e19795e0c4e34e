"""Write values into the commented example of the settings. The result keeps the comments, which explain every key.
Provisioning and `reader_settings` use this module.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

HEADER = re.compile(r"(?:# )?\[(?P<table>[\w.]+)\]")
LINE = re.compile(r"(?:# )?(?P<key>\w+) = (?:\[[^\]]*\]|\"[^\"]*\"|[^#\s]+)(?P<rest>\s*(?:#.*)?)\Z")

Tables = Mapping[str, Mapping[str, Any]]


def filled(example: str, tables: Tables) -> str:
    """Return the example with these values. The table "" holds the keys before the first table header.

    Tables and keys that the example does not have are added; the settings' own check judges them.
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
    """Return the line. If `values` has its key, remove the key from `values` and put its value into the line."""
    match = LINE.match(line)
    if match is None or match["key"] not in values:
        return line
    return _written(match["key"], values.pop(match["key"])) + match["rest"].rstrip()


def _insert(lines: list[str], at: int, values: dict[str, Any]) -> None:
    lines[at:at] = [_written(key, value) for key, value in values.items()]


def _written(key: str, value: Any) -> str:
    """Return one line of TOML. JSON numbers, strings and lists are valid TOML, except that TOML needs DEL escaped."""
    return f"{key} = {msgspec.json.encode(value).decode()}".replace("\x7f", "\\u007f")

"""Change the gate's settings file for its commands: write the [sync] table of a paired gate, or set a single key."""

import re
from pathlib import Path

import msgspec

from gated.atomic_files import atomic_rewrite
from gated.config.handwritten import HandwritingError, read_text, toml_of
from gated.errors import ConfigError
from gated.sync.pairing import Pairing


def write_table(path: Path, pairing: Pairing) -> None:
    """Write the [sync] table into settings that have none or an empty one.

    Raises `ConfigError` if the settings have another [sync] table, or if the file cannot be read or written.
    """
    try:
        text = read_text(path)
        stored = toml_of(text).get("sync", {})
        if pairing.settings().items() <= stored.items():
            return
        if stored:
            raise ConfigError(str(path), ["has another [sync] table; replace it by the table above"])
        changed = with_table(text, pairing.toml())
        toml_of(changed)
        atomic_rewrite(path, changed.encode())
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be written ({error.strerror}); add the table above by hand"]) from error
    except HandwritingError as error:
        raise ConfigError(str(path), [f"{error}; correct it, and add the table above yourself"]) from error


def set_key(path: Path, table: str, key: str, value: str) -> None:
    """Set one text value in a table of the settings. Comments and all other text stay. Raises `ConfigError`."""
    try:
        text = read_text(path)
        changed = with_key(text, table, key, value)
        if toml_of(changed).get(table, {}).get(key) != value:
            raise ConfigError(str(path), [f"[{table}] is not where it was looked for; write {key} = {value!r} in it"])
        atomic_rewrite(path, changed.encode())
    except OSError as error:
        problem = f"cannot be written ({error.strerror}); write {key} = {_quoted(value)} below [{table}] by hand"
        raise ConfigError(str(path), [problem]) from error
    except HandwritingError as error:
        raise ConfigError(str(path), [str(error)]) from error


def with_key(text: str, table: str, key: str, value: str) -> str:
    """Return the settings with one text value set in a table.

    The value replaces its line, or a commented line of that key; otherwise it follows the table's header.
    """
    head, header, body = text.partition(f"[{table}]")
    if not header:
        return f"{text.rstrip()}\n\n[{table}]\n{key} = {_quoted(value)}\n"
    body, cut, rest = _until_next_table(body)
    line = f"{key} = {_quoted(value)}"
    for pattern in (rf"(?m)^{key} *= *(\"[^\"\n]*\"|'[^'\n]*')", rf"(?m)^# *{key} *= *\"[^\"\n]*\""):
        body, count = re.subn(pattern, lambda _: line, body, count=1)
        if count:
            return head + header + body + cut + rest
    first, newline, below = body.partition("\n")
    return f"{head}{header}{first}\n{line}{newline or chr(10)}{below}{cut}{rest}"


def _until_next_table(body: str) -> tuple[str, str, str]:
    match = re.search(r"(?m)^(# )?\[", body)
    return (body, "", "") if match is None else (body[: match.start()], match[0], body[match.end() :])


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def with_table(text: str, table: str) -> str:
    """Return the settings with the [sync] table in place of its empty header, or at the end."""
    changed, count = re.subn(r"(?m)^\[sync\][^\n]*\n?", lambda _: table, text, count=1)
    return changed if count else f"{text}\n{table}"

"""What the office may set, and how it is laid over the gate's own settings.

The gate's own file is the installer's, and nobody else writes it. `office.toml` in the state folder is the office's:
how the gate judges and behaves, never what it is made of.
"""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gated.config.reading import load_own, parse, read
from gated.config.tables import Settings
from gated.errors import ConfigError

OFFICE = "office.toml"
"""The office's settings, in the state folder."""

ALLOWED = frozenset({
    ("access",),  # how sure the gate must be
    ("face",),  # which faces are looked at
    ("schedules",),  # hours; which door stands open by which of them is the installer's
    ("site", "holidays"),
    ("models", "set"),  # not where the files lie
    ("readers", "attempts"),
    ("readers", "attempts_s"),
    ("readers", "rest_s"),
    ("readers", "pin_digits"),
    ("door", "release_s"),  # for who comes in; who leaves has the installer's, because the latch reads no other
    ("second_door", "release_s"),
    ("cues", "languages"),
    ("cues", "volume"),
    ("cues", "quiet_volume"),
    ("cues", "quiet_from"),
    ("cues", "quiet_to"),
})  # fmt: skip
"""The tables and keys that the office may set: the whole list. What the latch alone reads is not on it (its process
knows only the gate's own file), and neither is a pin, a device, a path, a key, a lock's kind or the way to the office.
"""

DEEPEST = 3
"""Keys of keys: `schedules.NAME.start`."""

Key = tuple[str, ...]
"""A table's name and a key's, as ("access", "frames")."""


def load(path: Path) -> Settings:
    """Read and check a settings file, with what the office has set laid over it. Raises `ConfigError` with every
    problem.
    """
    own = load_own(path)
    text = kept(own)
    return own if text is None else laid_over(path, text, str(own.state / OFFICE))


def kept(own: Settings) -> str | None:
    """The office's settings as they were kept, None where there are none. Raises `ConfigError`."""
    path = own.state / OFFICE
    try:
        return path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):  # a state folder that is none is for whoever opens a database
        return None
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read ({error.strerror}); run this as the gate's user"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), [f"is damaged ({error}); remove it, and the gate has its own settings"]) from error


def kept_keys(own: Settings) -> dict[Key, Any]:
    """Every key that the office has set, with its value. Raises `ConfigError` where they are damaged."""
    text = kept(own)
    return {} if text is None else office_keys(text, str(own.state / OFFICE))


def laid_over(path: Path, text: str, source: str) -> Settings:
    """The settings of the file at `path` with the office's over them, key by key. Raises `ConfigError` with every key
    that the office may not set and every problem of the whole.
    """
    data = read(path)
    found = office_keys(text, source)
    problems = [f"{'.'.join(key)}: is not for the office to set" for key in found if not _is_allowed(key)]
    if "second_door" not in data and any(key[0] == "second_door" for key in found):
        problems.append("second_door: this gate has no second door")
    for key, value in found.items():
        if _is_allowed(key):
            data = _put(data, key, value)
    try:
        settings = parse(data, path.resolve().parent, source)
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(source, problems)
    return settings


def office_keys(text: str, source: str = "settings") -> dict[Key, Any]:
    """Every key of a TOML with its value, flat. Raises `ConfigError` where it is none."""
    try:
        text.encode()  # half a surrogate pair can be on no disk
        return dict(_leaves(tomllib.loads(text), ()))
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is the former, 1,000 brackets the latter
        raise ConfigError(source, [f"is not valid TOML: {error}"]) from error


def _leaves(table: dict[str, Any], at: Key) -> Iterator[tuple[Key, Any]]:
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*at, name))
        else:
            yield (*at, name), value


def _is_allowed(key: Key) -> bool:
    return len(key) <= DEEPEST and any(key[:length] in ALLOWED for length in range(1, len(key) + 1))


def _put(table: dict[str, Any], key: Key, value: Any) -> dict[str, Any]:
    """The table with one key set; an empty table takes nothing away."""
    name, *rest = key
    below = table.get(name)
    under = below if isinstance(below, dict) else {}
    if rest:
        return {**table, name: _put(under, tuple(rest), value)}
    return {**table, name: under if value == {} else value}

"""What the office may set, and how it is laid over the gate's own settings.

The gate's own file is the installer's, and nobody else writes it. `office.toml` in the state folder is the office's:
how the gate judges and behaves, never what it is made of. What protects it may only tighten (`safe`, `bounds`).
"""

import tomllib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from gated.config.bounds import loosened, strictest
from gated.config.reading import load_own, parse, read
from gated.config.safe import words_of
from gated.config.tables import Settings
from gated.errors import ConfigError

OFFICE = "office.toml"
"""The office's settings, in the state folder."""

ALLOWED = frozenset(words_of(Settings))
"""The tables and keys that the office may set: the whole list. Which way each may go stands in the settings' tables
(`Safe`). What the latch alone reads is not on it (its process knows only the gate's own file), and neither is a pin, a
device, a path, a key, a lock's kind or the way to the office.
"""

DEEPEST = 3
"""Keys of keys: `schedules.NAME.start`."""

Key = tuple[str, ...]
"""A table's name and a key's, as ("access", "frames")."""


def load(path: Path, data: dict[str, Any] | None = None) -> Settings:
    """Read and check a settings file, with what the office has set laid over it. Raises `ConfigError` with every
    problem. `data`: what `reading.read` gave, where it was read already.
    """
    return in_force(path, data)[0]


def in_force(path: Path, data: dict[str, Any] | None = None) -> tuple[Settings, list[str]]:
    """The same, and which keys of the office's do not count, each with its bound: the installer, or a newer manifest,
    may ask for more than when they were kept.
    """
    data = read(path) if data is None else data
    own = load_own(path, data)
    text, source = kept(own), str(own.state / OFFICE)
    if text is None:
        return own, []
    settings, loose = _laid_over(path, office_keys(text, source), source, data)
    return settings, list(loose.values())


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


def tightening(path: Path) -> dict[Key, Any]:
    """Every key that the office has set and that counts. Raises `ConfigError` where they are damaged."""
    own = load_own(path)
    keys = kept_keys(own)
    loose = _laid_over(path, keys, str(own.state / OFFICE))[1]
    return {key: value for key, value in keys.items() if not _is_of(key, loose)}


def laid_over(path: Path, text: str, source: str) -> Settings:
    """The settings of the file at `path` with the office's over them, key by key. Raises `ConfigError` with every key
    that the office may not set, every one that would protect less than the installer's, and every problem of the whole.
    """
    settings, loose = _laid_over(path, office_keys(text, source), source)
    if loose:
        raise ConfigError(source, list(loose.values()))
    return settings


def _laid_over(
    path: Path, found: dict[Key, Any], source: str, data: dict[str, Any] | None = None
) -> tuple[Settings, dict[Key, str]]:
    """The settings without what would loosen, and that: each key with its bound."""
    data, folder = read(path) if data is None else data, path.resolve().parent
    own = parse(data, folder, str(path))
    refused = [key for key, value in found.items() if not (_is_allowed(key) or _is_nothing(key, value))]
    problems = [f"{'.'.join(key)}: is not for the office to set" for key in refused if not _is_unknown(key)]
    if "second_door" not in data and any(key[0] == "second_door" for key in found):
        problems.append("second_door: this gate has no second door")
    good = {key: value for key, value in found.items() if key not in refused or _is_unknown(key)}
    try:
        settings = parse(_with(data, good), folder, source)
    except ConfigError as error:
        raise ConfigError(source, problems + error.problems) from error
    loose = loosened(own, settings)
    if problems:
        raise ConfigError(source, problems + list(loose.values()))
    if loose:
        good = {key: value for key, value in good.items() if not _is_of(key, loose)}
        settings = parse(_with(data, good), folder, source)
    return strictest(own, settings), loose


def _with(data: dict[str, Any], keys: dict[Key, Any]) -> dict[str, Any]:
    for key, value in keys.items():
        data = _put(data, key, value)
    return data


def _is_of(key: Key, loose: Collection[Key]) -> bool:
    """Whether a key is one of these, or lies in one of these tables."""
    return any(key[: len(each)] == each for each in loose)


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


def _is_nothing(key: Key, value: Any) -> bool:
    """Whether it is an empty table in which the office may set something."""
    return value == {} and any(each[: len(key)] == key for each in ALLOWED)


def _is_unknown(key: Key) -> bool:
    """Whether there is no such key in a table that is the office's in part: whoever reads it names the nearest one."""
    table = getattr(Settings.__annotations__.get(key[0]), "__struct_fields__", None)
    return len(key) == 2 and table is not None and key[1] not in table and _is_nothing(key[:1], {})


def _put(table: dict[str, Any], key: Key, value: Any) -> dict[str, Any]:
    """The table with one key set; an empty table takes nothing away."""
    name, *rest = key
    below = table.get(name)
    under = below if isinstance(below, dict) else {}
    if rest:
        return {**table, name: _put(under, tuple(rest), value)}
    return {**table, name: under if value == {} else value}

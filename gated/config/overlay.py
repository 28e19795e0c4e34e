"""Define which settings the office may set, and apply them over the gate's own settings.

Only the installer writes the gate's own file. `office.toml` in the state folder holds the office's settings: how the
gate judges and behaves, never its hardware. The office may only tighten a setting that protects (`safe`, `bounds`).
"""

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from gated.config.keys import Key, leaves, with_keys
from gated.config.office_limits import loosened, strictest
from gated.config.reading import load_own, parse, read
from gated.config.safe import permissions_of
from gated.config.tables import Settings
from gated.errors import ConfigError

OFFICE = "office.toml"
"""The file of the office's settings, in the state folder."""

ALLOWED = frozenset(permissions_of(Settings))
"""The complete list of tables and keys that the office may set. `Safe` in the settings' tables says in which direction.

The list has no keys of the latch: the latch's process reads only the gate's own file. It has no
pin, device, path, key, lock type or address of the office.
"""

DEEPEST = 3
"""The longest allowed key, in names: `schedules.NAME.start`."""


def load(path: Path, data: dict[str, Any] | None = None) -> Settings:
    """Read and check a settings file, and apply the office's settings.

    `data` is the result of `reading.read`, if the file was read already. Raises `ConfigError` with every problem.
    """
    return in_force(path, data)[0]


def in_force(path: Path, data: dict[str, Any] | None = None) -> tuple[Settings, list[str]]:
    """Read the settings as `load` does. Also return one sentence for each ignored key of the office, which names its
    bound.

    A key can become too loose after it was kept: the installer, or a newer manifest, may now require more.
    """
    data = read(path) if data is None else data
    own = load_own(path, data)
    text, source = kept(own), str(own.state / OFFICE)
    if text is None:
        return own, []
    settings, loose = _laid_over(path, office_keys(text, source), source, data)
    return settings, list(loose.values())


def kept(own: Settings) -> str | None:
    """Return the text of the office's stored settings, or None if there are none. Raises `ConfigError`."""
    path = own.state / OFFICE
    try:
        return path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):  # the first use of a database reports a wrong state folder
        return None
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read ({error.strerror}); run this as the gate's user"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            str(path), [f"is damaged ({error}); remove it, and the gate uses its own settings"]
        ) from error


def kept_keys(own: Settings) -> dict[Key, Any]:
    """Return every key that the office has set, with its value. Raises `ConfigError` if the stored settings are
    damaged.
    """
    text = kept(own)
    return {} if text is None else office_keys(text, str(own.state / OFFICE))


def tightening(path: Path) -> dict[Key, Any]:
    """Return every key of the office that is in force. Raises `ConfigError` if the stored settings are damaged."""
    own = load_own(path)
    keys = kept_keys(own)
    loose = _laid_over(path, keys, str(own.state / OFFICE))[1]
    return {key: value for key, value in keys.items() if not _is_of(key, loose)}


def laid_over(path: Path, text: str, source: str) -> Settings:
    """Return the settings of the file at `path` with the office's settings applied, key by key.

    Raises `ConfigError` with every forbidden key, every key with less protection than the installer's value, and every
    problem of the result.
    """
    settings, loose = _laid_over(path, office_keys(text, source), source)
    if loose:
        raise ConfigError(source, list(loose.values()))
    return settings


def _laid_over(
    path: Path, found: dict[Key, Any], source: str, data: dict[str, Any] | None = None
) -> tuple[Settings, dict[Key, str]]:
    """Return the settings without the office's looser keys, and those keys with their bounds."""
    data, folder = read(path) if data is None else data, path.resolve().parent
    own = parse(data, folder, str(path))
    refused = [key for key, value in found.items() if not (_is_allowed(key) or _is_nothing(key, value))]
    problems = [f"{'.'.join(key)}: the office may not set this key" for key in refused if not _is_unknown(key)]
    if "second_door" not in data and any(key[0] == "second_door" for key in found):
        problems.append("second_door: this gate has no second door")
    accepted = {key: value for key, value in found.items() if key not in refused or _is_unknown(key)}
    try:
        settings = parse(with_keys(data, accepted), folder, source)
    except ConfigError as error:
        raise ConfigError(source, problems + error.problems) from error
    loose = loosened(own, settings)
    if problems:
        raise ConfigError(source, problems + list(loose.values()))
    if loose:
        accepted = {key: value for key, value in accepted.items() if not _is_of(key, loose)}
        settings = parse(with_keys(data, accepted), folder, source)
    return strictest(own, settings), loose


def _is_of(key: Key, loose: Collection[Key]) -> bool:
    """Return whether `loose` contains this key or one of its tables."""
    return any(key[: len(each)] == each for each in loose)


def office_keys(text: str, source: str = "settings") -> dict[Key, Any]:
    """Return every key of a TOML text with its value, as a flat dict. Raises `ConfigError` if the text is not valid
    TOML.
    """
    try:
        text.encode()  # half a surrogate pair cannot be stored
        return dict(leaves(tomllib.loads(text)))
    except (ValueError, RecursionError) as error:  # 5,000 digits raise ValueError, 1,000 brackets RecursionError
        raise ConfigError(source, [f"is not valid TOML: {error}"]) from error


def _is_allowed(key: Key) -> bool:
    return len(key) <= DEEPEST and any(key[:length] in ALLOWED for length in range(1, len(key) + 1))


def _is_nothing(key: Key, value: Any) -> bool:
    """Return whether this is an empty table, and the office may set a key in it."""
    return value == {} and any(each[: len(key)] == key for each in ALLOWED)


def _is_unknown(key: Key) -> bool:
    """Return whether the key is unknown, in a table that is partly open to the office. The parser then suggests the
    nearest key.
    """
    table = getattr(Settings.__annotations__.get(key[0]), "__struct_fields__", None)
    return len(key) == 2 and table is not None and key[1] not in table and _is_nothing(key[:1], {})

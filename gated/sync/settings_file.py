"""Change the gate's settings file for its commands: write the [sync] table of a paired gate, or set a single key."""

from pathlib import Path

from gated.atomic_files import atomic_rewrite
from gated.config.handwritten import HandwritingError, read_text, toml_of
from gated.config.toml_writing import to_toml, with_values
from gated.errors import ConfigError
from gated.sync.pairing import Pairing


def write_table(path: Path, pairing: Pairing) -> None:
    """Write the [sync] table into settings that have none or an empty one.

    Raises `ConfigError` if the settings have another [sync] table, or if the file cannot be read or written.
    """
    settings = pairing.settings()
    try:
        text = read_text(path)
        stored = toml_of(text).get("sync", {})
        if settings.items() <= stored.items():
            return
        if stored:
            raise ConfigError(str(path), ["has another [sync] table; replace it by the table above"])
        changed = with_values(text, {("sync", key): value for key, value in settings.items()})
        atomic_rewrite(path, changed.encode())
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be written ({error.strerror}); add the table above yourself"]) from error
    except HandwritingError as error:
        raise ConfigError(str(path), [f"{error}; correct it, and add the table above yourself"]) from error


def set_key(path: Path, table: str, key: str, value: str) -> None:
    """Set one text value in a table of the settings. Comments and all other values stay. Raises `ConfigError`."""
    advice = f"write {to_toml({(key,): value}).strip()} below [{table}] yourself"
    try:
        atomic_rewrite(path, with_values(read_text(path), {(table, key): value}).encode())
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be written ({error.strerror}); {advice}"]) from error
    except HandwritingError as error:
        raise ConfigError(str(path), [f"{error}; {advice}"]) from error

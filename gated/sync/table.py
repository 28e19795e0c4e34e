"""The [sync] table, put into the settings of a gate that has joined its office."""

import re
import tomllib
from pathlib import Path

from gated.errors import ConfigError
from gated.runtime.files import rewrite
from gated.sync.pairing import Pairing


def write_table(path: Path, pairing: Pairing) -> None:
    """Write the table into settings that have none, or an empty one. Raises `ConfigError` where there is another one,
    or no such file.
    """
    try:
        text = path.read_text("utf-8")
        there = tomllib.loads(text).get("sync", {})
        if pairing.settings().items() <= there.items():
            return
        if there:
            raise ConfigError(str(path), ["has another [sync]; put the one above in its place"])
        changed = with_table(text, pairing.toml())
        tomllib.loads(changed)
        rewrite(path, changed.encode())
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be written ({error.strerror}); add the table above by hand"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            str(path), [f"is not valid TOML ({error}); mend it, and add the table above by hand"]
        ) from error


def with_table(text: str, table: str) -> str:
    """Settings with the table in the place of its empty header, as in the commented example, or behind everything."""
    changed, count = re.subn(r"(?m)^\[sync\][^\n]*\n?", lambda _: table, text, count=1)
    return changed if count else f"{text}\n{table}"

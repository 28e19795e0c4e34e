"""Reads the settings: one TOML, checked wholly, unknown keys and wrong values all reported together.

Relative paths are taken from the folder that the file is in.
"""

import difflib
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from gated.config.tables import Settings
from gated.config.wiring import Wires, pin_problems
from gated.errors import ConfigError

PATHS = {
    ("state_dir",),
    ("models", "dir"),
    ("models", "manifest"),
    ("camera", "path"),
    ("door", "socket"),
    ("door", "trace"),
    ("readers", "pass_key"),
    ("cues", "prompts"),
} | {("sync", key) for key in ("ca", "cert", "key", "gate_keys", "office_keys")}


def load_own(path: Path) -> Settings:
    """Read and check the gate's own settings, without what the office has set. Raises `ConfigError` with every
    problem in them.
    """
    return parse(read(path), path.resolve().parent, str(path))


def read(path: Path) -> dict[str, Any]:
    """A settings file as it stands there, unchecked. Raises `ConfigError` where it cannot be read, or is no TOML."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(
            str(path), [f"cannot be read ({error.strerror}); `gated config new` writes a commented example"]
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [f"is not valid TOML: {error}"]) from error


def parse(data: dict[str, Any], folder: Path, source: str = "settings") -> Settings:
    """Check settings that were read, with paths relative to `folder`. Raises `ConfigError` with every problem."""
    problems: list[str] = []
    settings = _struct(Settings, _absolute(data, folder), "", problems)
    if isinstance(settings, Settings):
        problems += _contradictions(settings)
    if problems:
        raise ConfigError(source, problems)
    return settings  # type: ignore[no-any-return]


def _absolute(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same data with every path made absolute."""

    def fix(value: Any, at: tuple[str, ...]) -> Any:
        if isinstance(value, dict):
            return {k: fix(v, (*at, k)) for k, v in value.items()}
        return str(folder / Path(value).expanduser()) if at in PATHS and isinstance(value, str) and value else value

    return {k: fix(v, (k,)) for k, v in data.items()}


def _struct(kind: Any, data: Any, at: str, problems: list[str]) -> Any:
    """Convert a table field by field, so that one bad value does not hide the next. None when something was wrong."""
    if not isinstance(data, dict):
        problems.append(f"{at.rstrip('.')}: expected a table [{at.rstrip('.')}], got {data!r}")
        return None
    (hints, fields), values = _shape(kind), {}
    known = [f.name for f in fields]
    problems += [f"{at}{key}: unknown key{_did_you_mean(key, known)}" for key in data if key not in known]
    before = len(problems)
    for item in fields:
        if item.name in data or item.required:
            values[item.name] = _value(
                hints[item.name], data.get(item.name, msgspec.UNSET), f"{at}{item.name}", problems
            )
    return kind(**values) if len(problems) == before else None


@cache
def _shape(kind: Any) -> tuple[dict[str, Any], tuple[msgspec.structs.FieldInfo, ...]]:
    """The types of a table and its fields."""
    return get_type_hints(kind, include_extras=True), msgspec.structs.fields(kind)


def _value(kind: Any, value: Any, at: str, problems: list[str]) -> Any:
    """One field: a table of its own, or a plain value checked by msgspec."""
    if kind == Wires | None:  # a table that may be left out
        kind = Wires
    is_table = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    if value is msgspec.UNSET:
        if not is_table:
            problems.append(f"{at}: is required")
            return None
        value = {}
    if is_table:
        return _struct(kind, value, f"{at}.", problems)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        problems.append(f"{at}: {value!r} will not do: {_plain(str(error), kind)}")
        return None


def _plain(message: str, kind: Any) -> str:
    """The words of msgspec, or the field's own description where it has one."""
    description = next((m.description for m in getattr(kind, "__metadata__", ()) if m.description), None)
    return f"expected {description}" if description else message[0].lower() + message[1:]


def _did_you_mean(key: str, known: list[str]) -> str:
    """A hint for a misspelt key."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else f"; known here: {', '.join(known)}"


def _contradictions(settings: Settings) -> list[str]:
    """Values that are each fine and do not go together."""
    problems = []
    camera, door, sync = settings.camera, settings.door, settings.sync
    if camera.kind != "picamera2" and not camera.path:
        problems.append(f'camera.path: is required when camera.kind is "{camera.kind}"')
    if camera.kind == "simulated" and door.pins == "gpio":
        problems.append('camera.kind: "simulated" people never move a real lock; set door.pins to "mock"')
    problems += pin_problems(door, settings.second_door, settings.readers, settings.cues)
    problems += [
        f"{name}.free_passage: there is no [schedules.{wires.free_passage}]"
        for name, wires in (("door", door), ("second_door", settings.second_door))
        if wires is not None and wires.free_passage and wires.free_passage not in settings.schedules
    ]
    if not _is_timezone(settings.site.timezone):
        problems.append(f"site.timezone: {settings.site.timezone!r} is no time zone, use one such as Asia/Shanghai")
    if sync.url.startswith("mqtts:"):
        problems += [
            f"sync.{key}: is required when sync.url is set; `gated pair` makes it"
            for key in ("ca", "cert", "key", "gate_keys", "office_keys")
            if not getattr(sync, key)
        ]
    elif sync.url:
        problems.append("sync.url: the link is TLS with certificates on both sides; write mqtts://")
    return problems


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True

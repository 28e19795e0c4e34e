"""Read and check the settings from one TOML file. All unknown keys and wrong values are reported together.

Relative paths start at the folder of the file.
"""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from gated import names, wording
from gated.config.handwritten import HandwritingError, read_toml
from gated.config.safe import plain
from gated.config.tables import Name, Settings, SiteSettings
from gated.config.wiring import EndTime, Time, Wires, pin_problems
from gated.errors import ConfigError
from gated.sitetime import clock_of, zone_of

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


def load_own(path: Path, data: dict[str, Any] | None = None) -> Settings:
    """Read and check the gate's own settings, without the office's.

    `data` is the result of `read`, if the file was read already. Raises `ConfigError` with every problem.
    """
    return parse(read(path) if data is None else data, path.resolve().parent, str(path))


def read(path: Path, advice: str = "`gated config new` writes a commented example") -> dict[str, Any]:
    """Return the unchecked content of a settings file. `advice`: where to get one.

    Raises `ConfigError` if the file cannot be read, or is not valid TOML.
    """
    try:
        return read_toml(path, advice)
    except HandwritingError as error:
        raise ConfigError(str(path), [str(error)]) from error


def parse(data: dict[str, Any], folder: Path, source: str = "settings") -> Settings:
    """Check parsed settings. Relative paths start at `folder`. Raises `ConfigError` with every problem."""
    settings, problems = examined(data, folder)
    if settings is None or problems:
        raise ConfigError(source, problems)
    return settings


def examined(data: dict[str, Any], folder: Path) -> tuple[Settings | None, list[str]]:
    """Return the settings and every problem.

    The settings are None if a key or a value is invalid. Settings with problems have valid values that contradict each
    other.
    """
    problems: list[str] = []
    settings = _struct(Settings, _absolute(_named(data, problems), folder), "", problems)
    if not isinstance(settings, Settings):
        return None, problems
    return settings, problems + _contradictions(settings)


def _absolute(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the data with every path made absolute."""

    def fix(value: Any, at: tuple[str, ...]) -> Any:
        """Return the value with its paths made absolute. `at`: keys from the root to the value."""
        if isinstance(value, dict):
            return {k: fix(v, (*at, k)) for k, v in value.items()}
        return str(folder / _at_home(value)) if at in PATHS and isinstance(value, str) and value else value

    return {k: fix(v, (k,)) for k, v in data.items()}


def _at_home(path: str) -> Path:
    """Return the path with `~` expanded. Keep `~NAME` as a folder name if no such user exists."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


NAMES = (("door", "free_passage"), ("second_door", "free_passage"))
"""Keys whose value names a schedule."""


def _named(data: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """Return the data with all schedule names and schedule hours in their normal form."""
    for table, key in NAMES:
        values = data.get(table)
        if isinstance(values, dict) and isinstance(values.get(key), str):
            data = {**data, table: {**values, key: names.plain(values[key])}}
    schedules = data.get("schedules")
    if not isinstance(schedules, dict):
        return data
    named = {names.plain(name): _hours(schedule) for name, schedule in schedules.items()}
    if len(named) < len(schedules):
        twice = [name for name in schedules if len(names.spellings(name, schedules)) > 1 or name not in named]
        problems.append(f"schedules: {', '.join(map(repr, twice))} are the same name; write each schedule once")
    return {**data, "schedules": named}


def _hours(schedule: Any) -> Any:
    """Return the schedule with its hours in their normal form."""
    if not isinstance(schedule, dict):
        return schedule
    return {key: _normal(Time, value) if key in ("start", "end") else value for key, value in schedule.items()}


def _struct(kind: Any, data: Any, at: str, problems: list[str]) -> Any:
    """Convert a table field by field, so that one wrong value does not hide the next.

    Return None if anything is wrong.
    """
    if not isinstance(data, dict):
        problems.append(f"{at.rstrip('.')}: expected a table [{at.rstrip('.')}], got {wording.shown(data)}")
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
    """Return the types of a table's fields, and the fields."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: plain(hint) for name, hint in hints.items()}, msgspec.structs.fields(kind)


def _value(kind: Any, value: Any, at: str, problems: list[str]) -> Any:
    """Convert one field: a nested table, or a plain value that msgspec checks."""
    if kind == Wires | None:  # an optional table
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
        return msgspec.convert(_normal(kind, value), kind)
    except msgspec.ValidationError as error:
        problems.append(f"{at}: {wording.shown(value)} is not valid: {wording.problem(error, kind)}")
        return None


def _normal(kind: Any, value: Any) -> Any:
    """Return an id or a time of day in its normal form, in whatever form a person typed it. Return other values
    unchanged.
    """
    if not isinstance(value, str):
        return value
    if kind in (Time, EndTime):
        return clock_of(value)
    return names.id_of(value) if kind == Name else value


def _did_you_mean(key: str, known: list[str]) -> str:
    """Return a hint for a misspelt key."""
    near = names.closest(key, known)
    return f"; known here: {', '.join(known)}" if near is None else f"; did you mean {near!r}?"


def _contradictions(settings: Settings) -> list[str]:
    """Return the problems of values that are valid alone and wrong together."""
    problems = []
    camera, door, sync = settings.camera, settings.door, settings.sync
    if camera.kind != "picamera2" and not camera.path:
        problems.append(f'camera.path: is required when camera.kind is "{camera.kind}"')
    if camera.kind == "simulated" and door.pins == "gpio":
        problems.append('camera.kind: "simulated" people must not move a real lock; set door.pins to "mock"')
    problems += pin_problems(door, settings.second_door, settings.readers, settings.cues)
    problems += [
        f"{name}.free_passage: there is no [schedules.{wires.free_passage}]"
        for name, wires in (("door", door), ("second_door", settings.second_door))
        if wires is not None and wires.free_passage and wires.free_passage not in settings.schedules
    ]
    if settings.cues.locate and settings.cues.locate not in settings.schedules:
        problems.append(f"cues.locate: there is no [schedules.{settings.cues.locate}]")
    problems += _calendar_problems(settings.site)
    if zone_of(settings.site.timezone) is None:
        problems.append(f"site.timezone: {settings.site.timezone!r} is not a time zone; use one such as Asia/Shanghai")
    if sync.url.startswith("mqtts:"):
        problems += [
            f"sync.{key}: is required when sync.url is set; run `gated pair` to make it"
            for key in ("ca", "cert", "key", "gate_keys", "office_keys")
            if not getattr(sync, key)
        ]
    elif sync.url:
        problems.append("sync.url: the link uses TLS with certificates on both sides; write mqtts://")
    return problems


def _calendar_problems(site: SiteSettings) -> list[str]:
    """Return the problems of the calendar's days.

    An impossible holiday is no problem here, because earlier versions accepted it. It never matches a day, and `gated
    check` names it.
    """
    both = sorted(set(site.holidays) & set(site.workdays))
    problems = [f"site.workdays: {day} is in holidays too; remove it from one of them" for day in both]
    return problems + [f"site.workdays: {day} is not a calendar date" for day in site.workdays if not is_day(day)]


def is_day(text: str) -> bool:
    """Return whether the text is an existing date, YYYY-MM-DD."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True

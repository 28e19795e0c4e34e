"""The installer's answers about a gate, from flags, a TOML file, or questions at the terminal. `gated provision` reads
them. A flag overrides the file.
"""

import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from gated import names, wording
from gated.config import Settings
from gated.config.reading import read
from gated.errors import ConfigError

Tables = dict[str, dict[str, Any]]


class InstallerAnswers(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """All answers of one installation. `settings` holds tables and keys of the gate's settings, without the site and
    gate names.
    """

    site: str
    gate: str
    code: str = ""
    """The pairing code from `gated office invite`. Empty if the gate has no office, or is already paired."""
    models: str = "site"
    """The name of the model set."""
    models_from: str = ""
    """A folder that holds the model files. Empty: the files are downloaded."""
    accept_licence: bool = False
    prompts_from: str = ""
    """A folder of prompt recordings. Empty: the prompts are generated on this machine."""
    kiosk: bool = False
    """Whether this machine has a display for the gate screen."""
    releases: str = ""
    """A folder that the gate searches every night for a new version. Empty: no nightly search."""
    release_key: str = ""
    """A file with the public key (OpenSSH) that verifies releases. Empty: the gate trusts no release key yet."""
    settings: Tables = {}


QUESTIONS = {
    "site": "The site, as the office calls it (small letters, digits, -)",
    "gate": "The name of this gate",
}
EXAMPLE = 'systemd/README.md has an example: "Ten steps from a blank card to a working gate"'
UNNAMED = "unnamed"
"""Placeholder for a missing site or gate name. It lets a dry run check everything else."""


def answered(file: Path | None, flags: dict[str, Any], ask: Callable[[str], str] | None) -> InstallerAnswers:
    """Return the answers from the file, overridden by the given flags. Ask for required answers that are missing.

    `ask` puts one question and returns the reply. None: nobody can be asked. Raises `ConfigError` with every problem.
    """
    answers, problems = examined(file, flags, ask)
    if problems:
        raise ConfigError(_source(file), problems)
    return answers


def examined(
    file: Path | None, flags: dict[str, Any], ask: Callable[[str], str] | None
) -> tuple[InstallerAnswers, list[str]]:
    """Return the valid answers and every problem in the rest. Raises `ConfigError` if the file is not valid TOML."""
    given: dict[str, Any] = read(file, EXAMPLE) if file is not None else {}
    tables = flags.pop("settings", {})
    given = {**given, **flags}
    if tables:
        given["settings"] = merged(given.get("settings", {}), tables)
    for name, question in QUESTIONS.items():
        if name not in given and ask is not None:
            given[name] = ask(question)
    problems = [f"{key}: {_unknown(key)}" for key in given if key not in InstallerAnswers.__struct_fields__]
    accepted: dict[str, Any] = {}
    for name, kind in get_type_hints(InstallerAnswers).items():
        if name in given:
            problems += _convert(accepted, name, given[name], kind)
        elif name in QUESTIONS:
            problems.append(f"{name}: is required; see `gated provision --help`")
    return InstallerAnswers(**{"site": UNNAMED, "gate": UNNAMED} | accepted), problems


def _source(file: Path | None) -> str:
    return str(file) if file is not None else "the answers"


def _convert(accepted: dict[str, Any], name: str, value: Any, kind: Any) -> list[str]:
    """Convert the value and store it in `accepted`. Return the problems, or an empty list."""
    try:
        accepted[name] = msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        if kind == Tables:
            return [f"{name}: write tables, such as [settings.door], with keys and values below each"]
        return [f"{name}: {wording.shown(value)} is not valid: {wording.problem(error, kind)}"]
    return []


def _unknown(key: str) -> str:
    """Explain an unknown key: it is misspelt, or it belongs to a table of the settings."""
    near = names.closest(key, InstallerAnswers.__struct_fields__)
    homes = {
        name: table.name
        for table in msgspec.structs.fields(Settings)
        if isinstance(table.type, type) and issubclass(table.type, msgspec.Struct)
        for name in table.type.__struct_fields__
    }
    if key in Settings.__struct_fields__:
        return f"is a table of the settings; write it as [settings.{key}]"
    place = names.closest(key, homes, 0.8)
    if place is not None and (near is None or place == key):
        return f"is not an answer; did you mean {place!r} below [settings.{homes[place]}]?"
    if near is not None:
        return f"unknown key; did you mean {near!r}?"
    return f"unknown key; known here: {', '.join(InstallerAnswers.__struct_fields__)}"


def assignments(words: Iterable[str]) -> Tables:
    """Parse words such as `door.contact_pin=22` into tables. A value that is not valid TOML is a string.

    Raises `ConfigError` with every problem.
    """
    tables, problems = assigned(words)
    if problems:
        raise ConfigError("--set", problems)
    return tables


def assigned(words: Iterable[str]) -> tuple[Tables, list[str]]:
    """Parse words as `assignments` does. Return the tables of the valid words, and the problems of the others."""
    tables: Tables = {}
    problems = []
    for assignment in words:
        name, equals, text = assignment.partition("=")
        table, dot, key = name.strip().rpartition(".")
        if equals and dot and table and key:
            tables.setdefault(table, {})[key] = _value(text.strip())
        else:
            problems.append(f"{assignment!r} is not a setting; write, for example, door.contact_pin=22")
    return tables, problems


def merged(first: Tables, second: Tables) -> Tables:
    """Merge two sets of tables, key by key. The second set overrides the first."""
    return {table: {**first.get(table, {}), **second.get(table, {})} for table in [*first, *second]}


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text

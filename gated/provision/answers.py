"""What an installer says of a gate: by flags, in a file of answers (TOML), or when asked; a flag beats the file."""

import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from gated.config.reading import read
from gated.errors import ConfigError

Tables = dict[str, dict[str, Any]]


class Answers(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Everything that is to be known. `settings`: tables and keys of the gate's settings, beside the two names."""

    site: str
    gate: str
    code: str = ""
    """From `gated office invite`; empty where the gate keeps to itself, or is paired already."""
    models: str = "site"
    """The model set."""
    models_from: str = ""
    """A folder that has the models' files; empty: they are fetched."""
    accept_licence: bool = False
    prompts_from: str = ""
    """A folder of prompts; empty: they are made here."""
    kiosk: bool = False
    """Whether this machine has a display that shows the gate screen."""
    releases: str = ""
    """A folder that is looked into for another version every night; empty: nobody looks."""
    settings: Tables = {}


QUESTIONS = {
    "site": "The site, as the office calls it (small letters, digits, -)",
    "gate": "The name of this gate",
}


def answered(file: Path | None, flags: dict[str, Any], ask: Callable[[str], str] | None) -> Answers:
    """What the file says, with the flags that were given over it; what nobody said is asked for.

    `ask` puts a question; None: there is nobody to ask. Raises `ConfigError`.
    """
    source = str(file) if file is not None else "the answers"
    said: dict[str, Any] = read(file) if file is not None else {}
    tables = flags.pop("settings", {})
    said = {**said, **flags}
    if tables:
        said["settings"] = merged(said.get("settings", {}), tables)
    for name, question in QUESTIONS.items():
        if name not in said and ask is not None:
            said[name] = ask(question)
    try:
        return msgspec.convert(said, Answers)
    except msgspec.ValidationError as error:
        raise ConfigError(source, [f"{error}; see `gated provision --help`"]) from error


def assignments(words: Iterable[str]) -> Tables:
    """`door.contact_pin=22` as tables. A value that is none of TOML's is text. Raises `ConfigError`."""
    tables: Tables = {}
    for word in words:
        name, equals, text = word.partition("=")
        table, dot, key = name.strip().rpartition(".")
        if not (equals and dot and table and key):
            raise ConfigError("--set", [f"{word!r} is no setting; write door.contact_pin=22"])
        tables.setdefault(table, {})[key] = _value(text.strip())
    return tables


def merged(first: Tables, second: Tables) -> Tables:
    """Both, key by key; where they differ the second counts."""
    return {table: {**first.get(table, {}), **second.get(table, {})} for table in [*first, *second]}


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text

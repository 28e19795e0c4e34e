"""Tests that names and help texts use the words of the glossary in `gated/README.md`.

The column "Not" lists forbidden words. A word with a condition ("`line`, for ...") is an ordinary
word elsewhere. It is forbidden only in the packages of `WITHIN`. `FIXED` lists the exceptions: fields of the wire, of a
database, of the journal or of a file, and lines of a text.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

import gated
from gated.cli import main

PACKAGE = Path(gated.__file__).parent
WITHIN = {
    "hours": ("people", "sync", "gallery", "access", "office"),
    "right": ("people", "sync", "gallery", "access", "office", "protocol", "cli"),
    "beat": ("protocol", "sync", "office"),
    "gone": ("protocol", "sync", "office", "people"),
    "line": ("office",),
    "order": ("protocol", "sync", "office", "commands.py"),
    "server": ("protocol", "sync"),
    "word": ("protocol", "sync", "office"),
}
"""Words with a condition, and where they are forbidden."""
FIXED = {
    "config/wiring.py": {"free_passage", "ways"},
    "cues/cue.py": {"FREE_PASSAGE"},
    "events/credential_events.py": {"way"},
    "office/forms/form_facts.py": {"other_ways"},
    "office/forms/paper.py": {"line", "lines"},
    "office/mosquitto.py": {"_crl_line", "lines"},
    "people/held_records.py": {"is_gone", "ways"},
    "protocol/wire_records.py": {"rights", "wishes"},
}
"""Names that stay although they have a forbidden word, by file."""


VAGUE = frozenset({
    "hear", "heard", "hears", "said", "say", "says", "settle", "settled", "settles", "take", "taken", "takes", "tell",
    "tells", "told", "took",
})  # fmt: skip
"""Verbs that do not name an action: a name uses the concrete verb. A noun such as a look at a face is allowed."""
VAGUE_FIXED = {
    "commands.py": {"says"},
    "protocol/command_messages.py": {"says"},
    "protocol/record_messages.py": {"heard"},
    "protocol/status_messages.py": {"heard"},
}
"""Names that stay although they have a vague verb, by file: fields of the wire and of a file."""

EMPTY = frozenset({
    "anybody", "how", "it", "its", "mine", "nobody", "one", "ones", "ours", "same", "somebody", "theirs", "them",
    "thing", "things", "what", "when", "where", "which", "who", "whom", "whose",
})  # fmt: skip
"""Names that do not tell what they hold: a name is the noun of its field. Parts of a longer name are allowed."""


def forbidden() -> dict[str, tuple[str, ...]]:
    """Return each forbidden word with the places where it is forbidden; an empty tuple is everywhere."""
    rows = re.findall(r"^\|([^|]*)\|[^|]*\|([^|]*)\|$", (PACKAGE / "README.md").read_text("utf-8"), re.MULTILINE)
    found: dict[str, tuple[str, ...]] = {}
    for _, cell in rows:
        for word in re.findall(r"`([^`]+)`", cell):
            for form in (word, f"{word}s") if not word.endswith("s") else (word,):
                if ", for " not in cell:
                    found[form.replace(" ", "_").lower()] = ()
                elif word in WITHIN:
                    found[form.lower()] = WITHIN[word]
    return found


def parts(name: str) -> list[str]:
    """Return the words of an identifier, in lower case."""
    return [p.lower() for w in name.split("_") for p in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", w)]


@cache
def names_of(module: Path) -> tuple[tuple[str, int], ...]:
    """Return every name that a module defines, with its line. Several tests read all modules."""
    return (module.stem, 1), *_names_in(ast.parse(module.read_text("utf-8")))


def _names_in(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno


def functions_of(module: Path) -> Iterator[tuple[str, int]]:
    """Yield the name of every function and method that a module defines, with its line."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno


def vague_names() -> Iterator[str]:
    """Yield each name with a vague verb, and each function whose name begins with `look`."""
    for module in sorted(PACKAGE.rglob("*.py")):
        place = module.relative_to(PACKAGE).as_posix()
        for name, line in names_of(module):
            if VAGUE & set(parts(name)) and name not in VAGUE_FIXED.get(place, ()):
                yield f"{place}:{line} {name}"
        for name, line in functions_of(module):
            if parts(name)[:1] == ["look"]:
                yield f"{place}:{line} {name}"


def empty_names() -> Iterator[str]:
    """Yield each name that is an empty word, and each `left` that is not the opposite of right or goes with a top."""
    for module in sorted(PACKAGE.rglob("*.py")):
        place, names = module.relative_to(PACKAGE).as_posix(), names_of(module)
        bound = {name.strip("_") for name, _ in names}
        refused = EMPTY if bound & {"right", "top"} else EMPTY | {"left"}
        yield from (f"{place}:{line} {name}" for name, line in names if name.strip("_") in refused)


def offences() -> Iterator[str]:
    """Yield each name with a forbidden word."""
    words = forbidden()
    for module in sorted(PACKAGE.rglob("*.py")):
        place = module.relative_to(PACKAGE).as_posix()
        here = {word for word, places in words.items() if not places or place.split("/")[0] in places}
        for name, line in names_of(module):
            inside = f"_{'_'.join(parts(name))}_"
            bad = sorted(word for word in here if f"_{word}_" in inside)
            if bad and name not in FIXED.get(place, ()):
                yield f"{place}:{line} {name}: {', '.join(bad)}"


def test_every_exception_is_still_used():
    for place, names in (*FIXED.items(), *VAGUE_FIXED.items()):
        assert names <= {name for name, _ in names_of(PACKAGE / place)}, place


def test_the_glossary_forbids_words():
    words = forbidden()
    assert {"way", "wishes", "passage"} <= words.keys()
    assert words.keys() >= WITHIN.keys()


def test_no_name_has_a_word_that_the_glossary_forbids():
    assert list(offences()) == []


def test_no_name_has_a_vague_verb():
    assert list(vague_names()) == []


def test_no_name_is_an_empty_word():
    assert list(empty_names()) == []


def helps(command: click.Command, path: str = "gated") -> Iterator[tuple[str, str]]:
    """Yield the help text of a command, its options and its subcommands."""
    yield path, command.get_short_help_str(300) + " " + (command.help or "")
    for option in command.params:
        if isinstance(option, click.Option):
            yield f"{path} {option.opts[0]}", option.help or ""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                yield from helps(below, f"{path} {name}")


@pytest.mark.parametrize("word", [word for word, places in forbidden().items() if not places])
def test_no_help_has_a_word_that_the_glossary_forbids(word):
    bad = [path for path, text in helps(main) if re.search(rf"\b{word.replace('_', ' ')}\b", text.lower())]
    assert bad == []

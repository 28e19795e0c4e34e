"""The settings that a gate would get, as far as they can be read: the rest can be looked at before they are right."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from gated.config import Settings, unsafe_wiring
from gated.config.reading import examined
from gated.provision.answers import UNNAMED

MOST_ROUNDS = 8
NAMES = ("site.id", "gate.id")
"""What no settings can be without."""
_MEANT = re.compile(r"did you mean '([^']+)'")


class Draft(NamedTuple):
    """`settings`: with every wrong key mended or left out, None where not even that reads. `problems`: all of them."""

    settings: Settings | None
    problems: list[str]


def drafted(data: dict[str, Any], folder: Path) -> Draft:
    """What the data would be, and everything that is wrong with it, also what a misspelt key hides.

    Paths are relative to `folder`. A key with a close neighbour is taken for that one, any other wrong one is left out.
    """
    problems: list[str] = []
    for _ in range(MOST_ROUNDS):
        settings, found = examined(data, folder)
        named = {_key(problem) for problem in problems}
        problems += [problem for problem in found if _key(problem) not in named]
        if settings is not None:
            return Draft(settings, problems + _unsafe(settings, problems))
        before, data = data, _mended(data, found)
        if data == before:
            break
    return Draft(None, problems)


def _unsafe(settings: Settings, problems: list[str]) -> list[str]:
    """A door that nobody can leave by; not said again where its exit button is wrong already."""
    if settings.door.pins == "mock":  # which traps nobody
        return []
    unsafe = unsafe_wiring(settings.door, settings.second_door)
    return [
        each for each in unsafe if not any(other.startswith(each.partition(".")[0] + ".rex_") for other in problems)
    ]


def _mended(data: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    for problem in problems:
        place, meant = _key(problem).split("."), _MEANT.search(problem)
        if _key(problem) in NAMES:
            data = {**data, place[0]: {"id": UNNAMED}}
        else:
            data = _without(data, place, meant[1] if meant else None)
    return data


def _key(problem: str) -> str:
    """The setting that a problem is about: what stands before the first colon."""
    return problem.partition(":")[0]


def _without(table: dict[str, Any], place: list[str], name: str | None) -> dict[str, Any]:
    """The table without what stands at that place; with `name`, it stands there under this name if nothing does."""
    key, *rest = place
    if key not in table:
        return table
    below = table[key]
    if rest and isinstance(below, dict):
        return {**table, key: _without(below, rest, name)}
    kept = {other: value for other, value in table.items() if other != key}
    return {name: below, **kept} if name is not None and not rest else kept

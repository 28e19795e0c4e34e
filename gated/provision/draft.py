"""The settings that a gate would get, as far as they can be parsed. A dry run uses the draft to check the other steps
although the settings have problems.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

from gated.config import Settings, unsafe_wiring
from gated.config.reading import examined
from gated.provision.installer_answers import UNNAMED

MOST_ROUNDS = 8
NAMES = ("site.id", "gate.id")
"""The required keys of the settings."""
_MEANT = re.compile(r"did you mean '([^']+)'")


class SettingsDraft(NamedTuple):
    """Parsed settings and their problems.

    `settings`: every wrong key is renamed or left out; None if the data still cannot be parsed. `problems`: all
    problems.
    """

    settings: Settings | None
    problems: list[str]


def drafted(data: dict[str, Any], folder: Path) -> SettingsDraft:
    """Parse the data. Return the settings and every problem, including problems behind a misspelt key.

    Relative paths start at `folder`. An unknown key with a close match is renamed to it. Any other wrong key is left
    out.
    """
    problems: list[str] = []
    for _ in range(MOST_ROUNDS):
        settings, found = examined(data, folder)
        named = {_key(problem) for problem in problems}
        problems += [problem for problem in found if _key(problem) not in named]
        if settings is not None:
            return SettingsDraft(settings, problems + _unsafe(settings, problems))
        before, data = data, _without_problems(data, found)
        if data == before:
            break
    return SettingsDraft(None, problems)


def _unsafe(settings: Settings, problems: list[str]) -> list[str]:
    """Report doors without an exit button. Skip a door whose exit button settings already have a problem."""
    if settings.door.pins == "mock":  # mock pins lock no real door
        return []
    unsafe = unsafe_wiring(settings.door, settings.second_door)
    return [
        each for each in unsafe if not any(other.startswith(each.partition(".")[0] + ".rex_") for other in problems)
    ]


def _without_problems(data: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    for problem in problems:
        place, meant = _key(problem).split("."), _MEANT.search(problem)
        if _key(problem) in NAMES:
            data = {**data, place[0]: {"id": UNNAMED}}
        else:
            data = _without(data, place, meant[1] if meant else None)
    return data


def _key(problem: str) -> str:
    """Return the setting that a problem names: the text before the first colon."""
    return problem.partition(":")[0]


def _without(table: dict[str, Any], place: list[str], name: str | None) -> dict[str, Any]:
    """Return the table without the value at `place`.

    With `name`, store the value under this name if the name is free.
    """
    key, *rest = place
    if key not in table:
        return table
    below = table[key]
    if rest and isinstance(below, dict):
        return {**table, key: _without(below, rest, name)}
    kept = {other: value for other, value in table.items() if other != key}
    return {name: below, **kept} if name is not None and not rest else kept

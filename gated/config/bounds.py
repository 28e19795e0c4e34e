"""Which of the office's settings would protect less than the installer's. Pure but for the manifest of models.

Each is compared with the installer's own value, never with what the office has set before: so nothing is won by going
one way and back again, by taking a key away, or by an older proposal that returns.
"""

from typing import Any

from msgspec.structs import replace

from gated.config.measured import GRADES, Measured, measured
from gated.config.safe import Safe, loosens, words_of
from gated.config.tables import Settings
from gated.config.wiring import Wires

BY_MANIFEST = (("access", "threshold"), ("access", "pad_threshold"))
"""Where the installer is silent, the manifest speaks for the set of models."""


def loosened(own: Settings, new: Settings) -> dict[tuple[str, ...], str]:
    """Every key that protects less than the installer's, with a sentence that names the bound."""
    found = {}
    for key, word in words_of(Settings).items():
        before, after = _at(own, key), _at(new, key)
        if before != after and (why := _why(own, new, key, word)):
            found[key] = f"{'.'.join(key)}: {why}"
    return found


def strictest(own: Settings, new: Settings) -> Settings:
    """The same settings; with a set of the office's its manifest's thresholds count where they are higher: what the
    installer measured was another set.
    """
    found = measured(new.models, new.models.set) if new.models.set != own.models.set else None
    if found is None:
        return new
    access = new.access
    return replace(
        new,
        access=replace(
            access,
            threshold=None if access.threshold is None else max(access.threshold, found.threshold),
            pad_threshold=None if access.pad_threshold is None else max(access.pad_threshold, found.pad_threshold),
        ),
    )


def _why(own: Settings, new: Settings, key: tuple[str, ...], word: Safe) -> str:
    """Why a value that is not the installer's may not be the office's; empty where it may."""
    before, after = _at(own, key), _at(new, key)
    if word is Safe.HOURS:
        names = sorted({wires.free_passage for wires in _by_schedule(own)})
        changed = [name for name in names if own.schedules.get(name) != new.schedules.get(name)]
        return f"{', '.join(changed)}: `free_passage` names it, so it is the installer's" if changed else ""
    if word is Safe.DAYS:
        return f"the office {word.value}" if _by_schedule(own) and set(before) != set(after) else ""
    if word is Safe.GRADE:
        return _below(measured(own.models, before), measured(new.models, after))
    if key in BY_MANIFEST and before is None:
        before = _of_manifest(own, key[1])
    return f"the office {word.value}; here it is {_shown(before)}, not {after}" if loosens(word, before, after) else ""


def _below(own: Measured | None, new: Measured | None) -> str:
    """Why a set of models may not take the place of the installer's. One that nothing is known of opens nothing."""
    if own is None or new is None or new.grade not in GRADES or own.grade not in GRADES:
        return ""
    is_lower = GRADES.index(new.grade) < GRADES.index(own.grade)
    return f"the office {Safe.GRADE.value}; here it is {own.grade}, not {new.grade}" if is_lower else ""


def _of_manifest(own: Settings, key: str) -> float | None:
    found = measured(own.models, own.models.set)
    return None if found is None else float(getattr(found, key))


def _by_schedule(own: Settings) -> list[Wires]:
    """The doors that stand open by schedule."""
    return [wires for wires in own.doors.values() if wires.free_passage]


def _at(settings: Settings, key: tuple[str, ...]) -> Any:
    """The value of a key; None in a table that is left out."""
    value: Any = settings
    for name in key:
        value = getattr(value, name, None)
    return value


def _shown(value: Any) -> str:
    return "nothing that can be compared" if value is None else str(value)

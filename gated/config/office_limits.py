"""Find the office's settings that protect less than the installer's. Reads only the manifest of models from disk.

Each value is compared with the installer's own value, never with an earlier value from the office. So the office cannot
loosen a setting in several steps, by deleting a key, or by sending an older proposal again.
"""

from typing import Any

from msgspec.structs import replace

from gated.config.model_limits import GRADES, Measured, measured
from gated.config.safe import Safe, loosens, permissions_of
from gated.config.tables import Settings
from gated.config.wiring import Wires

BY_MANIFEST = (("access", "threshold"), ("access", "pad_threshold"))
"""Keys with a default from the manifest of the model set, if the installer sets no value."""


def loosened(own: Settings, new: Settings) -> dict[tuple[str, ...], str]:
    """Return each key with less protection than the installer's value, with a sentence that names the bound."""
    found = {}
    for key, permission in permissions_of(Settings).items():
        before, after = _at(own, key), _at(new, key)
        if before != after and (why := _why(own, new, key, permission)):
            found[key] = f"{'.'.join(key)}: {why}"
    return found


def strictest(own: Settings, new: Settings) -> Settings:
    """Return the settings with the higher thresholds, if the office chose another model set.

    The manifest's threshold replaces a lower one, because the installer measured the thresholds with another set.
    """
    found = measured(new.models, new.models.set) if new.models.set != own.models.set else None
    if found is None:
        return new
    access = new.access
    return replace(
        new,
        access=replace(
            access,
            threshold=_strictest_threshold(access.threshold, found),
            pad_threshold=None if access.pad_threshold is None else max(access.pad_threshold, found.pad_threshold),
        ),
    )


def _strictest_threshold(own: float | None, found: Measured) -> float | None:
    """Return the threshold for another set. None: the gate calibrates it on its gallery."""
    if own is None or (found.ceiling is not None and own < found.ceiling):
        return None
    return max(own, found.threshold)


def _why(own: Settings, new: Settings, key: tuple[str, ...], permission: Safe) -> str:
    """Return why the office may not set this value. Return an empty string if it may."""
    before, after = _at(own, key), _at(new, key)
    if permission is Safe.HOURS:
        names = sorted({wires.free_passage for wires in _by_schedule(own)})
        changed = [name for name in names if own.schedules.get(name) != new.schedules.get(name)]
        why = f"{', '.join(changed)}: only the installer may change a schedule that `free_passage` names"
        return why if changed else ""
    if permission is Safe.DAYS:
        return f"the office {permission.value}" if _by_schedule(own) and set(before) != set(after) else ""
    if permission is Safe.GRADE:
        return _below(measured(own.models, before), measured(new.models, after))
    if key in BY_MANIFEST and before is None:
        before = _of_manifest(own, key[1])
    return (
        f"the office {permission.value}; here it is {_shown(before)}, not {after}"
        if loosens(permission, before, after)
        else ""
    )


def _below(own: Measured | None, new: Measured | None) -> str:
    """Return why the office may not choose this model set. A set that is not in the manifest is allowed: it opens
    nothing.

    A set of the same grade needs all PAD models of the installer's set. With fewer models, PAD accepts more prints.
    """
    if own is None or new is None or new.grade not in GRADES or own.grade not in GRADES:
        return ""
    is_lower = GRADES.index(new.grade) < GRADES.index(own.grade)
    if is_lower:
        return f"the office {Safe.GRADE.value}; here it is {own.grade}, not {new.grade}"
    missing = ", ".join(sorted(own.pad - new.pad)) if new.grade == own.grade else ""
    return f"the office may not leave out the PAD models {missing}; only the installer may" if missing else ""


def _of_manifest(own: Settings, key: str) -> float | None:
    """Return the manifest's threshold. The office may set a fixed one only if no calibration could be higher."""
    found = measured(own.models, own.models.set)
    if found is not None and key == "threshold" and found.ceiling is not None:
        return found.ceiling
    return None if found is None else float(getattr(found, key))


def _by_schedule(own: Settings) -> list[Wires]:
    """Return the doors that have an unlock schedule."""
    return [wires for wires in own.doors.values() if wires.free_passage]


def _at(settings: Settings, key: tuple[str, ...]) -> Any:
    """Return the value of a key. Return None if its table is left out."""
    value: Any = settings
    for name in key:
        value = getattr(value, name, None)
    return value


def _shown(value: Any) -> str:
    return "no comparable value" if value is None else str(value)

"""Lockdown: the gate grants nobody access until the lockdown ends. A small file in the state folder keeps it over
restarts.

A lockdown does not affect exit and fire. An unreadable file counts as a lockdown, so that damaging it gains nothing.
"""

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gated.atomic_files import atomic_write, sync_folder
from gated.errors import StateError
from gated.wording import UNDECODABLE

LOCKDOWN_BYTES = 4096


class LockdownRecord(msgspec.Struct, frozen=True):
    """The start of a lockdown by `by` at `at` (UTC), or its end with `is_over`."""

    by: str
    at: datetime
    is_over: bool = False
    at_gate: bool = False
    """Whether a person at the gate began the lockdown.

    This lockdown must end at the gate; the office cannot end it.
    """


UNREADABLE_LOCKDOWN = LockdownRecord("a file that cannot be read", datetime.fromtimestamp(0, UTC))


def read_lockdown(state: Path) -> LockdownRecord | None:
    """Return the lockdown in force, or None."""
    record = read_last_record(state)
    return None if record is None or record.is_over else record


def read_last_record(state: Path) -> LockdownRecord | None:
    """Return the last `LockdownRecord`, which may be the end of a lockdown. Return None if there never was one."""
    try:
        with _path(state).open("rb") as file:
            return msgspec.json.decode(file.read(LOCKDOWN_BYTES), type=LockdownRecord)
    except FileNotFoundError:
        return None
    except (OSError, *UNDECODABLE):
        return UNREADABLE_LOCKDOWN


def begin_lockdown(state: Path, by: str, at: datetime, *, at_gate: bool = False) -> None:
    """Begin a lockdown. It is on disk when this returns. Raises `StateError` if the state folder is not writable."""
    try:
        _write(state, LockdownRecord(by, at, at_gate=at_gate))
    except OSError as error:
        raise StateError(f"{_path(state)}: cannot be written ({error.strerror}); no lockdown has begun") from error


def end_lockdown(state: Path, by: str = "") -> None:
    """End the lockdown and record who ended it. If the disk is full, only remove the file, so that no person stays
    locked out.

    Raises `StateError` if the file cannot be removed either.
    """
    if read_lockdown(state) is None:
        return
    try:
        _write(state, LockdownRecord(by, datetime.now(UTC), is_over=True))
    except OSError:
        _remove(state)


def _write(state: Path, record: LockdownRecord) -> None:
    atomic_write(_path(state), msgspec.json.encode(record), 0o644)


def _remove(state: Path) -> None:
    try:
        _path(state).unlink(missing_ok=True)
        sync_folder(state)
    except OSError as error:
        raise StateError(f"{_path(state)}: cannot be removed ({error.strerror}); the lockdown stays on") from error


def _path(state: Path) -> Path:
    return state / "lockdown.json"

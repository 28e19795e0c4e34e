"""Lockdown: nobody is let in until it is ended. A small file in the state folder, so that it outlives every restart.

Leaving and fire know nothing of it. A file that cannot be read counts as lockdown: whoever damaged it gains nothing.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gated.errors import StateError

MOST_BYTES = 4096


class LockdownOrder(msgspec.Struct, frozen=True):
    """Who ordered it, and when (UTC)."""

    by: str
    at: datetime


UNREADABLE = LockdownOrder("a file that cannot be read", datetime.fromtimestamp(0, UTC))


def read_lockdown(state: Path) -> LockdownOrder | None:
    """The order in force, or None."""
    try:
        with _path(state).open("rb") as file:
            return msgspec.json.decode(file.read(MOST_BYTES), type=LockdownOrder)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError, UnicodeError):
        return UNREADABLE


def begin_lockdown(state: Path, by: str, at: datetime) -> None:
    """Order it; on disk when this returns. Raises `StateError` where the state folder cannot be written."""
    path = _path(state)
    fresh = path.with_suffix(".new")
    try:
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode(LockdownOrder(by, at)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        _sync_folder(state)
    except OSError as error:
        raise StateError(f"{path}: cannot be written ({error.strerror}); no lockdown has begun") from error


def end_lockdown(state: Path) -> None:
    """End it. Raises `StateError` where the state folder cannot be written."""
    try:
        _path(state).unlink(missing_ok=True)
        _sync_folder(state)
    except OSError as error:
        raise StateError(f"{_path(state)}: cannot be removed ({error.strerror}); the lockdown goes on") from error


def _path(state: Path) -> Path:
    return state / "lockdown.json"


def _sync_folder(state: Path) -> None:
    """Make a change of names last through a power cut."""
    folder = os.open(state, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

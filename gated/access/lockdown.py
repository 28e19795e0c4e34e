"""Lockdown: nobody is let in until it is ended. A small file in the state folder, so that it outlives every restart.

Leaving and fire know nothing of it. A file that cannot be read counts as lockdown: whoever damaged it gains nothing.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gated.errors import StateError
from gated.wording import UNDECODABLE

MOST_BYTES = 4096


class LockdownOrder(msgspec.Struct, frozen=True):
    """Who ordered it, and when (UTC); or who ended it (`is_over`)."""

    by: str
    at: datetime
    is_over: bool = False
    at_gate: bool = False
    """Ordered by somebody at the gate: then it is ended there, and no office ends it."""


UNREADABLE = LockdownOrder("a file that cannot be read", datetime.fromtimestamp(0, UTC))


def read_lockdown(state: Path) -> LockdownOrder | None:
    """The order in force, or None."""
    order = last_order(state)
    return None if order is None or order.is_over else order


def last_order(state: Path) -> LockdownOrder | None:
    """The order in force, or the word that it is over; None where there never was one."""
    try:
        with _path(state).open("rb") as file:
            return msgspec.json.decode(file.read(MOST_BYTES), type=LockdownOrder)
    except FileNotFoundError:
        return None
    except (OSError, *UNDECODABLE):
        return UNREADABLE


def begin_lockdown(state: Path, by: str, at: datetime, *, at_gate: bool = False) -> None:
    """Order it; on disk when this returns. Raises `StateError` where the state folder cannot be written."""
    try:
        _write(state, LockdownOrder(by, at, at_gate=at_gate))
    except OSError as error:
        raise StateError(f"{_path(state)}: cannot be written ({error.strerror}); no lockdown has begun") from error


def end_lockdown(state: Path, by: str = "") -> None:
    """End it, and leave word of who did; without that word where the disk is full, which must keep nobody out.

    Raises `StateError` where the state folder cannot be written at all.
    """
    if read_lockdown(state) is None:
        return
    try:
        _write(state, LockdownOrder(by, datetime.now(UTC), is_over=True))
    except OSError:
        _remove(state)


def _write(state: Path, order: LockdownOrder) -> None:
    path = _path(state)
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(order))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync_folder(state)


def _remove(state: Path) -> None:
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

"""A journal in a temporary folder, and a second connection that changes its file."""

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gated.events import DoorClosed, DoorReleased, Event, WorkerLost
from gated.journal.journal import Journal

START = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal.open(tmp_path, "market-south", "gate-2")
    yield journal
    journal.close()


@pytest.fixture
def fill() -> Callable[[Journal, int], None]:
    """Return a function that appends `count` events of several kinds, one per minute."""

    def event(number: int) -> Event:
        return [
            DoorReleased(cause="grant", lease_s=8.0, visit=f"v{number}"),
            WorkerLost(worker="vision", why=f"signal {number}"),
            DoorClosed(),
        ][number % 3]

    def fill(journal: Journal, count: int) -> None:
        journal.extend([(event(n), START + timedelta(minutes=n)) for n in range(count)])

    return fill


@pytest.fixture
def tamper(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Return a function that runs SQL on the file without the journal, and returns the number of changed rows."""
    connection = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    connection.executescript("PRAGMA synchronous = OFF")
    yield lambda sql, *values: connection.execute(sql, values).rowcount
    connection.close()

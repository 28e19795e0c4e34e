"""A journal in a folder of its own, and a second hand that changes what lies on the disk."""

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
    """Append a day's mixture of facts, one a minute."""

    def fact(number: int) -> Event:
        return [
            DoorReleased(cause="grant", lease_s=8.0, visit=f"v{number}"),
            WorkerLost(worker="vision", why=f"signal {number}"),
            DoorClosed(),
        ][number % 3]

    def fill(journal: Journal, count: int) -> None:
        journal.extend([(fact(n), START + timedelta(minutes=n)) for n in range(count)])

    return fill


@pytest.fixture
def tamper(tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Run SQL on the file behind the journal's back; gives the number of rows that it touched."""
    connection = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    connection.executescript("PRAGMA synchronous = OFF")
    yield lambda sql, *values: connection.execute(sql, values).rowcount
    connection.close()

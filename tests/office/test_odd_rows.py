"""One damaged value in one row of the office's database. The office keeps all other rows in use and reports the
damage.
"""

import shutil
import sys
from pathlib import Path

import pytest

from gated.office.exchange import Exchange
from gated.office.store import Store
from gated.protocol.command_messages import ReleaseDoor

sys.path.append(str(Path(__file__).parents[1]))
from odd_rows import BAD_TEXT, columns, spoil

VALUES = (5, BAD_TEXT, "nonsense", "2027-01-15T12:00:00")
TABLES = ("gates", "alarms", "orders", "held")


@pytest.fixture
def kept(court, gate, other, tmp_path):
    """Create a closed office with two gates, an order for each gate, and alarms from both."""
    for name in ("gate-1", "gate-2"):
        court.order(ReleaseDoor(), gate=name)
        for kind in ("duress", "call_pressed"):
            court.store.alarms.open(name, kind, "row 1", "2026-11-23T07:00:00+00:00")
    court.store.close()
    return tmp_path / "office"


@pytest.mark.parametrize("table", TABLES)
def test_the_office_goes_on_with_every_other_row(kept, court, table, tmp_path):
    for number, (where, column) in enumerate(columns(kept / "office.db")):
        for value in VALUES if where == table else ():
            folder = tmp_path / f"{number}-{VALUES.index(value)}"
            shutil.copytree(kept, folder)
            if spoil(folder / "office.db", table, column, value):
                _lives(folder, court, f"{table}.{column} became {value!r}")
            shutil.rmtree(folder)


def _lives(folder, court, said):
    store = Store.open(folder)
    try:
        assert len(store.gates()) >= 1, said
        assert len(store.alarms.all()) >= 3, said
        assert len(store.commands._where("1")) >= 1, said
        store.held.all()
        assert list(Exchange(store).due(court.now + 60, court.wall)) is not None
    finally:
        store.close()


def test_what_is_left_out_is_told(kept):
    assert spoil(kept / "office.db", "gates", "seen_at", b"\xff")
    store = Store.open(kept)
    assert "1 of gates" in store.left_out()
    assert "backup" in store.left_out()
    assert [gate.gate for gate in store.gates()] == ["gate-2"]
    store.close()

"""A damaged row in passes.db allows no extra use of a pass, and refuses no other visitor."""

import os
import shutil
import sys
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gated.access.pass_ledger import MIGRATIONS, REMEMBERED_FOR, PassLedger
from gated.access.passes import VisitorPass
from gated.errors import StateError
from gated.storage import database, migrations

sys.path.append(str(Path(__file__).parents[1]))
from odd_rows import columns, dice, spoil, values_for

NOW = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
BEFORE = NOW - 2 * REMEMBERED_FOR
"""The time of a clock that was set back. The pass already forgotten is valid at this time."""
CASES = int(os.environ.get("GATED_TEST_ODD_ROWS", "8"))
OLD, ONCE, TWICE, FRESH = range(4)


def visitor(number, uses=1):
    ends = (BEFORE if number == OLD else NOW) + timedelta(hours=1)
    return VisitorPass(bytes([65 + number]) * 16, "yard", "front", "main", 0, int(ends.timestamp()), uses)


@pytest.fixture
def used(tmp_path):
    """Create a ledger that forgot one pass and holds two: one is used up, the other has one use left."""
    with closing(PassLedger(tmp_path / "used")) as ledger:
        assert ledger.spend(visitor(OLD), BEFORE)
        assert ledger.spend(visitor(ONCE), NOW)
        assert ledger.spend(visitor(TWICE, 2), NOW)
    return tmp_path / "used"


def spends(ledger, number, uses=1, at=NOW):
    with suppress(StateError):
        return ledger.spend(visitor(number, uses), at)
    return False


PLACES = [("spent", "pass"), ("spent", "uses"), ("spent", "not_after"), ("spent", "copy")]
PLACES += [("horizon", "one"), ("horizon", "at"), ("horizon", "copy")]


def test_these_tests_damage_every_column(used):
    assert sorted(columns(used / "passes.db")) == sorted(PLACES)


@pytest.mark.parametrize(("table", "column"), PLACES)
@pytest.mark.parametrize("is_running", [False, True])
def test_no_damaged_value_lets_a_used_pass_open_again(used, tmp_path, table, column, is_running):
    state, path = tmp_path / "state", tmp_path / "state/passes.db"
    chosen = dice(f"passes {table} {column} {is_running}")
    for row in range(2 if table == "spent" else 1):
        every = values_for(used / "passes.db", table, column, row)
        for value in chosen.sample(every, min(CASES, len(every))):
            shutil.copytree(used, state)
            running = PassLedger(state) if is_running else None
            if spoil(path, table, column, value, row):
                said = f"{table}.{column}[{row}] became {value!r}"
                with closing(running or PassLedger(state)) as ledger:
                    assert not spends(ledger, ONCE), said
                    assert not spends(ledger, OLD, at=BEFORE), said
                    assert [spends(ledger, TWICE, 2) for _ in range(3)].count(True) <= 1, said
                    is_spent = spends(ledger, FRESH)
                    assert is_spent or (is_running and table == "horizon"), said
                with closing(PassLedger(state)) as ledger:
                    assert not spends(ledger, ONCE), f"{said}, started again"
                    assert spends(ledger, FRESH) != is_spent, f"{said}, started again"
                    assert not spends(ledger, OLD, at=BEFORE), f"{said}, started again"
            elif running is not None:
                running.close()
            shutil.rmtree(state)


def test_a_damaged_use_is_counted_and_reported(used, caplog):
    assert spoil(used / "passes.db", "spent", "uses", -1)
    PassLedger(used).close()
    assert "damaged rows are left out (1 of spent)" in caplog.text


def test_a_use_without_a_readable_pass_invalidates_all_passes_that_ended_by_then(used):
    for column in ("copy", "pass"):
        assert spoil(used / "passes.db", "spent", column, b"x", 0)
    with closing(PassLedger(used)) as ledger:
        assert not spends(ledger, ONCE)
        assert not spends(ledger, FRESH), "it ends no later"
        later = visitor(FRESH)
        later = VisitorPass(b"L" * 16, "yard", "front", "main", 0, later.not_after + 60)
        assert ledger.spend(later, NOW)
    with closing(PassLedger(used)) as ledger:
        assert not spends(ledger, ONCE), "started again"


def test_a_ledger_of_an_older_version_keeps_every_use_and_can_be_migrated_back(tmp_path):
    path = tmp_path / "passes.db"
    with closing(database.connect(path, MIGRATIONS[:1])) as old:
        row = (visitor(ONCE).id, visitor(ONCE).not_after)
        old.execute("INSERT INTO spent VALUES (?, 1, ?)", row)
        old.execute("UPDATE horizon SET at = 77")
    with closing(PassLedger(tmp_path)) as ledger:
        assert not spends(ledger, ONCE)
        assert spends(ledger, FRESH)
    assert migrations.go_back(path, 1) == 1
    with closing(database.connect(path, MIGRATIONS[:1])) as old:
        assert [tuple(each) for each in old.execute("SELECT pass, uses FROM spent ORDER BY pass")] == [
            (visitor(ONCE).id, 1),
            (visitor(FRESH).id, 1),
        ]

"""A damaged row in snapshot.db blocks no record of the office; the gate requests unusable parts again."""

import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2]))
from odd_rows import columns, dice, spoil, values_for

CASES = int(os.environ.get("GATED_TEST_ODD_ROWS", "4"))
PLACES = [("snapshot", column) for column in ("version", "digest", "parts", "copy")]
PLACES += [("parts", "part"), ("parts", "sealed")]


def stage(followed, office, kit):
    """Cut the power after half of a snapshot has arrived; return the path of snapshot.db."""
    office.put(*(kit.person(number) for number in range(1, 9)))
    followed.hear_word(office.word())
    followed.hear(*office.snapshot()[:2])
    followed.replica.close()
    return followed.state / "snapshot.db"


def test_these_tests_damage_every_column(followed, office, kit):
    assert sorted(columns(stage(followed, office, kit))) == sorted(PLACES)


@pytest.mark.parametrize(("table", "column"), PLACES)
def test_with_any_damaged_value_the_gate_gets_the_offices_records(follow, kit, table, column):
    chosen = dice(f"snapshot {table} {column}")
    for case in range(CASES):
        followed, office = follow(), kit.Office()
        path = stage(followed, office, kit)
        value = chosen.choice(values_for(path, table, column))
        spoil(path, table, column, value)
        followed.restart()
        followed.converge(office)
        assert len(followed.people()) == 8, f"{case}: {table}.{column} became {value!r}"

"""A damaged row in commands.db makes no command act twice, and blocks no later command."""

import os
import shutil
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gated.protocol.command_messages import Command, ConfirmationRequest, Offer, ReleaseDoor, Suspend
from gated.storage import database, migrations
from gated.sync.command_desk import STOPPED, CommandDesk, CommandOutcome
from gated.sync.command_log import MIGRATIONS

sys.path.append(str(Path(__file__).parents[1]))
from odd_rows import columns, dice, spoil, values_for

NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
SITE, GATE = "courtyard-2", "front"
CASES = int(os.environ.get("GATED_TEST_ODD_ROWS", "4"))
FIRST, LAST = 1000, 1003
COLUMNS = ("number", "id", "reply", "copy")
ROWS = (0, LAST - FIRST)
NAME = "commands.db"


def order(number, action=Suspend("a" * 16, 7), *, challenge="", is_live=False):  # noqa: B008 - frozen
    return Command(
        site=SITE, gate=GATE, id=f"{number:032x}", number=number, at=NOON.isoformat(), challenge=challenge,
        operator="li", reason="asked at the counter", action=action, is_live=is_live,
    )  # fmt: skip


def opened(state):
    return closing(CommandDesk(state, SITE, GATE))


def live(desk, number):
    """Place a command for which an operator waits; return the gate's result."""
    asked = desk.answer_offer(Offer(site=SITE, gate=GATE, command=f"{number:032x}"), 1.0)
    if not isinstance(asked, ConfirmationRequest):
        return asked
    return desk.judge(order(number, ReleaseDoor(), challenge=asked.nonce, is_live=True), 1.0, NOON)


@pytest.fixture
def used(tmp_path):
    """A ledger of four commands: the first three were carried out, and the last was interrupted."""
    state = tmp_path / "used"
    with opened(state) as desk:
        desk._ledger.execute("INSERT INTO commands (number, id) VALUES (999, 'older')")
        for number in range(FIRST, LAST + 1):
            assert isinstance(live(desk, number), Command)
            if number != LAST:
                desk.store_outcome(order(number), CommandOutcome("done"))
        desk._ledger.execute("DELETE FROM commands WHERE id = 'older'")
        desk._ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return state


def test_these_tests_damage_every_column(used):
    assert columns(used / NAME) == [("commands", column) for column in COLUMNS]


def check(desk, said):
    """Return the number of the next command that the gate accepts.

    A damaged row may state the next number. That number then counts as used, and the office counts on.
    """
    again = [live(desk, number) for number in range(FIRST, LAST + 1)]
    again += [desk.judge(order(number), 2.0, NOON) for number in range(FIRST, LAST + 1)]
    assert not any(isinstance(each, Command) for each in again), said
    for number in (LAST + 1, LAST + 2):
        if isinstance(live(desk, number), Command):
            return number
    raise AssertionError(f"{said}: the next order is refused")


@pytest.mark.parametrize("is_running", [False, True])
@pytest.mark.parametrize("column", COLUMNS)
def test_with_any_damaged_value_no_command_acts_twice(used, tmp_path, column, is_running):
    state, chosen = tmp_path / "state", dice(f"commands {column} {is_running}")
    for row in ROWS:
        every = values_for(used / NAME, "commands", column, row)
        for value in chosen.sample(every, min(CASES, len(every))):
            shutil.copytree(used, state)
            running = CommandDesk(state, SITE, GATE) if is_running else None
            if spoil(state / NAME, "commands", column, value, row):
                said = f"commands.{column}[{row}] became {value!r}"
                with closing(running) if running is not None else opened(state) as desk:
                    number = check(desk, said)
                with opened(state) as desk:
                    desk.interrupted()
                    assert not isinstance(live(desk, number), Command), f"{said}, started again"
                    assert isinstance(live(desk, number + 1), Command), f"{said}, started again"
            elif running is not None:
                running.close()
            shutil.rmtree(state)


@pytest.mark.parametrize("value", [None, b"x", "f" * 32, ""])
def test_a_command_interrupted_by_a_restart_is_answered_though_its_row_is_damaged(used, value):
    assert spoil(used / NAME, "commands", "id", value, LAST - FIRST)
    with opened(used) as desk:
        answers = desk.interrupted()
        assert (f"{LAST:032x}", STOPPED) in {(each.command, each.why) for each in answers}
        assert desk.interrupted() == [], "once"


def test_the_answer_of_another_command_is_not_returned(used):
    [other] = [value for value in values_for(used / NAME, "commands", "reply", 0) if isinstance(value, bytes)
               and f"{FIRST + 1:032x}".encode() in value]  # fmt: skip
    assert spoil(used / NAME, "commands", "reply", other, 0)
    with opened(used) as desk:
        assert live(desk, FIRST) is None


def test_damaged_rows_are_counted_and_reported(used, caplog):
    assert spoil(used / NAME, "commands", "number", 5, 0)
    opened(used).__exit__(None, None, None)
    assert "damaged rows are left out (1 of commands)" in caplog.text


def test_a_ledger_from_before_keeps_every_command_and_can_go_back(tmp_path):
    path = tmp_path / NAME
    with closing(database.connect(path, MIGRATIONS[:1])) as old:
        old.execute("INSERT INTO commands VALUES (?, ?, NULL)", (FIRST, f"{FIRST:032x}"))
    with opened(tmp_path) as desk:
        assert desk.judge(order(FIRST), 1.0, NOON) is None
        assert isinstance(desk.judge(order(FIRST + 1), 1.0, NOON), Command)
    assert migrations.go_back(path, 1) == 1
    with closing(database.connect(path, MIGRATIONS[:1])) as old:
        assert [row["number"] for row in old.execute("SELECT number FROM commands")] == [FIRST, FIRST + 1]

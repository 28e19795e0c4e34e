"""A power cut on a desk: both halves, with what a cut leaves; and what a bad card, or none that was cut, looks like."""

import asyncio
import shutil
import sqlite3
from contextlib import closing

import pytest
from contracts.power import Marks, PowerContract


@pytest.fixture(scope="module")
def before(desk, tmp_path_factory):
    """A bench whose power was cut; what it left is copied for each test."""
    bench = desk.DeskBench(tmp_path_factory.mktemp("before"))
    asyncio.run(PowerContract().test_before_the_cut_rows_are_acknowledged_until_the_power_goes(bench))
    bench.close()
    return bench


@pytest.fixture
def cut(before, bench):
    """A bench with what that one left, after the machine was started anew."""
    shutil.copytree(before.folder / "cut", bench.folder / "cut")
    bench.boots, bench.person.last_seen = before.boots + 1, 5
    return bench


async def after(bench):
    await PowerContract().test_after_the_cut_nothing_acknowledged_is_lost_and_the_lock_was_secure(bench)


async def test_what_was_acknowledged_is_there_and_the_lock_was_released_while_it_was_cut(before, cut):
    assert before.person.shown == [f"row {number} is acknowledged" for number in range(1, 6)]
    assert before.edges(0.0)[1].is_on
    await after(cut)
    assert cut.notes["power cut"] == "5 rows there, 5 marks, 0 lost"


async def test_a_row_that_was_acknowledged_in_the_last_moment_may_have_no_mark(cut):
    marks = cut.folder / "cut" / Marks.NAME
    marks.write_bytes(marks.read_bytes()[:-20])
    await after(cut)
    assert cut.notes["power cut"] == "5 rows there, 4 marks, 0 lost"


async def test_a_lost_row_is_named(cut):
    with closing(sqlite3.connect(cut.folder / "cut" / "journal.db")) as journal, journal:
        (last,) = journal.execute("SELECT hash FROM event WHERE seq = 3").fetchone()
        journal.execute("DELETE FROM event WHERE seq > 3")
        journal.execute("UPDATE head SET seq = 3, hash = ?", (last,))
    with pytest.raises(AssertionError, match="acknowledged rows are lost, from 4 on"):
        await after(cut)


async def test_a_damaged_journal_is_told(cut):
    with closing(sqlite3.connect(cut.folder / "cut" / "journal.db")) as journal, journal:
        journal.execute("UPDATE event SET body = '{}' WHERE seq = 2")
    with pytest.raises(AssertionError, match="damaged"):
        await after(cut)


async def test_a_card_that_lies_is_known_by_what_was_on_the_screen(cut):
    cut.person.last_seen = 7
    with pytest.raises(AssertionError, match="says that it wrote, and did not"):
        await after(cut)


async def test_a_relay_that_clicked_is_no_pass(cut):
    cut.person.hears = False
    with pytest.raises(AssertionError, match="before Linux is"):
        await after(cut)


async def test_a_machine_that_was_never_off_is_no_pass(before, cut):
    cut.boots = before.boots
    with pytest.raises(AssertionError, match="was not cut"):
        await after(cut)


async def test_without_a_half_before_that_is_said(cut):
    shutil.rmtree(cut.folder / "cut")
    with pytest.raises(AssertionError, match="--phase before"):
        await after(cut)


async def test_a_second_cut_begins_anew(cut):
    cut.cuts_after = 2
    await PowerContract().test_before_the_cut_rows_are_acknowledged_until_the_power_goes(cut)
    assert [mark.seq for mark in Marks.read(cut.folder / "cut")] == [1, 2]

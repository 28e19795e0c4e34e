"""A power cut on a desk: both halves, and the traces of a bad card or of no cut at all."""

import asyncio
import shutil
import sqlite3
from contextlib import closing

import pytest
from contracts.power import Marks, PowerContract


@pytest.fixture(scope="module")
def before(desk, tmp_path_factory):
    """A bench whose power was cut. Its files are copied for each test."""
    with closing(desk.DeskBench(tmp_path_factory.mktemp("before"))) as bench:
        asyncio.run(PowerContract().test_before_the_cut_rows_are_acknowledged(bench))
    return bench


@pytest.fixture
def cut(before, bench):
    """A bench with those files, after the restart."""
    shutil.copytree(before.folder / "cut", bench.folder / "cut")
    bench.boots, bench.person.last_seen = before.boots + 1, 5
    return bench


async def after(bench):
    await PowerContract().test_after_the_cut_no_acknowledged_row_is_lost_and_the_lock_was_secured(bench)


async def test_acknowledged_rows_survive_a_cut_during_a_release(before, cut):
    assert before.person.shown == [f"row {number} is acknowledged" for number in range(1, 6)]
    assert before.edges(0.0)[1].is_on
    await after(cut)
    assert cut.notes["power cut"] == "5 rows there, 5 marks, 0 lost"


async def test_the_last_acknowledged_row_may_have_no_mark(cut):
    marks = cut.folder / "cut" / Marks.NAME
    marks.write_bytes(marks.read_bytes()[:-20])
    await after(cut)
    assert cut.notes["power cut"] == "5 rows there, 4 marks, 0 lost"


async def test_the_error_names_a_lost_row(cut):
    with closing(sqlite3.connect(cut.folder / "cut" / "journal.db")) as journal, journal:
        (last,) = journal.execute("SELECT hash FROM event WHERE seq = 3").fetchone()
        journal.execute("DELETE FROM event WHERE seq > 3")
        journal.execute("UPDATE head SET seq = 3, hash = ?", (last,))
    with pytest.raises(AssertionError, match="acknowledged rows are lost, from 4 on"):
        await after(cut)


async def test_a_damaged_journal_is_reported(cut):
    with closing(sqlite3.connect(cut.folder / "cut" / "journal.db")) as journal, journal:
        journal.execute("UPDATE event SET body = '{}' WHERE seq = 2")
    with pytest.raises(AssertionError, match="damaged"):
        await after(cut)


async def test_a_lying_card_is_found_by_the_number_on_the_screen(cut):
    cut.person.last_seen = 7
    with pytest.raises(AssertionError, match="reports writes that it did not store"):
        await after(cut)


async def test_a_relay_that_clicked_fails(cut):
    cut.person.hears = False
    with pytest.raises(AssertionError, match="before Linux starts"):
        await after(cut)


async def test_a_machine_that_was_never_off_fails(before, cut):
    cut.boots = before.boots
    with pytest.raises(AssertionError, match="was not cut"):
        await after(cut)


async def test_the_error_names_a_missing_first_half(cut):
    shutil.rmtree(cut.folder / "cut")
    cut.person.last_seen = 0
    with pytest.raises(AssertionError, match="--phase before"):
        await after(cut)


async def test_the_error_names_a_first_half_without_acknowledged_rows(cut):
    (cut.folder / "cut" / Marks.NAME).write_bytes(b"")
    cut.person.last_seen = 0
    with pytest.raises(AssertionError, match="wait longer"):
        await after(cut)


@pytest.mark.parametrize("forgot", ["folder", "marks", "all in it"])
async def test_a_card_that_lost_everything_is_not_a_missing_half_before(cut, forgot):
    folder = cut.folder / "cut"
    if forgot == "folder":
        shutil.rmtree(folder)
    else:
        for path in [folder / Marks.NAME] if forgot == "marks" else list(folder.iterdir()):
            path.unlink()
    with pytest.raises(AssertionError, match="row 5 was acknowledged but no row is stored: this storage card reports"):
        await after(cut)


async def test_a_second_cut_starts_afresh(cut):
    cut.cuts_after = 2
    await PowerContract().test_before_the_cut_rows_are_acknowledged(cut)
    assert [mark.seq for mark in Marks.read(cut.folder / "cut")] == [1, 2]

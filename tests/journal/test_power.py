"""The power goes at any moment, again and again: no row that was acknowledged is ever lost, and the chain holds.

The real journal runs on a disk that forgets; see `contracts/disk.py`.
"""

import random
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest

from gated import database
from gated.events import Stopped
from gated.journal.journal import Journal

sys.path.append(str(Path(__file__).parents[1]))
from contracts.disk import Connection, ForgetfulDisk, migrate

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def lost_rows(seed, tmp_path, monkeypatch, cuts=6):
    """Live through some power cuts; the acknowledged rows that were not there afterwards."""
    dice = random.Random(seed)
    disk, told, lost = ForgetfulDisk(dice), {}, []
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kwargs: Connection(disk))
    monkeypatch.setattr(database, "migrate", migrate)
    for _ in range(cuts):
        try:
            journal = Journal.open(tmp_path, "s", "g")
            flaw, position = journal.verify(), journal.position()
            there = {entry.seq: entry.hash for entry in journal.entries(limit=10_000)}
            lost += [seq for seq in told if seq > position.base and there.get(seq) != told[seq]]
            assert flaw is None, f"seed {seed}: {flaw}"
            told = there
            disk.operations_left = dice.choice([None, dice.randint(0, 120)])
            for _ in range(dice.randint(0, 25)):
                entries = journal.extend([(Stopped(why="x" * dice.randint(0, 900)), NOW)] * dice.randint(1, 3))
                told |= {entry.seq: entry.hash for entry in entries}
                if dice.random() < 0.1:
                    journal.acknowledge(entries[0].seq)
                    journal.prune(NOW, keep_rows=20)
        except apsw.Error:
            assert disk.operations_left is not None, f"seed {seed}: an error while there was power"
            assert disk.operations_left < 0, f"seed {seed}: an error while there was power"
        disk.cut_power()
    return lost


SEEDS = range(500)


@pytest.mark.slow
def test_no_power_cut_costs_a_row_that_was_acknowledged(tmp_path, monkeypatch):
    lost = {seed: lost_rows(seed, tmp_path, monkeypatch) for seed in SEEDS}
    assert not any(lost.values()), lost


def test_with_less_than_full_sync_this_very_test_finds_lost_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "PRAGMAS", database.PRAGMAS.replace("synchronous = FULL", "synchronous = NORMAL"))
    assert any(lost_rows(seed, tmp_path, monkeypatch) for seed in SEEDS[:10])

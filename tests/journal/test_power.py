"""Repeated power cuts at random moments lose no acknowledged row, and the chain still verifies.

The real journal runs on a simulated disk that loses unsynced writes; see `contracts/disk.py`.
"""

import random
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest

from gated.events import Stopped
from gated.journal.journal import Journal
from gated.storage import database, sql

sys.path.append(str(Path(__file__).parents[1]))
from contracts.disk import Connection, ForgetfulDisk, migrate

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def lost_rows(seed, tmp_path, monkeypatch, cuts=6):
    """Simulate power cuts. Returns the numbers of the acknowledged rows that are missing afterwards."""
    dice = random.Random(seed)
    disk, acknowledged, lost = ForgetfulDisk(dice), {}, []
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kwargs: Connection(disk))
    monkeypatch.setattr(database, "migrate", migrate)
    for _ in range(cuts):
        try:
            journal = Journal.open(tmp_path, "s", "g")
            flaw, position = journal.verify(), journal.position()
            stored = {entry.seq: entry.hash for entry in journal.entries(limit=10_000)}
            lost += [seq for seq in acknowledged if seq > position.base and stored.get(seq) != acknowledged[seq]]
            assert flaw is None, f"seed {seed}: {flaw}"
            acknowledged = stored
            disk.operations_left = dice.choice([None, dice.randint(0, 120)])
            for _ in range(dice.randint(0, 25)):
                entries = journal.extend([(Stopped(why="x" * dice.randint(0, 900)), NOW)] * dice.randint(1, 3))
                acknowledged |= {entry.seq: entry.hash for entry in entries}
                if dice.random() < 0.1:
                    journal.acknowledge(entries[0].seq)
                    journal.prune(NOW, keep_rows=20)
        except apsw.Error:
            assert disk.operations_left is not None, f"seed {seed}: an error without a power cut"
            assert disk.operations_left < 0, f"seed {seed}: an error without a power cut"
        disk.cut_power()
    return lost


SEEDS = range(500)


@pytest.mark.slow
def test_no_power_cut_loses_an_acknowledged_row(tmp_path, monkeypatch):
    lost = {seed: lost_rows(seed, tmp_path, monkeypatch) for seed in SEEDS}
    assert not any(lost.values()), lost


def test_without_full_sync_the_test_finds_lost_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(sql, "PRAGMAS", sql.PRAGMAS.replace("synchronous = FULL", "synchronous = NORMAL"))
    assert any(lost_rows(seed, tmp_path, monkeypatch) for seed in SEEDS[:10])

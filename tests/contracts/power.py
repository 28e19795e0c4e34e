"""A power cut in two halves: before it, rows are acknowledged while the lock is released. After it, they must be there.

A storage card can report a write without storing it. The last row number on another screen reveals that.
"""

import asyncio
import os
from contextlib import closing
from datetime import UTC, datetime

import msgspec
from contracts.bench import needs, released

from gated.atomic_files import sync_folder
from gated.events import DoorClosed
from gated.journal.journal import Journal

LEASE_S = 30.0
SITE, GATE = "bench", "front"
FORGOT = "this storage card reports writes that it did not store; use another one"


class Mark(msgspec.Struct, frozen=True):
    """An acknowledged row, and the boot id at that time."""

    boot: str
    seq: int
    hash: str


class PowerContract:
    """A subclass gives a fixture `bench` whose folder survives the cut."""

    @needs("lock", "probe", "person", "before")
    async def test_before_the_cut_rows_are_acknowledged(self, bench):
        """Release the lock and write journal rows without end. Cut the power while the numbers run. To test the board's
        own watchdog, hang the kernel instead: `echo c > /proc/sysrq-trigger` as root.
        """
        folder = bench.folder / "cut"
        folder.mkdir(exist_ok=True)
        sync_folder(bench.folder)  # otherwise a card can lose the folder itself
        for old in folder.iterdir():
            old.unlink()
        async with released(bench, LEASE_S):
            with closing(Journal.open(folder, SITE, GATE)) as journal, Marks(folder, bench.boot()) as marks:
                while bench.has_power():
                    row = journal.append(DoorClosed(), datetime.now(UTC))
                    marks.write(row)
                    bench.person.show(f"row {row.seq} is acknowledged")
                    await asyncio.sleep(0.05)

    @needs("lock", "probe", "person", "after")
    async def test_after_the_cut_no_acknowledged_row_is_lost_and_the_lock_was_secured(self, bench):
        """Compare the journal with the marks and with the last number on the screen. Ask what the relay did."""
        folder = bench.folder / "cut"
        assert not bench.is_on(), "the lock is released after the power came back"
        seen = await bench.person.number("the last row number on the screen before the cut, 0 if there was none")
        marks = Marks.read(folder)
        if not marks:
            assert seen == 0, f"row {seen} was acknowledged but no row is stored: {FORGOT}"
            assert folder.is_dir(), "no `--phase before` was run with this folder"
            raise AssertionError("no row was acknowledged before the cut; wait longer before you cut")
        assert marks[-1].boot != bench.boot(), "the machine was not restarted: the power was not cut"
        with closing(Journal.open(folder, SITE, GATE)) as journal:
            assert journal.verify() is None, "the journal is damaged"
            lost = [mark.seq for mark in marks if journal.hash_of(mark.seq) != mark.hash]
            head = journal.position().head
        bench.note("power cut", f"{head} rows there, {len(marks)} marks, {len(lost)} lost")
        assert not lost, f"acknowledged rows are lost, from {lost[0]} on"
        assert seen <= head, f"row {seen} was acknowledged and is lost: {FORGOT}"
        is_calm = await bench.person.sees("while it started the relay neither clicked nor lit up, even for an instant")
        assert is_calm, (
            "the relay is driven before Linux starts: set gpio=PIN=op,dl in config.txt, and fit a pull resistor"
        )


class Marks:
    """The acknowledged rows, one a line, on disk when `write` returns."""

    NAME = "marks.jsonl"

    def __init__(self, folder, boot):
        self._boot = boot
        self._fd = os.open(folder / self.NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        sync_folder(folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._fd)

    def write(self, row):
        os.write(self._fd, msgspec.json.encode(Mark(self._boot, row.seq, row.hash)) + b"\n")
        os.fsync(self._fd)

    @classmethod
    def read(cls, folder):
        """Return all complete marks. The last may be incomplete."""
        path = folder / cls.NAME
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        return [msgspec.json.decode(line, type=Mark) for line in lines if line.strip(b"\0")]

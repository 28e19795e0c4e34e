"""Cuts the power at every point of one update: `python tests/update/cuts.py --kind late --seed 7`.

Prints one line of JSON: the number of cuts, and the problems found after any of them.
"""

import argparse
import json
import random
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from machine import KINDS, NEW, OLD, Machine, make_shims  # noqa: E402
from power import Power  # noqa: E402

from gated import atomic_files  # noqa: E402
from gated.events import Updated  # noqa: E402
from gated.journal.journal import Journal  # noqa: E402
from gated.storage import migrations  # noqa: E402
from gated.update import rehearsal  # noqa: E402
from gated.update.release import Releases  # noqa: E402
from gated.update.source import ReleaseSource  # noqa: E402
from gated.update.trial import VersionTrial, read_trial  # noqa: E402

PEOPLE = 3


class Story:
    """One kind of update on one gate, cut at its points and at some points of each recovery."""

    def __init__(self, kind: str, seed: int, work: Path, *, share: float, again: float) -> None:
        self.kind, self.again = kind, again
        self.dice, self.report = random.Random(f"{kind} {seed}"), work / "report"
        self.shims, self.bundle, self.first = work / "shims", work / "bundle", work / "gate"
        self.report.touch()
        make_shims(self.shims)
        pack(self.bundle)
        self.power = Power(self.first, work / "cut", self.dice, self.report)
        self.power.share = share

    def run(self) -> list[dict]:
        """Run the whole update. Returns one report for each cut. Checks the run without a cut too."""
        machine = Machine(self.first, self.kind.removesuffix(" back"), self.shims, self.power)
        machine.install()
        self.power.synced(None)
        self.power.after_cut = self.after_cut
        self.update(machine)
        self.power.after_cut = None
        check(machine)
        ended = {"good": NEW, "good back": OLD}.get(self.kind, OLD)
        assert machine.releases.current == ended, f"{self.kind}: {machine.releases.current} runs in the end"
        return [json.loads(line) for line in self.report.read_text().splitlines()]

    def update(self, machine: Machine) -> None:
        """Run `gated update` from start to end."""
        with machine.updater.alone():
            machine.updater.resume()
            if machine.releases.current == OLD and not machine.releases.is_unfit(NEW):
                machine.updater.update(ReleaseSource(self.bundle))
        if self.kind == "good back" and machine.releases.current == NEW:
            with machine.updater.alone():
                machine.updater.back()

    def after_cut(self, folder: Path, what: str, dice: random.Random) -> None:
        """Start the gate after a cut: the units start, then the timer resumes the interrupted update."""
        machine = Machine(folder, self.kind.removesuffix(" back"), self.shims, self.power)
        self.power.turn_to(folder, dice, self.again, self.after_cut_again if self.again else None)
        check(machine, running=False)
        machine.boot()
        check(machine)
        with machine.updater.alone():
            machine.updater.resume()
        self.power.after_cut = None
        check(machine)
        assert read_trial(machine.root) is None, "the trial goes on for ever"
        assert not (machine.state / rehearsal.COPIES).exists(), "copies of the databases are left"

    def after_cut_again(self, folder: Path, what: str, dice: random.Random) -> None:
        """Handle a second cut during recovery. No third cut follows."""
        self.again = 0.0
        self.after_cut(folder, what, dice)


def check(machine: Machine, *, running: bool = True) -> None:
    """Assert that one whole version is current and runs, and that every database is whole, in its schema and
    complete.
    """
    current = machine.releases.current
    assert current in {OLD, NEW}, f"current names {current}"
    assert machine.releases.is_whole(current), f"{current} is current and not whole"
    if running:
        assert machine.duty, "no brain is on duty"
    with machine._schemas(current):
        for name, steps in rehearsal.SCHEMAS.items():
            with closing(sqlite3.connect(machine.state / name)) as connection:
                assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",), name
                if running:
                    known, there = len(steps), migrations.applied(connection)
                    assert there == known, f"{name} has schema {there}, {current} knows {known}"
    with closing(sqlite3.connect(machine.state / "people.db")) as connection:
        assert connection.execute("SELECT count(*) FROM people").fetchone() == (PEOPLE,)
    if not running:
        return
    with machine._schemas(current), closing(Journal.open(machine.state, "s", "g")) as journal:
        assert journal.verify() is None
        told = [entry.event for entry in journal.entries(limit=1000) if isinstance(entry.event, Updated)]
    assert len(told) == len(set(map(str, told))), f"told twice: {told}"
    if read_trial(machine.root) is None and any(fact.outcome == "rolled_back" for fact in told):
        assert machine.releases.is_unfit(NEW), "it would be tried again tonight"


def pack(folder: Path) -> None:
    """Write a bundle of the new version. Nothing reads the wheel's content."""
    import hashlib

    folder.mkdir()
    wheel = folder / f"gated-{NEW}-py3-none-any.whl"
    wheel.write_bytes(b"a wheel")
    (folder / "SHA256SUMS").write_text(f"{hashlib.sha256(b'a wheel').hexdigest()}  {wheel.name}\n")


def _no_fsync() -> None:
    atomic_files.sync_folder.__code__ = (lambda folder: None).__code__


def _switch_first() -> None:
    write = VersionTrial.write

    def late(trial: VersionTrial, root: Path) -> None:
        Releases(root).switch(trial.after)
        write(trial, root)

    VersionTrial.write = late


FLAWS = {"no fsync": _no_fsync, "switch first": _switch_first}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=[*KINDS, "good back"], required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="of the points of the update")
    parser.add_argument("--again", type=float, default=0.0, help="of the points of each recovery")
    parser.add_argument("--flaw", choices=["", *FLAWS], default="", help="break the code, so that this must find it")
    words = parser.parse_args()
    if words.flaw:
        FLAWS[words.flaw]()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as work:
        lines = Story(words.kind, words.seed, Path(work), share=words.share, again=words.again).run()
    problems = [line for line in lines if line["problem"]]
    print(json.dumps({"kind": words.kind, "seed": words.seed, "points": len(lines), "problems": problems}))


if __name__ == "__main__":
    main()

"""Cuts the power at any point of an update or of its recovery. One whole version runs afterwards, and nothing is lost.

`cuts.py` runs each kind of update once. At a disk operation a copy of the gate goes on as after a power cut; see
`power.py` for what a cut loses. By default that is a fixed choice of two in five operations. `GATED_CUTS=5` cuts at
each of them, and adds five seeds with more second cuts.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

SCRIPT = Path(__file__).parent / "cuts.py"
KINDS = ("good", "good back", "dead", "late", "sick", "unwell")
MORE = int(os.environ.get("GATED_CUTS", "0"))
SHARE, LEAST = (1.0, 1000) if MORE else (0.4, 400)


def lived(kind, *, seed=1, **options):
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, str(SCRIPT), "--kind", kind, "--seed", str(seed), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def told(lives):
    worst = [
        f"{life['kind']}, seed {life['seed']}: {cut['point']}\n{cut['problem']}"
        for life in lives
        for cut in life["problems"]
    ]
    return f"{len(worst)} of {sum(life['points'] for life in lives)} cuts went wrong\n" + "\n".join(worst[:3])


@pytest.mark.slow
def test_a_cut_at_any_point_leaves_one_whole_version_and_all_that_was_written(record_property, capsys):
    lives = [lived(kind, share=SHARE, again=0.005) for kind in KINDS]
    lives += [lived(kind, seed=seed, again=0.05) for seed in range(2, MORE + 2) for kind in KINDS]
    points = sum(life["points"] for life in lives)
    record_property("points", points)
    with capsys.disabled():
        print(f"\n{points} cuts of the power in {len(lives)} updates, seeds 1 to {MORE + 1}")
    assert not any(life["problems"] for life in lives), told(lives)
    assert points >= LEAST


@pytest.mark.parametrize(("flaw", "kind"), [("no fsync", "good"), ("switch first", "dead")])
def test_in_an_updater_with_a_flaw_this_very_test_finds_it(flaw, kind):
    assert lived(kind, flaw=flaw, share=0.4)["problems"]

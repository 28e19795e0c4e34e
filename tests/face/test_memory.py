"""The memory that the models of a site set need, in a process of their own."""

import subprocess
import sys

import pytest

MOST_KIB = 220 * 1024
"""The budget of the vision process."""
PROGRAM = """
import sys
from gated.config import FaceSettings, ModelSettings
from gated.face.frame_bench import bench
from gated.face.pipeline import load_pipeline
bench(load_pipeline(ModelSettings(set="site", dir=sys.argv[1]), FaceSettings()), rounds=3)
print(next(line.split()[1] for line in open("/proc/self/smaps_rollup") if line.startswith("Rss:")))
"""


@pytest.mark.slow
def test_the_largest_set_stays_below_the_memory_budget_of_vision(shared, site_models):
    command = [sys.executable, "-c", PROGRAM, site_models.dir]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    used = int(done.stdout.split()[-1])
    print(f"{used / 1024:.0f} MiB resident with the set site, {MOST_KIB / 1024:.0f} are the budget")
    assert used < MOST_KIB

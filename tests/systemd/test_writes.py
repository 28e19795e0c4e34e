"""Tests what the gate writes and where. Its card must last for years, and its root may be read-only.

`tests/rehearsal` tests a read-only root, and the writes of a whole day.
"""

import os
import time
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

QUIET_S = 5.0
"""Length of a period without any write, in seconds. One 8 KiB write (block and log) in each period would be about 140
MB a day; 5 MB a day are allowed.
"""


@pytest.fixture(scope="module")
def idle(gate_at, wait_for, tmp_path_factory):
    """Yield a gate on duty that sees an empty street, and its process ids by part."""
    with gate_at(tmp_path_factory.mktemp("gate")) as gate:
        (gate.folder / "frames").mkdir()
        Image.new("RGB", (640, 480), (90, 95, 100)).save(gate.folder / "frames" / "street.png")
        gate.write(models={"set": "courtyard"}, camera={"loop": True, "hold_s": 1.0})
        brain = gate.start("run")
        wait_for(lambda: gate.events("worker_ready"), 60, every_s=0.5)
        yield gate, {"brain": [brain.pid], "vision": gate.children("vision"), "latch": gate.children("latch")}


def written_files(pid):
    """Yield the files that a process has open for writing."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = descriptor.readlink()
            info = (descriptor.parent.parent / "fdinfo" / descriptor.name).read_text().split()
        except OSError:
            continue  # the file was closed meanwhile
        if int(info[info.index("flags:") + 1], 8) & (os.O_WRONLY | os.O_RDWR) and target.is_absolute():
            yield target


def test_nothing_is_open_to_write_but_in_the_gates_own_folder(idle):
    gate, processes = idle
    assert all(processes.values()), processes
    for part, pids in processes.items():
        outside = {
            path
            for pid in pids
            for path in written_files(pid)
            if not path.is_relative_to(gate.folder) and not str(path).startswith(("/dev/", "/memfd:"))
        }
        assert not outside, f"{part} writes to {outside}"


def test_vision_has_nothing_of_the_gate_open_to_write(idle):
    gate, processes = idle
    assert not [path for pid in processes["vision"] for path in written_files(pid) if path.is_relative_to(gate.state)]


def test_while_nobody_comes_nothing_is_written(idle, wait_for):
    gate, _ = idle

    def states():
        return {
            path: (path.stat().st_size, path.stat().st_mtime_ns) for path in gate.state.rglob("*") if path.is_file()
        }

    def is_quiet():
        before = states()
        time.sleep(QUIET_S)
        return states() == before

    assert any(gate.state.glob("*.db"))
    wait_for(is_quiet, 60)

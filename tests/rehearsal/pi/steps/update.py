"""Another version is installed and tried, and the gate goes back: no edge on the lock, and the version counts."""

import shutil
import subprocess
import sys
from pathlib import Path

from rig import CHECKOUT, Rig

from steps.people import lock_count

VERSION = "0.9.1"


def run(rig: Rig) -> None:
    """Update to the same code under another version number, and go back."""
    machine = rig.machine
    rig.await_duty()
    first = machine.run("readlink /opt/gated/current").strip()
    folder = machine.place / "another"
    shutil.rmtree(folder, ignore_errors=True)
    wheel = wheel_of(machine.place)
    subprocess.run(
        [sys.executable, str(CHECKOUT / "tests/rehearsal/another.py"), str(wheel), VERSION, str(folder)], check=True
    )
    key = machine.place / "packing" / "release"
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", "gated-release", str(folder / "SHA256SUMS")],
        check=True, capture_output=True,
    )  # fmt: skip
    machine.run("rm -rf /root/another")
    machine.put(folder, "/root/another")
    releases = lock_count(rig)
    machine.run(
        f"/opt/gated/current/venv/bin/gated update --to /root/another/gated-{VERSION}-py3-none-any.whl --health-s 20",
        400,
    )
    rig.await_duty()
    now = machine.run("readlink /opt/gated/current").strip()
    rig.check("an update", now.endswith(VERSION), f"{now} on duty")
    machine.run("/opt/gated/current/venv/bin/gated update --back", 200)
    rig.await_duty()
    back = machine.run("readlink /opt/gated/current").strip()
    rig.check("its way back", back == first, f"{back} on duty")
    rig.check("no lock edge through both", lock_count(rig) == releases, f"{lock_count(rig) - releases} edges")


def wheel_of(place: Path) -> Path:
    """Take gated's wheel out of the signed file."""
    tar = subprocess.run(["tar", "-tf", str(place / "packing/gate.tar")], check=True, capture_output=True, text=True)
    name = next(each for each in tar.stdout.split() if each.rpartition("/")[2].startswith("gated-"))
    subprocess.run(["tar", "-xf", str(place / "packing/gate.tar"), "-C", str(place), name], check=True)
    return place / name

"""The services as systemd itself reads and judges them, in a root that has what the installation puts there."""

import re
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"
NAMES = sorted(path.name for path in UNITS.iterdir() if path.suffix in {".service", ".timer"})
MADE = ("/opt/gated/guard", "/opt/gated/current/venv/bin/gated", "/usr/bin/cage", "/usr/bin/chromium")
"""Programs that systemd/install makes, or that a comment of the unit asks for."""
MOST = 1.5


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    units = root / "etc/systemd/system"
    units.mkdir(parents=True)
    for name in NAMES:
        (units / name).write_bytes((UNITS / name).read_bytes())
    targets = root / "usr/lib/systemd/system"
    targets.mkdir(parents=True)
    for target in Path("/usr/lib/systemd/system").glob("*.target"):
        (targets / target.name).write_bytes(target.read_bytes())
    for program in MADE:
        path = root / program.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    return root


def analyze(*words):
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=60, check=False)


def test_systemd_finds_nothing_amiss(root):
    done = analyze("verify", f"--root={root}", *NAMES)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_unit_with_a_slip_of_the_pen_would_be_found(root, tmp_path):
    (root / "etc/systemd/system/slip.service").write_text("[Service]\nExecStart=/opt/gated/guard\nWatchdogSecs=1\n")
    assert "WatchdogSecs" in analyze("verify", f"--root={root}", "slip.service").stderr


@pytest.mark.parametrize("name", ["gated.service", "gated-latch.service"])
def test_no_more_is_open_than_must_be(root, name):
    done = analyze("security", "--offline=true", f"--root={root}", f"--threshold={MOST * 10:.0f}", "--no-pager", name)
    level = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    print(name, level[1])
    assert done.returncode == 0, done.stdout
    assert float(level[1]) <= MOST


@pytest.mark.parametrize("name", NAMES)
def test_every_program_that_a_unit_runs_is_one_that_the_installation_makes(name):
    text = (UNITS / name).read_text()
    programs = re.findall(r"(?m)^Exec\w+=[-+@!:]*(\S+)", text)
    assert set(programs) <= set(MADE)


@pytest.mark.parametrize("name", NAMES)
def test_no_unit_sends_its_reader_to_a_page_that_is_not_there(name):
    """The installation brings no page: `man` and the network are all that could be meant."""
    assert not re.findall(r"(?m)^Documentation=.*file:", (UNITS / name).read_text())


def keys(name):
    return dict(re.findall(r"(?m)^(\w+)=(.*)$", (UNITS / name).read_text()))


def test_what_would_kill_or_slow_the_models_is_not_asked_for():
    """Without a number a filtered call kills; without /proc/cpuinfo onnxruntime chooses slower kernels."""
    brain = keys("gated.service")
    assert brain["SystemCallErrorNumber"] == "EPERM"
    assert "ProcSubset" not in brain


def test_the_lock_is_secured_whatever_ended_the_latch():
    latch = keys("gated-latch.service")
    assert latch["ExecStopPost"].endswith("gated latch --secure")
    assert latch["Restart"] == "always"
    assert latch["WatchdogSec"]


def test_the_brain_has_no_pin_and_the_latch_no_network():
    assert "gpio" not in (UNITS / "gated.service").read_text().replace("gpiozero", "")
    latch = keys("gated-latch.service")
    assert (latch["PrivateNetwork"], latch["DeviceAllow"]) == ("yes", "char-gpiochip rw")


def test_vision_cannot_starve_the_latch():
    latch, brain = keys("gated-latch.service"), keys("gated.service")
    assert int(latch["CPUWeight"]) > int(brain["CPUWeight"])
    assert int(latch["OOMScoreAdjust"]) < int(brain["OOMScoreAdjust"])
    assert brain["MemoryMax"]

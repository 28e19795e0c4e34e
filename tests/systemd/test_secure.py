"""No lock keeps its power after its latch was killed. Plain sh with either version of gpioset does it, or else
Python.
"""

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

SECURE = Path(__file__).parents[2] / "systemd" / "secure"
KERNEL = Path(__file__).parents[1] / "door" / "pi" / "kernel.py"
PATH = "/usr/bin:/bin"

GPIOSET = {
    # Stands for gpioset(1) of libgpiod 1.6.3 (Bookworm): gpioset [OPTIONS] CHIP OFFSET=VALUE...
    "v1.6.3": """
        case $1 in /dev/*) ;; *) echo "gpioset: invalid option -- 't'" >&2; exit 1 ;; esac
        chip=$1 line=$2""",
    # Stands for gpioset(1) of libgpiod 2.2.1 (Trixie): without -t0 it holds the line until it is killed.
    "v2.2.1": """
        [ "$1" = -t0 ] || exec sleep 600
        [ "$2" = -c ] || { echo "gpioset: invalid line value: '$2'" >&2; exit 1; }
        chip=$3 line=$4""",
}


@pytest.fixture
def root(tmp_path):
    """Return an installation folder with a Python that records its start, and with the latch's own folder."""
    program = tmp_path / "current/venv/bin/gated"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/python\n')
    program.chmod(0o755)
    (tmp_path / "run").mkdir()
    (tmp_path / "bin").mkdir()
    return tmp_path


@pytest.fixture(params=sorted(GPIOSET))
def gpioset(request, root):
    """Install a gpioset of this version that records what it set."""
    program = root / "bin/gpioset"
    program.write_text(
        f"""#!/bin/sh
        if [ "$1" = --version ]; then echo "gpioset (libgpiod) {request.param}"; exit; fi
        {GPIOSET[request.param]}
        [ ! -e {root}/refuses ] || {{ echo "gpioset: Device or resource busy" >&2; exit 1; }}
        echo "$chip $line" >>{root}/set
        """
    )
    program.chmod(0o755)


def secure(root, path=None):
    """Run the script as the unit does. Returns its errors, the lines that were set, and Python's arguments."""
    env = {"PATH": path or f"{root}/bin:{PATH}", "GATED_ROOT": str(root), "RUNTIME_DIRECTORY": str(root / "run")}
    done = subprocess.run(["/bin/sh", SECURE], env=env, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    there = [(root / name).read_text() if (root / name).exists() else "" for name in ("set", "python")]
    return done.stderr, *there


def test_every_lock_is_taken_off_without_python(root, gpioset):
    (root / "run/latch.off").write_text("/dev/gpiochip0 17 0\n/dev/gpiochip11 11 1\n")
    begun = time.monotonic()
    assert secure(root) == ("", "/dev/gpiochip0 17=0\n/dev/gpiochip11 11=1\n", "")
    print(f"power off after {time.monotonic() - begun:.3f} s")


def test_a_latch_that_serves_keeps_its_locks(root, gpioset):
    (root / "run/latch.off").write_text("/dev/gpiochip0 17 0\n")
    with (root / "run/latch.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        said, done, python = secure(root)
    assert "another latch serves" in said
    assert done == python == ""


@pytest.mark.parametrize(
    "written",
    ["", "17 0\n", "/dev/gpiochip0 17 2\n", "/dev/gpiochip0 17 0 0\n", "/dev/gpiochip0 17=1 0\n", "$(touch x) 17 0\n",
     "/dev/gpiochip0 ;reboot 0\n", "/dev/gpiochip0/../null 17 0\n", "-c 17 0\n"],
)  # fmt: skip
def test_a_malformed_file_is_left_to_python(root, gpioset, written):
    (root / "run/latch.off").write_text(written)
    said, done, python = secure(root)
    assert python == "latch --secure\n"
    assert "Python takes the power off" in said
    assert done == ""


def test_without_a_word_of_the_latch_python_does_it(root, gpioset):
    assert secure(root)[2] == "latch --secure\n"


def test_a_refused_line_is_left_to_python_and_the_lock_of_the_latch_is_free_for_it(root, gpioset):
    (root / "run/latch.off").write_text("/dev/gpiochip0 17 0\n/dev/gpiochip0 11 0\n")
    (root / "refuses").touch()
    (root / "current/venv/bin/gated").write_text(
        f"#!/bin/sh\nflock -n {root}/run/latch.lock true && echo free >>{root}/python\n"
    )
    said, _, python = secure(root)
    assert "refused: /dev/gpiochip0 11" in said
    assert python == "free\n"


def test_without_gpioset_python_does_it_and_the_package_is_named(root):
    (root / "run/latch.off").write_text("/dev/gpiochip0 17 0\n")
    for tool in ("timeout", "flock", "sh", "cat"):
        (root / "bin" / tool).symlink_to(Path("/usr/bin") / tool)
    said, _, python = secure(root, path=str(root / "bin"))
    assert "apt-get install gpiod" in said
    assert python == "latch --secure\n"


@pytest.mark.parametrize("active_high", [True, False])
def test_a_latch_that_is_killed_has_left_what_there_is_to_do(gate, root, gpioset, wait_for, active_high):
    gate.write(
        door={"pins": "gpio", "lock_active_high": active_high, "socket": str(root / "run/latch.sock")},
        second_door={"lock_pin": 11, "rex_waiver": "a test"},
    )
    chips = {0: {"label": "ftdi-cbus"}, 13: {"label": "pinctrl-rp1"}}
    latch = subprocess.Popen([sys.executable, KERNEL, json.dumps(chips), "--config", gate.config, "latch"])
    try:
        wait_for((root / "run/latch.sock").exists)
        assert (root / "run/latch.off").stat().st_mode & 0o777 == 0o600
    finally:
        latch.kill()
        latch.wait()
    said, done, python = secure(root)
    assert said == python == ""
    assert done == f"/dev/gpiochip13 17={int(not active_high)}\n/dev/gpiochip13 11=0\n"


def test_the_instructions_lie_in_the_units_own_folder_wherever_the_socket_is(gate, root, gpioset, wait_for):
    gate.write(door={"pins": "gpio"})
    env = {**os.environ, "RUNTIME_DIRECTORY": str(root / "run")}
    chips = {0: {"label": "pinctrl-bcm2711"}}
    latch = subprocess.Popen([sys.executable, KERNEL, json.dumps(chips), "--config", gate.config, "latch"], env=env)
    try:
        wait_for((gate.state / "latch.sock").exists)
    finally:
        latch.kill()
        latch.wait()
    assert secure(root) == ("", "/dev/gpiochip0 17=0\n", "")


def test_a_latch_with_mock_pins_leaves_nothing_that_would_drive_real_ones(gate, wait_for):
    gate.state.mkdir()
    (gate.state / "latch.off").write_text("/dev/gpiochip0 17 0\n")
    gate.start("latch")
    wait_for((gate.state / "latch.sock").exists)
    assert not (gate.state / "latch.off").exists()


def test_a_folder_that_is_full_keeps_no_latch_from_serving(gate, wait_for, tmp_path):
    gate.write(door={"pins": "gpio", "socket": str(tmp_path / "run/latch.sock")})
    (tmp_path / "run/.latch.off.new").mkdir(parents=True)  # the latch writes this path first
    chips = {0: {"label": "pinctrl-bcm2711"}}
    log = (tmp_path / "log").open("w")
    latch = subprocess.Popen(
        [sys.executable, KERNEL, json.dumps(chips), "--config", gate.config, "latch"], stderr=log, env=os.environ
    )
    try:
        wait_for((tmp_path / "run/latch.sock").exists)
    finally:
        latch.kill()
        latch.wait()
    assert "latch.off: cannot be written" in (tmp_path / "log").read_text()

"""systemd itself reads and judges the units, in a root with the installation's files."""

import re
import subprocess
from pathlib import Path

import pytest

from gated.cli.daemon import VISION

UNITS = Path(__file__).parents[2] / "systemd"
NAMES = sorted(path.name for path in UNITS.iterdir() if path.suffix in {".service", ".socket", ".timer"})
MADE = (
    "/usr/bin/kill",
    "/usr/sbin/mosquitto",
    "/opt/gated/guard",
    "/opt/gated/secure",
    "/opt/gated/screen",
    "/opt/gated/current/venv/bin/gated",
)
"""Programs that the installation makes."""
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


@pytest.mark.parametrize(
    "name",
    [
        "gated.service",
        "gated-latch.service",
        "gated-vision.service",
        "gated-office.service",
        "gated-office-broker.service",
    ],
)
def test_the_units_open_no_more_than_needed(root, name):
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
    """The installation brings no documentation pages. Only `man` and the network remain."""
    assert not re.findall(r"(?m)^Documentation=.*file:", (UNITS / name).read_text())


def keys(name):
    return dict(re.findall(r"(?m)^(\w+)=(.*)$", (UNITS / name).read_text()))


def test_no_unit_has_a_setting_that_kills_or_slows_the_models():
    """Without an error number, a filtered call kills the process. Without /proc/cpuinfo, onnxruntime picks slower
    kernels.
    """
    brain = keys("gated.service")
    assert brain["SystemCallErrorNumber"] == "EPERM"
    assert "ProcSubset" not in brain


def test_the_lock_is_secured_whatever_ended_the_latch():
    latch = keys("gated-latch.service")
    assert latch["ExecStopPost"] == "/opt/gated/secure"
    assert latch["Restart"] == "always"
    assert latch["WatchdogSec"]


def test_the_brain_has_no_pin_and_the_latch_no_network():
    assert "gpio" not in (UNITS / "gated.service").read_text().replace("gpiozero", "")
    latch = keys("gated-latch.service")
    assert (latch["PrivateNetwork"], latch["DeviceAllow"]) == ("yes", "char-gpiochip rw")


def test_vision_cannot_starve_the_brain_nor_the_brain_the_latch():
    latch, brain, vision = (keys(f"gated{part}.service") for part in ("-latch", "", "-vision"))
    assert int(latch["CPUWeight"]) > int(brain["CPUWeight"]) > int(vision["CPUWeight"])
    assert int(latch["OOMScoreAdjust"]) < int(brain["OOMScoreAdjust"]) < int(vision["OOMScoreAdjust"])
    assert brain["MemoryMax"]
    assert vision["MemoryMax"]
    assert vision["TasksMax"]


def test_vision_has_the_camera_and_the_models_and_nothing_else():
    text, vision = (UNITS / "gated-vision.service").read_text(), keys("gated-vision.service")
    devices = re.findall(r"(?m)^DeviceAllow=(\S+)", text)
    assert devices == ["char-video4linux", "char-media", "char-dma_heap"]
    assert (vision["DevicePolicy"], vision["PrivateNetwork"], vision["IPAddressDeny"]) == ("closed", "yes", "any")
    assert vision["RestrictAddressFamilies"] == "AF_UNIX AF_NETLINK"
    assert "GATED_CONFIG=/dev/null" in vision["Environment"]  # only the brain may read the settings file
    assert (vision["User"], vision["Group"]) == ("gated-vision", "gated-vision")
    assert not re.findall(
        r"(?m)^(StateDirectory|RuntimeDirectory|LoadCredential|SupplementaryGroups|ReadWritePaths)", text
    )
    assert (vision["TemporaryFileSystem"], vision["BindReadOnlyPaths"]) == (
        "/var/lib/gated:ro",
        "-/var/lib/gated/models",
    )
    assert not re.findall(r"DeviceAllow=char-(video4linux|media|dma_heap)", (UNITS / "gated.service").read_text())


def test_the_brains_user_alone_dials_vision_and_a_hang_is_ended():
    dialled, vision = keys("gated-vision.socket"), keys("gated-vision.service")
    assert (dialled["SocketUser"], dialled["SocketMode"]) == ("gated", "0600")
    assert dialled["ListenStream"] == VISION
    assert (vision["WatchdogSignal"], vision["Restart"]) == ("SIGKILL", "on-failure")
    assert vision["StartLimitIntervalSec"] == dialled["TriggerLimitIntervalSec"] == "0"


def test_faces_and_keys_go_to_no_core_and_no_swap():
    """The update may swap, because a build needs the memory. It leaves no core dump."""
    assert keys("gated-update.service")["LimitCORE"] == "0"
    for name in NAMES:
        unit = keys(name)
        if name.endswith(".service") and unit["Description"] and "update" not in name:
            assert (unit["LimitCORE"], unit["MemorySwapMax"]) == ("0", "0"), name


def test_the_screen_has_the_display_alone_and_says_why_it_is_not_closed_further(root):
    done = analyze(
        "security", "--offline=true", f"--root={root}", "--threshold=40", "--no-pager", "gated-kiosk.service"
    )
    assert done.returncode == 0, done.stdout
    text = (UNITS / "gated-kiosk.service").read_text()
    assert re.findall(r"(?m)^DeviceAllow=(.*)$", text) == ["char-drm rw", "/dev/tty1 rw"]
    assert keys("gated-kiosk.service")["DevicePolicy"] == "closed"
    reason = " ".join(text[text.index("# What keeps the score") :].replace("#", "").split())
    for missing in ("MemoryDenyWriteExecute", "RestrictNamespaces", "SystemCallFilter", "PrivateUsers"):
        assert f"{missing}=" not in text
        assert missing in reason


def test_the_screens_keyboard_cannot_switch_the_console():
    """The compositor allows this only with `-s` (cage(1))."""
    assert re.findall(r"\bcage\b.*", (UNITS / "screen").read_text())[-1].startswith("cage -- chromium --kiosk")

"""The services of a gate, as they come with gated: what is written where, and how they are started and watched."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import gated
from gated.errors import ProvisionError
from gated.update.units import BRAIN, LATCH, Systemd, systemctl

ALWAYS, KIOSK = (LATCH, BRAIN), ("gated-kiosk.service",)
UPDATE = ("gated-update.service", "gated-update.timer")
WATCHDOG = "[Manager]\n# The board's own watchdog bites when systemd itself hangs.\nRuntimeWatchdogSec=15\n"
READY_S, STEADY_S, LOOK_S = 90.0, 5.0, 0.5
LAST_LINES = 12


def shipped() -> Path:
    """The folder of the units: inside an installed package, beside it in a checkout."""
    package = Path(gated.__file__).parent
    installed = package / "_systemd"
    return installed if installed.is_dir() else package.parent / "systemd"


def unit_files(root: Path, *, is_pi: bool, kiosk: bool, updates: bool) -> dict[Path, str]:
    """What is to be written, by its place."""
    names = (*ALWAYS, *(KIOSK if kiosk else ()), *(UPDATE if updates else ()))
    files = {root / "etc/systemd/system" / name: (shipped() / name).read_text("utf-8") for name in names}
    files[root / "opt/gated/guard"] = (shipped() / "guard").read_text("utf-8")
    if is_pi:
        files[root / "etc/systemd/system.conf.d/gated.conf"] = WATCHDOG
    return files


def has_systemd() -> bool:
    """Whether it is systemd that started this machine (sd_booted(3))."""
    return Path("/run/systemd/system").is_dir()


def start(units: tuple[str, ...]) -> None:
    """Start everything anew, and wait until the gate is on duty and stays so. Raises `ProvisionError`."""
    systemctl("daemon-reload")
    systemctl("restart", "--no-block", LATCH, BRAIN)
    for unit in units:
        if unit not in ALWAYS:
            systemctl("restart", "--no-block", unit)
    if not settles(Systemd().run, time.monotonic, time.sleep):
        raise ProvisionError(f"the gate is not on duty after {READY_S:.0f} s; its last words:\n{_last_words()}")


def settles(seen: Callable[[], str], now: Callable[[], float], wait: Callable[[float], None]) -> bool:
    """Whether one and the same start of the brain is on duty for long enough, in time. `seen`: which one is."""
    begun, since, which = now(), now(), ""
    while now() - begun < READY_S:
        is_on_duty = seen()
        if not is_on_duty or is_on_duty != which:
            which, since = is_on_duty, now()
        elif now() - since >= STEADY_S:
            return True
        wait(LOOK_S)
    return False


def _last_words() -> str:
    ask = ["journalctl", "--no-pager", "-o", "cat", "-n", str(LAST_LINES), "-u", BRAIN, "-u", LATCH]
    try:
        return subprocess.run(ask, capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"(journalctl: {error})"

"""The services of a gate as systemd has them (systemctl(1))."""

import subprocess
from typing import Protocol

from gated.errors import UpdateError

BRAIN, LATCH = "gated.service", "gated-latch.service"
VISION = ("gated-vision.socket", "gated-vision.service")
"""Vision's socket, which is enabled, and what the brain has started by dialling it."""


class Units(Protocol):
    """What starts and stops the gate."""

    def restart(self) -> None:
        """Start latch and brain with the version that is current."""

    def stop_brain(self) -> None:
        """Have nobody use the databases when this returns; the latch goes on, and leaving with it."""

    def run(self) -> str:
        """Which start of the brain is on duty; empty while none is."""


class Systemd:
    """The real ones. Everything raises `UpdateError` where systemctl does not do its part."""

    def restart(self) -> None:
        """Start both anew, without waiting: what comes of it is seen, not believed."""
        systemctl("reset-failed", LATCH, BRAIN)
        systemctl("--no-block", "restart", LATCH)
        systemctl("--no-block", "restart", BRAIN)

    def stop_brain(self) -> None:
        """Stop it, also when it hangs: systemd kills it in the end."""
        systemctl("stop", BRAIN)

    def run(self) -> str:
        """Its process, while the unit is active: a unit of Type=notify is from READY on."""
        said = systemctl("show", "--property=ActiveState,MainPID", BRAIN)
        seen = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        return seen.get("MainPID", "") if seen.get("ActiveState") == "active" else ""


def systemctl(*words: str) -> str:
    """One call of it. Raises `UpdateError`."""
    try:
        done = subprocess.run(["systemctl", *words], capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UpdateError(f"systemctl {' '.join(words)}: {error}; run this on the gate, as root") from error
    if done.returncode and words[0] != "reset-failed":  # which fails where a unit is not loaded, and does nothing then
        raise UpdateError(f"systemctl {' '.join(words)}: {done.stderr.strip()}; run this as root")
    return done.stdout

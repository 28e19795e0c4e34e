"""Starts, stops and queries the gate's systemd services (systemctl(1))."""

import subprocess
from typing import Protocol

from gated.errors import UpdateError

BRAIN, LATCH = "gated.service", "gated-latch.service"
VISION = ("gated-vision.socket", "gated-vision.service")
"""Vision's units: the socket, which is enabled, and the service, which starts when the brain dials the socket."""


class GateServices(Protocol):
    """The interface to the gate's services."""

    def restart(self) -> None:
        """Start the latch and the brain again, with the current version."""

    def stop_brain(self) -> None:
        """Stop the brain, so that no process uses the databases on return.

        The latch keeps running, so people can leave.
        """

    def run(self) -> str:
        """Return an id of the brain's current start; empty if no brain is on duty."""


class Systemd:
    """The gate's real services. Every method raises `UpdateError` if systemctl fails."""

    def restart(self) -> None:
        """Restart both services without waiting. The caller observes the result instead of trusting systemctl."""
        systemctl("reset-failed", LATCH, BRAIN)
        systemctl("--no-block", "restart", LATCH)
        systemctl("--no-block", "restart", BRAIN)

    def stop_brain(self) -> None:
        """Stop the brain, even if it hangs: systemd kills it in the end."""
        systemctl("stop", BRAIN)

    def run(self) -> str:
        """Return the process id of the active unit. A unit of Type=notify is active from READY on."""
        output = systemctl("show", "--property=ActiveState,MainPID", BRAIN)
        seen = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
        return seen.get("MainPID", "") if seen.get("ActiveState") == "active" else ""


def systemctl(*words: str) -> str:
    """Run systemctl once and return its output. Raises `UpdateError`."""
    try:
        done = subprocess.run(["systemctl", *words], capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UpdateError(f"systemctl {' '.join(words)}: {error}; run this on the gate, as root") from error
    if done.returncode and words[0] != "reset-failed":  # `reset-failed` fails harmlessly for a unit that is not loaded
        raise UpdateError(f"systemctl {' '.join(words)}: {done.stderr.strip()}; run this as root")
    return done.stdout

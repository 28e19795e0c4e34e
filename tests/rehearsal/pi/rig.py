"""What every step of the rehearsal uses: the machine, the gate on it, its journal, and the edges on its lines."""

import json
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from edge_log import Edge, read_console
from machine import Machine, StepError

CHECKOUT = Path(__file__).parents[3]
SHARED = CHECKOUT.parent / "shared"
LOCK, CONTACT, REX, FIRE = 17, 22, 23, 24
UNITS = ("gated", "gated-latch", "gated-vision")


@dataclass
class Rig:
    """One rehearsal. `rows` grows with a row of the final table for each thing that was tried."""

    machine: Machine
    cuts: int = 5
    rows: list[tuple[str, str, str]] = field(default_factory=list)
    figures: dict[str, str] = field(default_factory=dict)

    def good(self, what: str, seen: str) -> None:
        """Add a row to the table."""
        self.rows.append((what, "good", seen))
        print(f"   good: {what}: {seen}", flush=True)

    def bad(self, what: str, seen: str) -> None:
        """Add a row for something that does not hold."""
        self.rows.append((what, "BAD", seen))
        print(f"   BAD: {what}: {seen}", flush=True)

    def slow(self, what: str, seen: str) -> None:
        """Add a row for a limit on time that this machine is too slow for. A Pi must keep it."""
        self.rows.append((what, "slow", seen))
        print(f"   slow: {what}: {seen}", flush=True)

    def check(self, what: str, holds: bool, seen: str) -> None:
        """Add a row for something that holds or not."""
        (self.good if holds else self.bad)(what, seen)

    # -- the gate

    def gated(self, command: str, timeout_s: float = 120.0, stdin: str = "") -> str:
        """Run a command of gated as its own user."""
        return self.machine.run(f"cd / && sudo -u gated gated {command}", timeout_s, stdin)

    def pid(self, unit: str) -> int:
        """Return the main process of a unit, 0 if there is none."""
        return int(self.machine.run(f"systemctl show -p MainPID --value {unit}").strip() or 0)

    def await_duty(self, timeout_s: float = 120.0) -> float:
        """Wait until brain and latch serve. Returns the seconds. `await_sight` waits for vision."""
        return self.machine.until(
            "systemctl is-active -q gated && systemctl is-active -q gated-latch && test -S /run/gated/latch.sock && "
            f"{status_has('latch', 'serves')}",
            timeout_s,
            "the gate is on duty",
        )

    def await_sight(self, timeout_s: float = 180.0) -> float:
        """Wait until no part of the gate is lost. Returns the seconds."""
        return self.machine.until("cd / && sudo -u gated gated status >/dev/null 2>&1", timeout_s, "vision answers")

    def await_another(self, unit: str, before: int, timeout_s: float = 60.0) -> float:
        """Wait until the unit has another process than `before` and is active. Returns the seconds."""
        return self.machine.until(
            f'p=$(systemctl show -p MainPID --value {unit}); [ "$p" != 0 ] && [ "$p" != {before} ] && '
            f"systemctl is-active -q {unit}",
            timeout_s,
            f"another process of {unit}",
        )

    def events(self) -> list[dict]:
        """Return every event of the gate's journal, oldest first."""
        rows = json.loads(self.gated("events list --all --json"))
        return sorted(rows, key=lambda row: row["seq"])

    # -- the lines

    def edges(self) -> list[Edge]:
        """Return the edges of the watched lines since the machine was first switched on."""
        return read_console(self.machine.console.read_text("utf-8", "replace"))

    def press_exit(self, for_s: float = 0.3) -> None:
        """Press the exit button."""
        self.machine.run(
            f"echo 'low {REX}' >/proc/pi-header/control; sleep {for_s}; echo 'float {REX}' >/proc/pi-header/control"
        )

    def lock_level(self) -> int:
        """Return the level of the lock's line."""
        return int(self.machine.run(f"awk '$1 == {LOCK} {{ print $3 }}' /proc/pi-header/lines"))

    def await_lock(self, level: int, timeout_s: float) -> float:
        """Wait for a level of the lock's line. Returns the seconds."""
        return self.machine.until(
            f"[ $(awk '$1 == {LOCK} {{ print $3 }}' /proc/pi-header/lines) = {level} ]",
            timeout_s,
            f"the lock's line is {level}",
        )

    # -- the camera

    def show(self, picture: Path | None) -> None:
        """Put a picture before the lens, or give the view of the empty street back."""
        if picture is None:
            self.machine.run("printf '\\000' | dd of=/usr/share/pi-camera/scene conv=notrunc status=none")
            return
        scene = subprocess.run(
            [sys.executable, str(Path(__file__).parent / "card/scene.py"), str(picture)],
            capture_output=True,
            check=True,
        ).stdout
        local = self.machine.place / "scene"
        local.write_bytes(scene)
        self.machine.put(local, "/run/scene")
        self.machine.run("dd if=/run/scene of=/usr/share/pi-camera/scene conv=notrunc bs=1M status=none")

    def silence_camera(self, is_silent: bool) -> None:
        """Let no frame arrive any more, or let them arrive again."""
        mode = "\\002" if is_silent else "\\000"
        self.machine.run(f"printf '{mode}' | dd of=/usr/share/pi-camera/scene conv=notrunc status=none")


def status_has(field: str, value: str) -> str:
    """Return the shell condition that a field of the gate's status begins with a value."""
    test = f"import json, sys; sys.exit(not json.load(sys.stdin)[{field!r}].startswith({value!r}))"
    return f'(cd / && sudo -u gated gated status --json | python3 -c "{test}")'


def quoted(text: str) -> str:
    """Return the text as one word of a shell."""
    return shlex.quote(text)


def pause(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


__all__ = ["CHECKOUT", "CONTACT", "FIRE", "LOCK", "REX", "SHARED", "UNITS", "Rig", "StepError", "pause", "quoted"]

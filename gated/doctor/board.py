"""Reads the machine's model, power, heat and memory from the kernel and the firmware.

The doctor, the handover page and provisioning use it.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from gated.doctor.finding import Finding, amber, green, red

ROOT = Path("/")
"""Default root of the file system; tests pass another."""
ASK_S = 5.0
"""Limits how long the firmware may take to answer, in seconds."""

THROTTLED = {
    0: "the supply is under 4.63 V",
    1: "the processor is slowed by the supply",
    2: "the processor is throttled",
    3: "the processor is slowed by heat",
}
"""Meaning of each bit of `vcgencmd get_throttled` for now (vcgencmd(1)).

The same bits, 16 places higher, tell what happened since power-on.
"""
SINCE = 16
"""Distance from the bits for now to the bits since power-on."""

WARM_C, HOT_C = 75.0, 85.0
"""Limits of the processor's temperature, in °C: amber, red.

The firmware slows a Pi step by step from 80 °C on, and fully at 85 °C (Raspberry Pi documentation, config.txt,
temperature control). 5 °C before that, an installer still has time to add a vent.
"""
SPARE_MB, LEAST_MB = 150.0, 50.0
"""Limits of free memory, in MB: amber below the first, red below the second.

Starting brain and vision again beside the running ones takes about 280 MB. Below 50 MB the
kernel soon kills processes.
"""


@dataclass(frozen=True, slots=True)
class Board:
    """A machine. `serial`: the Pi's serial number, or systemd's machine id on other machines."""

    model: str
    serial: str
    is_pi: bool


def board_at(root: Path = ROOT) -> Board:
    """Return the machine described by /proc and /etc under `root`."""
    model = _text(root / "proc/device-tree/model")
    is_pi = model.startswith("Raspberry Pi")
    serial = _text(root / "proc/device-tree/serial-number") or _text(root / "etc/machine-id")
    return Board(model or "no Raspberry Pi", serial or "unknown", is_pi)


def throttling() -> int | None:
    """Return the firmware's throttling bits; None if they cannot be read."""
    try:
        said = subprocess.run(["vcgencmd", "get_throttled"], capture_output=True, text=True, timeout=ASK_S, check=True)
        return int(said.stdout.strip().removeprefix("throttled="), 16)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def power(board: Board, bits: int | None) -> Finding:
    """Return whether the power supply suffices. `bits`: the result of `throttling`."""
    if bits is None:
        says = f"unknown: {'vcgencmd does not answer' if board.is_pi else 'this is no Raspberry Pi'}"
        step = "let the gate's user join the group video" if board.is_pi else "look again on the gate's own board"
        return amber("power", says, step)
    now, since = decoded(bits), decoded(bits >> SINCE)
    told = f"0x{bits:x}"
    if now:
        return red("power", f"now {', '.join(now)}", "fit the Pi's own supply and a short, thick cable", throttled=told)
    if since:
        says = f"well now; since power-on {', '.join(since)}"
        return amber("power", says, "fit the Pi's own supply, and see what hangs on its 5 V", throttled=told)
    return green("power", "never too low nor throttled since power-on", throttled=told)


def decoded(bits: int) -> list[str]:
    """Return the meaning of the lowest four bits."""
    return [says for bit, says in THROTTLED.items() if bits >> bit & 1]


def temperature(root: Path = ROOT) -> Finding:
    """Return how hot the processor is."""
    text = _text(root / "sys/class/thermal/thermal_zone0/temp")  # thousandths of a degree
    if not text.lstrip("-").isdecimal():
        return amber("temperature", "unknown: no sensor tells", "look again on the gate's own board")
    celsius = int(text) / 1000
    says, step = f"{celsius:.0f} °C", "give the case shade, a heat sink or a vent"
    if celsius >= HOT_C:
        return red("temperature", f"{says}: the processor is as slow as it gets", step, celsius=celsius)
    if celsius >= WARM_C:
        return amber("temperature", f"{says}: soon the processor is slowed", step, celsius=celsius)
    return green("temperature", says, celsius=celsius)


def memory(root: Path = ROOT) -> Finding:
    """Return how much memory is free for programs."""
    rows = dict(line.partition(":")[::2] for line in _text(root / "proc/meminfo").splitlines())
    kib = {
        key: int(value.split()[0]) for key, value in rows.items() if value.split()[:1] and value.split()[0].isdecimal()
    }
    if "MemAvailable" not in kib:
        return amber("memory", "unknown: the kernel does not tell", "mount /proc, without ProcSubset=pid")
    free, whole = (kib.get(key, 0) * 1.024e-3 for key in ("MemAvailable", "MemTotal"))
    says, step = f"{free:,.0f} of {whole:,.0f} MB free", "end what else runs here, or take a board with more"
    figures = {"available_mb": round(free), "total_mb": round(whole)}
    if free < LEAST_MB:
        return red("memory", says, step, **figures)
    return green("memory", says, **figures) if free >= SPARE_MB else amber("memory", says, step, **figures)


def _text(path: Path) -> str:
    """Return the text of a kernel file; empty if it cannot be read."""
    try:
        return path.read_text("utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""

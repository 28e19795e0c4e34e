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

The same bits, 16 places higher, show the past since power-on.
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

A second pair of brain and vision process needs about 280 MB. Below 50 MB the
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
        answer = subprocess.run(
            ["vcgencmd", "get_throttled"], capture_output=True, text=True, timeout=ASK_S, check=True
        )
        return int(answer.stdout.strip().removeprefix("throttled="), 16)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def power(board: Board, bits: int | None) -> Finding:
    """Return whether the power supply suffices. `bits`: the result of `throttling`."""
    if bits is None:
        result = f"unknown: {'vcgencmd does not answer' if board.is_pi else 'this is not a Raspberry Pi'}"
        step = "add the gate's user to the group video" if board.is_pi else "run this on the gate's own board"
        return amber("power", result, step)
    now, since = decoded(bits), decoded(bits >> SINCE)
    bits_text = f"0x{bits:x}"
    if now:
        return red(
            "power",
            f"now {', '.join(now)}",
            "use the Pi's own power supply and a short, thick cable",
            throttled=bits_text,
        )
    if since:
        result = f"normal now; since power-on {', '.join(since)}"
        return amber(
            "power", result, "use the Pi's own power supply, and check the devices on its 5 V", throttled=bits_text
        )
    return green("power", "no undervoltage and no throttling since power-on", throttled=bits_text)


def decoded(bits: int) -> list[str]:
    """Return the meaning of the lowest four bits."""
    return [result for bit, result in THROTTLED.items() if bits >> bit & 1]


def temperature(root: Path = ROOT) -> Finding:
    """Return how hot the processor is."""
    text = _text(root / "sys/class/thermal/thermal_zone0/temp")  # thousandths of a degree
    if not text.lstrip("-").isdecimal():
        return amber("temperature", "unknown: no sensor", "run this on the gate's own board")
    celsius = int(text) / 1000
    result, step = f"{celsius:.0f} °C", "give the case shade, a heat sink or a vent"
    if celsius >= HOT_C:
        return red("temperature", f"{result}: the processor runs at its lowest speed", step, celsius=celsius)
    if celsius >= WARM_C:
        return amber("temperature", f"{result}: the processor will soon be slowed", step, celsius=celsius)
    return green("temperature", result, celsius=celsius)


def memory(root: Path = ROOT) -> Finding:
    """Return how much memory is free for programs."""
    rows = dict(line.partition(":")[::2] for line in _text(root / "proc/meminfo").splitlines())
    kib = {
        key: int(value.split()[0]) for key, value in rows.items() if value.split()[:1] and value.split()[0].isdecimal()
    }
    if "MemAvailable" not in kib:
        return amber("memory", "unknown: the kernel does not report it", "mount /proc without ProcSubset=pid")
    free, whole = (kib.get(key, 0) * 1.024e-3 for key in ("MemAvailable", "MemTotal"))
    result, step = f"{free:,.0f} of {whole:,.0f} MB free", "stop other programs, or use a board with more memory"
    figures = {"available_mb": round(free), "total_mb": round(whole)}
    if free < LEAST_MB:
        return red("memory", result, step, **figures)
    return green("memory", result, **figures) if free >= SPARE_MB else amber("memory", result, step, **figures)


def _text(path: Path) -> str:
    """Return the text of a kernel file; empty if it cannot be read."""
    try:
        return path.read_text("utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""

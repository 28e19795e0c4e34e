"""The machine that the gate runs on: which it is, its power, its heat, its memory, as kernel and firmware tell it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from gated.health.finding import Finding, amber, green, red

ROOT = Path("/")
ASK_S = 5.0
"""So long the firmware may take to answer."""

THROTTLED = {
    0: "the supply is under 4.63 V",
    1: "the processor is slowed by the supply",
    2: "the processor is throttled",
    3: "the processor is slowed by heat",
}
"""What each bit of `vcgencmd get_throttled` says of now; 16 bits higher, of the time since power-on (vcgencmd(1))."""
SINCE = 16

WARM_C, HOT_C = 75.0, 85.0
"""From 80 °C on the firmware slows a Pi step by step, at 85 °C to the utmost (Raspberry Pi documentation, config.txt,
temperature control); 5 °C before that there is still time for a vent.
"""
SPARE_MB, LEAST_MB = 150.0, 50.0
"""A fresh start of brain and vision beside those that run takes some 280 MB (design.md, section 12); with less than the
latter the kernel is about to end processes.
"""


@dataclass(frozen=True, slots=True)
class Board:
    """A machine. `serial`: the Pi's own, elsewhere systemd's machine id."""

    model: str
    serial: str
    is_pi: bool


def board_at(root: Path = ROOT) -> Board:
    """The machine whose kernel shows itself under `root`."""
    model = _text(root / "proc/device-tree/model")
    is_pi = model.startswith("Raspberry Pi")
    serial = _text(root / "proc/device-tree/serial-number") or _text(root / "etc/machine-id")
    return Board(model or "no Raspberry Pi", serial or "unknown", is_pi)


def throttling() -> int | None:
    """The firmware's bits, None where nothing tells."""
    try:
        said = subprocess.run(["vcgencmd", "get_throttled"], capture_output=True, text=True, timeout=ASK_S, check=True)
        return int(said.stdout.strip().removeprefix("throttled="), 16)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def power(board: Board, bits: int | None) -> Finding:
    """Whether the supply holds. `bits`: as `throttling` gives them."""
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
    """What the lowest four bits say."""
    return [says for bit, says in THROTTLED.items() if bits >> bit & 1]


def temperature(root: Path = ROOT) -> Finding:
    """How hot the processor is."""
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
    """How much is left for programs."""
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
    """What the kernel says there; nothing where it says nothing."""
    try:
        return path.read_text("utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""

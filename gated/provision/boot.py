"""What a Raspberry Pi's firmware must know of the pins, in its config.txt, before Linux and we are there."""

from collections.abc import Iterable
from pathlib import Path

from gated.config import Settings

BEGIN, END = "# gated: begin", "# gated: end"
STRICT = "dtparam=strict_gpiod"
PLACES = ("boot/firmware/config.txt", "boot/config.txt")


def config_txt(root: Path) -> Path | None:
    """Where the firmware reads it: since Bookworm in `firmware`; None on a machine that is no Raspberry Pi."""
    return next((root / place for place in PLACES if (root / place).is_file()), None)


def boot_lines(settings: Settings) -> list[str]:
    """What the gate needs there.

    `gpio=N=op,dl` holds a line low from the firmware on, `dh` high; strict_gpiod gives a line back when its process
    ends, however it ends; watchdog lets systemd feed the board's own (Raspberry Pi documentation, config.txt).
    """
    locks = [
        f"gpio={wires.lock_pin}=op,{'dl' if wires.lock_active_high else 'dh'}" for wires in settings.doors.values()
    ]
    return [STRICT, "dtparam=watchdog=on", *locks]


def with_lines(text: str, lines: Iterable[str]) -> str:
    """A config.txt with these lines as a block at its end, in the place of an earlier one.

    The block begins with [all], because what stands before may be for one model alone.
    """
    before, begin, rest = text.partition(f"{BEGIN}\n")
    after = rest.partition(f"{END}\n")[2] if begin else ""
    kept = before.rstrip("\n") + "\n" if before.strip() else ""
    return kept + "\n".join([BEGIN, "[all]", *lines, END]) + "\n" + after

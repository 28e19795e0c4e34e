"""The lines that a gate needs in config.txt, the configuration of the Raspberry Pi's firmware. The firmware sets the
pins before Linux and gated start. The provisioning step `Firmware` uses this module.
"""

from collections.abc import Iterable
from pathlib import Path

from gated.config import Settings

BEGIN, END = "# gated: begin", "# gated: end"
STRICT = "dtparam=strict_gpiod"
PLACES = ("boot/firmware/config.txt", "boot/config.txt")


def config_txt(root: Path) -> Path | None:
    """Return the path of config.txt: in `firmware` since Bookworm.

    Return None if this machine is not a Raspberry Pi.
    """
    return next((root / place for place in PLACES if (root / place).is_file()), None)


def boot_lines(settings: Settings) -> list[str]:
    """Return the config.txt lines that this gate needs.

    `gpio=N=op,dl` drives pin N low from power-on; `dh` drives it high. strict_gpiod resets a pin when its process ends,
    for any reason. watchdog lets systemd feed the board's watchdog. Source: Raspberry Pi documentation, config.txt.
    """
    locks = [
        f"gpio={wires.lock_pin}=op,{'dl' if wires.lock_active_high else 'dh'}" for wires in settings.doors.values()
    ]
    return [STRICT, "dtparam=watchdog=on", *locks]


def with_lines(text: str, lines: Iterable[str]) -> str:
    """Return a config.txt with these lines as one block. The block replaces an earlier one, or is added at the end.

    The block begins with [all], because the lines above it may apply to one model only.
    """
    before, begin, rest = text.partition(f"{BEGIN}\n")
    after = rest.partition(f"{END}\n")[2] if begin else ""
    kept = before.rstrip("\n") + "\n" if before.strip() else ""
    return kept + "\n".join([BEGIN, "[all]", *lines, END]) + "\n" + after

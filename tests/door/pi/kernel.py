"""A stand-in for lgpio's C library: GPIO chips with lines. Everything above it is real.

It follows the kernel's rules. A line is held from its first claim until it is freed or its chip is closed. Another
claim of a held line is busy. `python kernel.py CHIPS COMMAND...` runs `gated COMMAND...` over it; CHIPS is JSON.
"""

import contextlib
import json
import os
import struct
import sys
import tempfile
import time
from pathlib import Path

HERE = Path.cwd()
os.environ.setdefault("LG_WD", tempfile.mkdtemp())  # on import lgpio makes a FIFO there and changes into it
import gpiozero.pins.local  # noqa: E402
import lgpio  # noqa: E402

os.chdir(HERE)
FIFO = Path(os.environ["LG_WD"]) / f".lgd-nfy{lgpio._notify_thread._notify}"
REVISION = 0xC03111
BUSY, BAD_HANDLE, BAD_NUMBER, CANNOT_OPEN, NOT_ALLOCATED = -79, -5, -73, -78, -80
OUTPUT = 2
PULLS = {32: 1, 64: 0}


class Chip:
    """One chip: its label, the lines that other programs hold, and the state of its lines."""

    def __init__(self, label, lines=54, busy=None, is_open_to_us=True):
        self.label, self.lines, self.is_open_to_us = label, lines, is_open_to_us
        self.busy = {int(line): holder for line, holder in (busy or {}).items()}
        self.holders, self.levels, self.outputs, self.alerts, self.flags = {}, {}, set(), {}, {}
        self.driven = []
        """Every change of an output, as (line, level)."""


class Kernel:
    """The chips by number. `wires` connects two lines of chip 0; the first drives the second."""

    def __init__(self, chips, wires=()):
        self.chips, self.handles, self.next, self.wires = chips, {}, 0, dict(wires)
        gpiozero.pins.local.get_pi_revision = lambda: REVISION
        for name in [name for name in dir(Kernel) if name.startswith(("gpio_", "gpiochip_"))]:
            assert hasattr(lgpio._lgpio, f"_{name}"), name
            setattr(lgpio._lgpio, f"_{name}", getattr(self, name))

    def edge(self, number, line, level):
        """Change an input from outside, and report the edge as the C library does."""
        chip = self.chips[number]
        chip.levels[line] = level
        self.report(number, line, level)

    def report(self, number, line, level):
        if line in self.chips[number].alerts:
            with FIFO.open("wb") as fifo:
                fifo.write(struct.pack("QBBBBI", time.monotonic_ns(), number, line, level, 0, 0))

    def gpiochip_open(self, number):
        if number not in self.chips or not self.chips[number].is_open_to_us:
            return CANNOT_OPEN
        self.next += 1
        self.handles[self.next] = number
        return self.next

    def gpiochip_close(self, handle):
        if handle not in self.handles:
            return BAD_HANDLE
        chip = self.chips[self.handles.pop(handle)]
        for line in [line for line, holder in chip.holders.items() if holder == handle]:
            self._let_go(chip, line)
        return 0

    def gpio_get_chip_info(self, handle):
        if handle not in self.handles:
            return [BAD_HANDLE, 0, "", ""]
        chip = self.chips[self.handles[handle]]
        return [0, chip.lines, f"gpiochip{self.handles[handle]}", chip.label]

    def gpio_get_line_info(self, handle, line):
        chip = self.chips[self.handles[handle]]
        return [0, line, 0, f"GPIO{line}", chip.busy.get(line, "lg" if line in chip.holders else "")]

    def gpio_get_mode(self, handle, line):
        chip = self._chip(handle)
        return chip if isinstance(chip, int) else (OUTPUT if line in chip.outputs else 0) | chip.flags.get(line, 0)

    def gpio_claim_input(self, handle, flags, line):
        def done(chip):
            chip.outputs.discard(line)
            chip.alerts.pop(line, None)
            chip.flags[line] = flags
            if flags in PULLS and not any(to == line and by in chip.outputs for by, to in self.wires.items()):
                chip.levels[line] = PULLS[flags]
            self._follow(chip, line)

        return self._claim(handle, line, done)

    def gpio_claim_output(self, handle, flags, line, level):
        def done(chip):
            chip.outputs.add(line)
            chip.levels[line] = level
            chip.driven.append((line, level))
            self._follow(chip, line)

        return self._claim(handle, line, done)

    def gpio_claim_alert(self, handle, flags, edges, line, notify):
        def done(chip):
            chip.outputs.discard(line)
            chip.alerts[line], chip.flags[line] = edges, flags

        return self._claim(handle, line, done)

    def gpio_free(self, handle, line):
        chip = self._chip(handle)
        if isinstance(chip, int) or chip.holders.get(line) != handle:
            return NOT_ALLOCATED
        self._let_go(chip, line)
        return 0

    def gpio_read(self, handle, line):
        chip = self._chip(handle)
        return chip if isinstance(chip, int) else chip.levels.get(line, 0)

    def gpio_write(self, handle, line, level):
        chip = self._chip(handle)
        if isinstance(chip, int):
            return chip
        chip.levels[line] = int(level)
        chip.driven.append((line, int(level)))
        self._follow(chip, line)
        return 0

    def gpio_set_debounce_micros(self, handle, line, micros):
        return 0

    def _chip(self, handle):
        return self.chips[self.handles[handle]] if handle in self.handles else BAD_HANDLE

    def _claim(self, handle, line, done):
        chip = self._chip(handle)
        if isinstance(chip, int):
            return chip
        if not 0 <= line < chip.lines:
            return BAD_NUMBER
        if line in chip.busy or chip.holders.get(line, handle) != handle:
            return BUSY
        chip.holders[line] = handle
        done(chip)
        return 0

    def _follow(self, chip, line):
        """Set the line that is wired to `line`: to its level if it is an output, else to the other line's pull."""
        other = self.wires.get(line)
        if other is not None:
            level = chip.levels[line] if line in chip.outputs else PULLS.get(chip.flags.get(other, 0) & 96, 0)
            if chip.levels.get(other) != level:
                chip.levels[other] = level
                self.report(0, other, level)

    def _let_go(self, chip, line):
        del chip.holders[line]
        chip.outputs.discard(line)
        chip.alerts.pop(line, None)
        self._follow(chip, line)


def kernel_of(chips, wires=()):
    """Return a kernel with these chips: {number: {"label": ..., "busy": {line: holder}, "is_open_to_us": ...}}."""
    return Kernel({int(number): Chip(**chip) for number, chip in chips.items()}, wires)


if __name__ == "__main__":
    kernel_of(json.loads(sys.argv[1]))
    from gated.cli import main

    sys.argv[:] = ["gated", *sys.argv[2:]]
    with contextlib.suppress(KeyboardInterrupt):
        main()

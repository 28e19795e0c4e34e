"""Mock pins. They record the changes of outputs in a trace. A line that another factory holds is busy, as on a chip."""

import errno
import fcntl
import json
import logging
import os
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gpiozero.pins.mock import MockFactory, MockPin

from gated.door.gpio_errors import BUSY, line_trouble
from gated.errors import StateError

log = logging.getLogger(__name__)

ONE_BYTE = "hhqqi"
"""`struct flock` of fcntl(2): lock type, whence, start, length, process id (0 for these locks)."""


class HeldLines:
    """The mock lines that one factory holds.

    Byte N of a file stands for line N and is locked by the open file (fcntl(2), F_OFD_SETLK). Every other factory, in
    this process or another, finds a locked byte busy. The kernel releases the locks of a killed process.
    """

    def __init__(self, path: Path | None, *, makes_file: bool = True) -> None:
        """Remember the file.

        If `path` is None, no line is locked. Without `makes_file` an absent file means the same.
        """
        self._path, self._makes_file = path, makes_file
        self._fd: int | None = None

    def claim(self, number: int) -> None:
        """Lock a line. Raises `LatchError` when another factory holds it. Does nothing if there is no file."""
        fd = self._opened()
        if fd is None:
            return
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack(ONE_BYTE, fcntl.F_WRLCK, os.SEEK_SET, number, 1, 0))
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                log.error("%s: the mock lines cannot be locked (%s)", self._path, error.strerror)
                return
            raise line_trouble(number, BUSY, holder="another program with mock pins") from error

    def close(self) -> None:
        """Release every line."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _opened(self) -> int | None:
        """Open the file and return its descriptor, or None.

        Every user may lock it, because root tries the pins before the latch's own user claims them.
        """
        if self._fd is None and self._path is not None:
            if not self._makes_file and not self._path.exists():
                return None
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
                with suppress(PermissionError):  # another user made the file
                    os.fchmod(self._fd, 0o666)
            except OSError as error:
                log.error("%s: the mock lines cannot be locked (%s)", self._path, error.strerror)
                self._path = None
        return self._fd


class TracedFactory(MockFactory):  # type: ignore[misc]
    """A factory of mock pins. As in lgpio, it holds its lines until it is closed."""

    def __init__(self, pin_class: type[MockPin], held: HeldLines) -> None:
        super().__init__(pin_class=pin_class)
        self.held = held

    def close(self) -> None:
        """Give every line back."""
        super().close()
        self.held.close()


def traced_factory(
    lines: Mapping[int, tuple[str, bool]], trace: str = "", held: HeldLines | None = None
) -> TracedFactory:
    """Return a factory of mock pins that appends each change of an output in `lines` to the trace file.

    `lines` maps a pin number to the output's name and whether it is active high. A line of the trace is
    `{"t": monotonic seconds, "line": name, "on": energised}`. Raises `StateError` when the trace cannot be written.
    """
    write = _tracer(Path(trace)) if trace else lambda line, on: None

    class TracedPin(MockPin):  # type: ignore[misc]
        """A mock pin whose level and direction change together. As an input, its output counts as off.

        On real hardware, the external resistor then switches the coil off.
        """

        def __init__(self, factory: TracedFactory, info: Any) -> None:
            factory.held.claim(int(info.name.removeprefix("GPIO")))
            super().__init__(factory, info)

        def output_with_state(self, state: bool) -> None:
            """Make the pin an output with this state, and record it."""
            self._function = "output"
            self._state = bool(state)
            self._note()

        def _set_function(self, value: str) -> None:
            was_output = self._function == "output"
            super()._set_function(value)
            if was_output and value == "input":
                self._note()

        def _change_state(self, value: bool) -> bool:
            changed = bool(super()._change_state(value))
            if changed and self._function == "output":
                self._note()
            return changed

        def _note(self) -> None:
            if self._number in lines:
                line, active_high = lines[self._number]
                write(line, self._function == "output" and self._state == active_high)

    return TracedFactory(TracedPin, held or HeldLines(None))


def _tracer(path: Path) -> Callable[[str, bool], None]:
    """Return a function that appends a line to the trace. One write per line keeps the lines of a killed process whole.

    Raises `StateError` when the file cannot be opened.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StateError(f"{path}: the trace of the mock pins cannot be written ({error.strerror})") from error

    def write(line: str, on: bool) -> None:
        """Append one transition of a line to the trace, with its monotonic time in seconds."""
        os.write(fd, json.dumps({"t": time.monotonic(), "line": line, "on": on}).encode() + b"\n")

    return write

"""The GPIO pins of a Raspberry Pi, through lgpio. Import it only for real pins: lgpio has side effects on import.

Each lgpio error becomes a `LatchError` that names the line, the reason and the next step. lgpio's error class derives
from `Exception` only; no other module needs to know this class.
"""

import functools
import logging
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# On import lgpio makes a FIFO in this folder and changes into it. The current folder may not be writable.
os.environ.setdefault("LG_WD", os.environ.get("RUNTIME_DIRECTORY", tempfile.gettempdir()).split(":")[0])
import lgpio
from gpiozero.pins.lgpio import LGPIOFactory, LGPIOPin

from gated.door.gpio_errors import BUSY, chip_trouble, line_trouble
from gated.door.gpio_lines import CHIP_LABELS
from gated.errors import LatchError

log = logging.getLogger(__name__)

CHIP_DEVICES = Path("/dev")
USUAL_NUMBERS = 32
"""The number of chips to try, even if /dev lists fewer."""


def find_chip() -> int:
    """Return the number of the header's GPIO chip.

    Raises `LatchError` if there is no such chip, or if this user may not open the chip.
    """
    labels, refused = dict[int, str](), []
    numbers: set[int] = {*range(USUAL_NUMBERS), *_numbers()}
    for number in sorted(numbers):
        try:
            labels[number] = _label(number)
        except lgpio.error as error:
            if (CHIP_DEVICES / f"gpiochip{number}").exists():
                refused.append(f"gpiochip{number}: {_why_refused(number, error)}")
            continue
        if labels[number] in CHIP_LABELS:
            return number
    others = [f'gpiochip{number} is "{label}"' for number, label in labels.items()]
    raise chip_trouble("; ".join([f"no chip is called {' or '.join(CHIP_LABELS)}", *others, *refused]))


def _numbers() -> Iterator[int]:
    """Yield the numbers of the chips that have a device file."""
    for path in CHIP_DEVICES.glob("gpiochip*"):
        if found := re.fullmatch(r"gpiochip(\d+)", path.name):
            yield int(found[1])


def _label(number: int) -> str:
    handle = lgpio.gpiochip_open(number)
    try:
        return str(lgpio.gpio_get_chip_info(handle)[3])
    finally:
        lgpio.gpiochip_close(handle)


def _why_refused(number: int, error: Exception) -> str:
    """Return why a chip cannot be opened. lgpio gives the same message for every cause."""
    is_allowed = os.access(CHIP_DEVICES / f"gpiochip{number}", os.R_OK | os.W_OK)
    return str(error).strip("'") if is_allowed else "this user may not open it"


def _with_latch_error(call: Callable[..., Any], *, is_claim: bool) -> Callable[..., Any]:
    """Wrap a method of a pin so that an lgpio error becomes a `LatchError`."""

    @functools.wraps(call)
    def wrapped(pin: Any, *arguments: Any) -> Any:
        """Call the method of the pin. Turns an error of lgpio into one that names the line and its holder."""
        try:
            return call(pin, *arguments)
        except lgpio.error as error:
            reason = str(error.value)
            holder = pin.factory.holder(pin._number) if reason == BUSY else ""
            raise line_trouble(pin._number, reason, holder=holder, is_claimed=not is_claim) from error

    return wrapped


class SteadyPin(LGPIOPin):  # type: ignore[misc]
    """A pin with an output that starts at the requested level. Closing the pin also removes its callback."""

    def output_with_state(self, state: bool) -> None:
        """Claim the pin as an output that starts at this level.

        gpiozero's own method claims it at level 0 and then writes the level. That drives an active-low relay for an
        instant at every start (gpiozero pull request 1177, open in 2.0.1.post3).
        """
        lgpio.gpio_claim_output(self.factory._handle, self._number, int(bool(state)))

    def close(self) -> None:
        """Remove the edge callback, then close the pin. gpiozero's own method leaves the callback in lgpio.

        Never raises. After a failed close, gpiozero closes the device again at garbage collection. That would take the
        line from its new owner. A line that cannot be given back is released with the factory.
        """
        for step in (self._remove_callback, super().close):
            try:
                step()
            except (LatchError, lgpio.error) as error:
                log.error("pin %d cannot be given back (%s)", self._number, str(error).strip("'"))

    def _remove_callback(self) -> None:
        self.when_changed = None

    def _call_when_changed(self, chip: int, gpio: int, level: int, ticks: int) -> None:
        """Pass an edge on. lgpio has one thread for all callbacks: an exception here would end it for every pin."""
        try:
            super()._call_when_changed(chip, gpio, level, ticks)
        except Exception:
            log.exception("pin %d: an edge could not be passed on", gpio)


CLAIMS = ("__init__", "output_with_state", "_set_function", "_set_pull", "_enable_event_detect")
USES = ("_get_function", "_get_state", "_set_state", "_get_pull", "_set_bounce", "_disable_event_detect")
for _names, _is_claim in ((CLAIMS, True), (USES, False)):
    for _name in _names:
        setattr(SteadyPin, _name, _with_latch_error(getattr(SteadyPin, _name), is_claim=_is_claim))


class SteadyFactory(LGPIOFactory):  # type: ignore[misc]
    """The factory of the header's pins. Closing the factory gives every line back; closing one device does not."""

    def __init__(self) -> None:
        """Open the chip. Raises `LatchError` when no chip can be opened."""
        try:
            super().__init__(chip=find_chip())
        except lgpio.error as error:
            raise chip_trouble(str(error.value)) from error
        # gpiozero's factories share these, so one factory would close the pins of another. The kernel guards the lines.
        self.pins: dict[Any, Any] = {}
        self._reservations: defaultdict[Any, list[Any]] = defaultdict(list)
        self.pin_class = SteadyPin

    def holder(self, number: int) -> str:
        """Return the kernel's name for the holder of a line (such as "spi0 CS0"), or an empty string."""
        try:
            return str(lgpio.gpio_get_line_info(self._handle, number)[4])
        except lgpio.error:
            return ""

    def close(self) -> None:
        """Give every line back. A second call does nothing."""
        try:
            super().close()
        finally:
            handle, self._handle = self._handle, None  # type: ignore[has-type]
            if handle is not None:  # a pin could not be closed: closing the chip releases its line
                lgpio.gpiochip_close(handle)

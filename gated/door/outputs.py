"""Lamps, buzzer and pad: what each plays, and that no lamp flashes fast enough to hurt anybody."""

import asyncio
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from gated.config import CueSettings
from gated.door.pins import claim_output, output_pins

LAMPS = ("ready", "open", "refused", "fault", "red", "green", "blue")
LEAST_LAMP_S = 0.25
"""A lamp is on, and off, for at least so long: two flashes a second, under the three of WCAG 2.3.1."""
LEAST_S = 0.02
"""Nothing that can be heard or felt is shorter; it keeps a pattern of zeros from being a busy loop."""
MOST_S = 3600.0

FIRE = dict.fromkeys(("open", "red", "green", "blue"), (0.5, 0.5)) | {"buzzer": (0.5, 1.5)}
"""What a fire release plays, whatever else was asked for: a lamp of three colours flashes white."""

Moment = tuple[bool, float | None]
"""On or off, and for how many seconds; None is until told otherwise."""


def moments(pattern: Sequence[float], repeats: int, least_s: float) -> Iterator[Moment]:
    """What an output does, moment by moment, as `messages.Play` says it. A number that is none counts as `least_s`."""
    if len(pattern) > 1:
        for _ in itertools.count() if repeats <= 0 else range(repeats):
            for place, seconds in enumerate(pattern):
                yield place % 2 == 0, min(seconds, MOST_S) if seconds > least_s else least_s
    yield len(pattern) == 1, None


class Output:
    """One lamp, the buzzer or the pad, on the event loop."""

    def __init__(self, device: Any, least_s: float) -> None:
        self._device, self._least_s = device, least_s
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._moments: Iterator[Moment] = iter(())
        self._changed_at = float("-inf")

    def play(self, pattern: Sequence[float], repeats: int = 0) -> None:
        """Do this from now on; a lamp that has just changed finishes its quarter of a second first."""
        self._moments = moments(pattern, repeats, self._least_s)
        self._next()

    def close(self) -> None:
        """Off, and the pin given back."""
        self._later(None, None)
        self._device.close()

    def _next(self) -> None:
        moment = next(self._moments, (False, None))
        is_change = moment[0] != bool(self._device.value)
        wait_s = self._changed_at + self._least_s - self._loop.time() if is_change else 0.0
        if wait_s > 0:
            self._later(wait_s, moment)
        else:
            self._turn(moment)

    def _turn(self, moment: Moment) -> None:
        is_on, for_s = moment
        if is_on != bool(self._device.value):
            self._device.value, self._changed_at = is_on, self._loop.time()
        self._later(for_s, None)

    def _later(self, seconds: float | None, moment: Moment | None) -> None:
        """After so long do this, or what comes next; it replaces whatever was to be done."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if seconds is not None:
            self._timer = (
                self._loop.call_later(seconds, self._next)
                if moment is None
                else self._loop.call_later(seconds, self._turn, moment)
            )


class Outputs:
    """All that are fitted. Until a brain is there the fault lamp is on."""

    def __init__(self, cues: CueSettings, factory: Any) -> None:
        """Claim the pins, all off but the fault lamp. Raises `LatchError` when one cannot be had."""
        self._outputs = {
            line: Output(claim_output(factory, pin), LEAST_LAMP_S if line in LAMPS else LEAST_S)
            for line, pin in output_pins(cues).items()
        }
        self._is_fire = False
        self.show(is_fault=True)

    def play(self, line: str, pattern: Sequence[float] = (), repeats: int = 0) -> None:
        """Let one play a pattern. One that is not fitted, or that a fire release uses, does not."""
        if line in self._outputs and not (self._is_fire and line in FIRE):
            self._outputs[line].play(pattern, repeats)

    def show(self, *, is_fault: bool) -> None:
        """All off, and the fault lamp on or off: the brain has gone, or come and will say what it wants."""
        for line in self._outputs:
            self.play(line, (1.0,) if is_fault and line == "fault" else ())

    def fire(self, is_on: bool) -> None:
        """Begin to play the fire release, or end it: then these are off until the brain says what it wants."""
        if is_on == self._is_fire:
            return
        self._is_fire = is_on
        for line, pattern in FIRE.items():
            if line in self._outputs:
                self._outputs[line].play(pattern if is_on else ())

    def close(self) -> None:
        """All off, and the pins given back."""
        for output in self._outputs.values():
            output.close()

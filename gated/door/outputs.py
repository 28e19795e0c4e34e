"""The lamps, the buzzer and the vibration pad of the gate. No lamp flashes fast enough to trigger a seizure."""

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from gated.door.output_table import OUTPUTS
from gated.door.pin_source import claim_output
from gated.errors import LatchError

LONGEST_SEGMENT_S = 3600.0

FIRE = {line: row.fire for line, row in OUTPUTS.items() if row.fire is not None}
"""The patterns of a fire release."""

OutputRequest = tuple[Sequence[float], int]
"""A pattern and its repeats, as described at `latch_messages.PlayPattern`."""
OutputSegment = tuple[bool, float | None]
"""On or off, and the seconds it lasts. None: until the next request."""


def segments(pattern: Sequence[float], repeats: int, least_s: float) -> Iterator[OutputSegment]:
    """Yield the segments of a pattern, as described at `latch_messages.PlayPattern`. A NaN counts as `least_s`."""
    if len(pattern) > 1:
        for _ in itertools.count() if repeats <= 0 else range(repeats):
            for place, seconds in enumerate(pattern):
                yield place % 2 == 0, min(seconds, LONGEST_SEGMENT_S) if seconds > least_s else least_s
    yield len(pattern) == 1, None


class Output:
    """One lamp, the buzzer or the pad, on the event loop."""

    def __init__(self, device: Any, least_s: float, on_failure: Callable[[LatchError], None]) -> None:
        """Take over a claimed device. Calls `on_failure` when the pin fails; the output then stops."""
        self._device, self._least_s, self._on_failure = device, least_s, on_failure
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._segments: Iterator[OutputSegment] = iter(())
        self._changed_at = float("-inf")

    def play(self, pattern: Sequence[float], repeats: int = 0) -> None:
        """Play a pattern from now on. After a change, an output keeps its level for at least `least_s`."""
        self._segments = segments(pattern, repeats, self._least_s)
        self._continue(None)

    def close(self) -> None:
        """Switch off and give the pin back."""
        self._schedule(None, None)
        self._device.close()

    def _continue(self, segment: OutputSegment | None) -> None:
        """Do a segment that had to wait, or the next segment."""
        try:
            if segment is None:
                self._next()
            else:
                self._switch(segment)
        except LatchError as error:
            self._schedule(None, None)
            self._on_failure(error)

    def _next(self) -> None:
        segment = next(self._segments, (False, None))
        is_change = segment[0] != bool(self._device.value)
        wait_s = self._changed_at + self._least_s - self._loop.time() if is_change else 0.0
        if wait_s > 0:
            self._schedule(wait_s, segment)
        else:
            self._switch(segment)

    def _switch(self, segment: OutputSegment) -> None:
        is_on, for_s = segment
        if is_on != bool(self._device.value):
            self._device.value, self._changed_at = is_on, self._loop.time()
        self._schedule(for_s, None)

    def _schedule(self, seconds: float | None, segment: OutputSegment | None) -> None:
        """Replace the timer. After `seconds` it does `segment`, or the next one if None. `seconds` None: no timer."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self._loop.call_later(seconds, self._continue, segment)


class Outputs:
    """The claimed outputs of a gate. The fault lamp is on until a brain connects."""

    def __init__(self, on_failure: Callable[[str, LatchError], None] = lambda *_: None) -> None:
        """Start without outputs. `on_failure(line, error)` is called when the pin of an output fails."""
        self._on_failure = on_failure
        self._outputs: dict[str, Output] = {}
        self._requests: dict[str, OutputRequest] = {}
        self._is_fire = False
        self.show(is_fault=True)

    def fit(self, line: str, pin: int, factory: Any) -> None:
        """Claim an output and let it play its last request. Raises `LatchError` when its pin cannot be claimed."""
        device = claim_output(factory, pin)
        output = Output(device, OUTPUTS[line].least_s, partial(self._handle_failure, line))
        try:
            if self._is_fire and line in FIRE:
                output.play(FIRE[line])
            elif line in self._requests:
                output.play(*self._requests[line])
        except LatchError:
            output.close()
            raise
        self._outputs[line] = output

    def unfit(self, line: str) -> None:
        """Give an output back."""
        output = self._outputs.pop(line, None)
        if output is not None:
            output.close()

    def play(self, line: str, pattern: Sequence[float] = (), repeats: int = 0) -> None:
        """Play a pattern on an output. During a fire release, requests for the outputs in `FIRE` are ignored.

        If the output is missing, an endless pattern starts when the output is claimed. A pattern with `repeats` is
        dropped.
        """
        if self._is_fire and line in FIRE:
            return
        self._requests[line] = (tuple(pattern), 0) if repeats == 0 else ((), 0)
        if line in self._outputs:
            self._outputs[line].play(pattern, repeats)

    def show(self, *, is_fault: bool) -> None:
        """Switch every output off, and the fault lamp on or off. Called when a brain connects or disconnects."""
        for line in OUTPUTS:
            self.play(line, (1.0,) if is_fault and line == "fault" else ())

    def fire(self, is_on: bool) -> None:
        """Begin or end the patterns of a fire release. After the end, these outputs are off until the next request."""
        if is_on == self._is_fire:
            return
        self._is_fire = is_on
        for line, pattern in FIRE.items():
            self._requests[line] = ((), 0)
            if line in self._outputs:
                self._outputs[line].play(pattern if is_on else ())

    def close(self) -> None:
        """Switch every output off and give the pins back."""
        for output in self._outputs.values():
            output.close()

    def _handle_failure(self, line: str, error: LatchError) -> None:
        """Report a failed output. While it is being claimed, raise the error from `fit` instead."""
        if line not in self._outputs:
            raise error
        self._on_failure(line, error)

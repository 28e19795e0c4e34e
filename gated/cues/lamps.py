"""A cue on the lamps, the buzzer and the pad: what each line does, and only what has changed is sent to the latch."""

from collections.abc import Callable, Iterator

from gated.config import CueSettings
from gated.cues.cue import MIX, NOTHING, Colour, Cue, First, Pulse, Shape
from gated.errors import LatchError

Play = Callable[[str, tuple[float, ...], int], None]
"""Line, pattern, repeats: the latch does it until told otherwise. May raise `LatchError`."""

LINES = ("ready", "open", "refused", "fault", "red", "green", "blue", "buzzer", "vibration")


def lines(cue: Cue, first: First | None, beep: Pulse) -> Iterator[tuple[str, Pulse]]:
    """What every line does; `beep` is the buzzer's part.

    Light first: the lamp of three colours gives all that it has. Touch first: the pad goes on until the cue ends.
    """
    for shape in Shape:
        yield shape.value, cue.light if shape in cue.shapes else NOTHING
    for line in MIX[Colour.WHITE]:
        yield line, cue.light if first == "light" or line in MIX[cue.colour] else NOTHING
    yield "buzzer", beep
    yield "vibration", Pulse(cue.touch.pattern) if first == "touch" else cue.touch


class Lamps:
    """The lines that are fitted, and what they do now."""

    def __init__(self, settings: CueSettings, play: Play) -> None:
        self._fitted = {line for line in LINES if getattr(settings, f"{line}_pin") is not None}
        self._play = play
        self._now: dict[str, Pulse] = {}

    def show(self, cue: Cue, first: First | None = None, beep: Pulse = NOTHING) -> None:
        """Let every line do its part; what counts its repeats begins anew, what goes on for ever goes on."""
        for line, pulse in lines(cue, first, beep):
            self._send(line, pulse)

    def beep(self, pulse: Pulse) -> None:
        """Let the buzzer do something else from now on."""
        self._send("buzzer", pulse)

    def forget(self) -> None:
        """The latch is a new one, and does nothing yet: what comes next is sent wholly."""
        self._now.clear()

    def _send(self, line: str, pulse: Pulse) -> None:
        if line not in self._fitted or (pulse.repeats == 0 and self._now.get(line) == pulse):
            return
        try:
            self._play(line, pulse.pattern, pulse.repeats)
        except LatchError:
            self._now.pop(line, None)  # without a latch there are no lamps, and it says itself when it is back
        else:
            self._now[line] = pulse

"""A cue on the lamps, the buzzer and the pad. It sends only changed lamps to the latch."""

from collections.abc import Callable, Iterator

from gated.config import CueSettings
from gated.cues.cue import MIX, NO_RHYTHM, Colour, Cue, Rhythm, Shape
from gated.errors import LatchError
from gated.people.preferences import FirstCue

PlayOutput = Callable[[str, tuple[float, ...], int], None]
"""A function `(line, pattern, repeats)` that lets the latch play a pattern. It may raise `LatchError`."""


def output_rhythms(cue: Cue, first: FirstCue | None, beep: Rhythm) -> Iterator[tuple[str, Rhythm]]:
    """Yield every output line with its rhythm. `beep` is the rhythm of the buzzer.

    With light first, the three-colour lamp is white, its brightest colour. With touch first, the pad goes on until the
    cue ends.
    """
    for shape in Shape:
        yield shape.value, cue.lamp if shape in cue.shapes else NO_RHYTHM
    for line in MIX[Colour.WHITE]:
        yield line, cue.lamp if first == "light" or line in MIX[cue.colour] else NO_RHYTHM
    yield "buzzer", beep
    yield "vibration", Rhythm(cue.touch.pattern) if first == "touch" else cue.touch


class Lamps:
    """The fitted output lines, and the rhythm that each plays now."""

    def __init__(self, settings: CueSettings, play: PlayOutput) -> None:
        self._fitted = {
            field.removesuffix("_pin")
            for field in CueSettings.__struct_fields__
            if field.endswith("_pin") and getattr(settings, field) is not None
        }
        self._play = play
        self._now: dict[str, Rhythm] = {}

    def show(self, cue: Cue, first: FirstCue | None = None, beep: Rhythm = NO_RHYTHM) -> None:
        """Play a cue on every line. A rhythm with repeats starts again; an unchanged endless rhythm just goes on."""
        for line, pulse in output_rhythms(cue, first, beep):
            self._send(line, pulse)

    def beep(self, pulse: Rhythm) -> None:
        """Play another rhythm on the buzzer."""
        self._send("buzzer", pulse)

    def forget(self) -> None:
        """Forget the rhythms, because a restarted latch plays nothing. The next cue is sent on every line."""
        self._now.clear()

    def _send(self, line: str, pulse: Rhythm) -> None:
        if line not in self._fitted or (pulse.repeats == 0 and self._now.get(line) == pulse):
            return
        try:
            self._play(line, pulse.pattern, pulse.repeats)
        except LatchError:
            self._now.pop(line, None)  # no latch, no lamps; `forget` is called when the latch is back
        else:
            self._now[line] = pulse

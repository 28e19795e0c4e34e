"""The table of all outputs: the lamps, the buzzer and the vibration pad. Every module that lists outputs reads it.

A row's name is the name of its setting without `_pin` (`[cues] ready_pin`), and its name in messages to the latch.
"""

from types import MappingProxyType

from msgspec import Struct

LEAST_LAMP_S = 0.25
"""The shortest on and the shortest off time of a lamp: two flashes a second, below the limit of three in WCAG 2.3.1."""
LEAST_S = 0.02
"""The shortest on and off time of buzzer and pad. It also keeps a pattern of zeros from becoming a busy loop."""


class OutputRow(Struct, frozen=True):
    """One output: its effect in words for the wiring sheet, and its pattern during a fire release.

    `fire` alternates seconds on and off. It overrides every other pattern. None: a fire release does not use it.
    """

    effect: str
    is_lamp: bool = True
    fire: tuple[float, ...] | None = None

    @property
    def least_s(self) -> float:
        """Return the shortest on and off time, in seconds."""
        return LEAST_LAMP_S if self.is_lamp else LEAST_S


FLASHES = (0.5, 0.5)
"""A three-colour lamp flashes white in a fire, because all three colours flash together."""

OUTPUTS = MappingProxyType(
    {
        "ready": OutputRow("lights the ring: the gate is ready"),
        "open": OutputRow("lights the tick: you can pass; flashes in a fire", fire=FLASHES),
        "refused": OutputRow("lights the card: use another credential"),
        "fault": OutputRow("lights the triangle: a fault; always on without a connected brain"),
        "red": OutputRow("is the red of the three-colour lamp", fire=FLASHES),
        "green": OutputRow("is the green of the three-colour lamp", fire=FLASHES),
        "blue": OutputRow("is the blue of the three-colour lamp", fire=FLASHES),
        "buzzer": OutputRow("sounds the rhythm of each cue", is_lamp=False, fire=(0.5, 1.5)),
        "vibration": OutputRow("vibrates the pad on the post", is_lamp=False),
    }
)

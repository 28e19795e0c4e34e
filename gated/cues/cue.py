"""What a cue is made of: a situation's name, shapes of light, colours, rhythms, words."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal


class Situation(StrEnum):
    """Everything that people are told of, from what beats all the rest to what the rest beats."""

    FIRE = "fire"
    ALARM = "alarm"
    ANSWERED = "answered"
    CALLING = "calling"
    LOCKDOWN = "lockdown"
    OUT_OF_ORDER = "out_of_order"
    OPEN = "open"
    HELD_OPEN = "held_open"
    FREE_PASSAGE = "free_passage"
    RESTING = "resting"
    REFUSED = "refused"
    FAULT = "fault"
    CLOSER = "closer"
    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"
    LOOKING = "looking"
    IDLE = "idle"


RANK: Mapping[Situation, int] = MappingProxyType({situation: rank for rank, situation in enumerate(Situation)})
"""The lower one is shown."""
Language = Literal["zh", "en"]
First = Literal["speech", "light", "touch"]
"""What somebody asked the gate to put first."""
GUIDANCE = (Situation.CLOSER, Situation.LEFT, Situation.RIGHT, Situation.UP, Situation.DOWN)


class Shape(StrEnum):
    """The four lamps; the value is the line that each hangs on."""

    RING = "ready"
    TICK = "open"
    CARD = "refused"
    TRIANGLE = "fault"


class Colour(StrEnum):
    """What the lamp of three colours mixes. No red and no green alone: many cannot tell the two apart."""

    WHITE = "white"
    BLUE = "blue"
    WHITE_BLUE = "white-blue"
    AMBER = "amber"


MIX: Mapping[Colour, tuple[str, ...]] = MappingProxyType(
    {
        Colour.WHITE: ("red", "green", "blue"),
        Colour.BLUE: ("blue",),
        Colour.WHITE_BLUE: ("green", "blue"),
        Colour.AMBER: ("red", "green"),
    }
)
"""The lines that make a colour."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """Seconds on and off in turn, `repeats` times, 0 for ever. One number alone is on for good, none is off."""

    pattern: tuple[float, ...] = ()
    repeats: int = 0

    @property
    def length_s(self) -> float:
        """How long one repeat takes."""
        return sum(self.pattern)


NOTHING = Pulse()
STEADY = Pulse((1.0,))


@dataclass(frozen=True, slots=True)
class Cue:
    """What people get in one situation. `words` and `sentences` are by language; a sentence is shown and spoken."""

    shapes: tuple[Shape, ...]
    light: Pulse
    colour: Colour
    words: Mapping[str, str]
    sentences: Mapping[str, str]
    pictogram: str
    """A symbol of the gate screen's page."""
    tone: Pulse = NOTHING
    """At the beginning."""
    tick: Pulse = NOTHING
    """From then on."""
    touch: Pulse = NOTHING
    is_spoken: bool = True
    is_repeated: bool = False
    """Whether the sentence is said again and again."""
    is_urgent: bool = False
    """Whether it is as loud at night."""

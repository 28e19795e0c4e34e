"""The parts of a cue: situation, lamps, colours, rhythms, words and sentences."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from msgspec import Struct


class Situation(StrEnum):
    """The situations that the gate shows to people, ordered from the highest priority to the lowest."""

    FIRE = "fire"
    ALARM = "alarm"
    OPENING = "opening"
    ANSWERED = "answered"
    DECLINED = "declined"
    UNANSWERED = "unanswered"
    UNREACHABLE = "unreachable"
    CALLING = "calling"
    LOCKDOWN = "lockdown"
    OUT_OF_ORDER = "out_of_order"
    OPEN = "open"
    ENROLLING = "enrolling"
    HELD_OPEN = "held_open"
    FREE_PASSAGE = "free_passage"
    CODE = "code"
    SECOND = "second"
    SECOND_FACE = "second_face"
    RESTING = "resting"
    REFUSED = "refused"
    FAULT = "fault"
    CLOSER = "closer"
    BACK = "back"
    LEFT = "left"
    RIGHT = "right"
    UP = "up"
    DOWN = "down"
    LOOKING = "looking"
    IDLE = "idle"


RANK: Mapping[Situation, int] = MappingProxyType({situation: rank for rank, situation in enumerate(Situation)})
"""The priority of each situation. The situation with the lowest rank is shown."""
Language = Literal["zh", "en"]
Tail = Literal["none", "ways", "others", "near", "exit", "phone"]
"""The ending of a sentence.

"none": no ending. "ways": every credential kind. "others": every kind except the call button. "near": "come near" and
every kind. "exit": the exit button. "phone": the person to fetch or telephone.
"""
GUIDANCE = (Situation.CLOSER, Situation.BACK, Situation.LEFT, Situation.RIGHT, Situation.UP, Situation.DOWN)


class Shape(StrEnum):
    """The four lamps. The value is the output line of each."""

    RING = "ready"
    TICK = "open"
    CARD = "refused"
    TRIANGLE = "fault"


class Colour(StrEnum):
    """The colours of the three-colour lamp.

    No cue uses red alone or green alone: many people confuse these two colours.
    """

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
"""The output lines that are on for each colour."""


class Rhythm(Struct, frozen=True):
    """A rhythm: alternating seconds on and off, `repeats` times (0: for ever).

    One number alone means always on; an empty pattern means off.
    """

    pattern: tuple[float, ...] = ()
    repeats: int = 0

    @property
    def length_s(self) -> float:
        """The length of one repeat, in seconds."""
        return sum(self.pattern)


NO_RHYTHM = Rhythm()
STEADY = Rhythm((1.0,))


class Cue(Struct, frozen=True):
    """The lamps, sound, touch and texts of one situation. `words` and `sentences` are by language.

    A sentence is shown and spoken. It ends with its `tail`, which depends on the fitted parts (see `gated.cues.words`).
    """

    shapes: tuple[Shape, ...]
    lamp: Rhythm
    colour: Colour
    words: Mapping[str, str]
    sentences: Mapping[str, str]
    pictogram: str
    """The id of a symbol of the gate screen's page."""
    tone: Rhythm = NO_RHYTHM
    """The beeps at the beginning."""
    tick: Rhythm = NO_RHYTHM
    """The ticks after the tone, for as long as the cue lasts."""
    touch: Rhythm = NO_RHYTHM
    is_spoken: bool = True
    is_repeated: bool = False
    """Whether the sentence is repeated."""
    is_urgent: bool = False
    """Whether it keeps its full volume at night."""
    tail: Tail = "none"
    names_credential: bool = False
    """Whether word and pictogram show a credential kind. A gate without a card reader replaces them."""
    names_phone: bool = False
    """Whether the cue shows and speaks the telephone number, if there is one."""

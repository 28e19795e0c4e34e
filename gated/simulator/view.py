"""The view of a person at one moment: pose, expression, accessories and light."""

from dataclasses import dataclass
from typing import Literal

Glasses = Literal["none", "clear", "dark"]


@dataclass(frozen=True, slots=True)
class Light:
    """The light on a person.

    `direction`: towards the lamp; x to the picture's right, y up, z to the camera. `ambient`: the share from all
    directions, 0..1. `exposure`: 1 is correct. `warmth`: -1 is blue dusk, 0 is noon, 1 is a tungsten lamp.
    """

    direction: tuple[float, float, float] = (0.3, 0.4, 1.0)
    ambient: float = 0.4
    exposure: float = 1.0
    warmth: float = 0.0


@dataclass(frozen=True, slots=True)
class View:
    """One view of a person. Angles in degrees.

    `yaw` > 0: turned to the picture's right. `pitch` > 0: looking up. `roll` > 0: the head tips to the picture's right.
    `smile` and `mouth_open` are 0 to 1.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    smile: float = 0.0
    mouth_open: float = 0.0
    eyes_closed: bool = False
    glasses: Glasses = "none"
    mask: bool = False
    hat: bool = False
    light: Light = Light()

"""A scene script: people, and when and how they come to the gate, with clothes and held objects. Data, stored as JSON.

The simulated camera plays this file. The place of every face follows from the script alone. So two processes that read
the same file show the same scene, and a restarted camera continues in the middle.
"""

import math
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gated import wording
from gated.atomic_files import atomic_write
from gated.errors import CameraError
from gated.wording import UNDECODABLE

Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Age = Literal["child", "adult", "old"]
Glasses = Literal["none", "clear", "dark"]

FAR_M = 5.0
"""Start of a walk. A face has about 35 px there in a picture of 960, too small for a visit."""
GATE_M = 0.85
"""Where people stop: an arm's length from the reader."""
PASS_S = 0.8
"""Time to walk through the gate, or to turn away and leave."""


TURN_DEG = 90.0
"""Yaw of a leaving head: a profile, which no detector finds."""


class Looks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Appearance and accessories of an actor."""

    glasses: Glasses = "none"
    mask: bool = False
    hat: bool = False
    eyes_closed: bool = False
    smile: Annotated[float, Meta(ge=0, le=1)] = 0.2


class Held(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A picture of a face, held up before the actor's own, or a visitor pass, held out on a phone below it."""

    kind: Literal["print", "phone", "pass"]
    person: int = 0
    age: Age | None = None
    text: Annotated[str, Meta(max_length=300)] = ""
    """The text in the QR code; only for "pass"."""

    def __post_init__(self) -> None:
        """Raises `ValueError` unless a "pass" has a text, and only a "pass" has one."""
        if (self.kind == "pass") != bool(self.text):
            raise ValueError('a "pass" needs a text, and only a "pass" has one')


class Actor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One person on one visit. Times are seconds of the script. `name` is for the author of the script only."""

    person: int
    """Seed of the identity."""
    comes_s: Seconds
    name: str = ""
    age: Age | None = None
    walk_s: Annotated[float, Meta(gt=0, le=60)] = 2.2
    """From `FAR_M` to the gate."""
    leaves_s: Seconds | None = None
    """None: waits at the gate until the end."""
    goes: Literal["in", "away"] = "away"
    side: Annotated[float, Meta(ge=-1, le=1)] = 0.0
    """Place before the gate: -1 is the left of the view, 1 the right."""
    stops_m: Annotated[float, Meta(ge=0.5, le=5)] = GATE_M
    looks: Looks = Looks()
    holds: Held | None = None


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One scene before the gate."""

    actors: tuple[Actor, ...] = ()
    ends_s: Seconds = 60.0
    sky: Literal["day", "dusk"] = "day"
    seed: int = 0
    """Of the sensor's noise, the background and the small movements."""
    begins_at: float | None = None
    """Monotonic time of second 0. None: when the camera is opened."""


class Stand(msgspec.Struct, frozen=True):
    """Place and pose of an actor at one moment. Angles in degrees, as in `View`."""

    distance_m: float
    across: float
    """-1 at the left of the view, 1 at the right. Beyond, the actor is leaving it."""
    yaw: float
    pitch: float
    is_walking: bool
    is_leaving: bool = False


def read_script(path: Path) -> Script:
    """Read the script in a JSON file. Raises `CameraError` when it is missing or invalid."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Script)
    except OSError as error:
        raise CameraError(f"camera.path: {path} cannot be read ({error.strerror}); name a scene script") from error
    except UNDECODABLE as error:
        raise CameraError(
            f"{path}: not a scene script: {wording.cause(error, Script)}; see gated/simulator/script.py"
        ) from error


def write_script(script: Script, path: Path) -> None:
    """Write the script atomically: a reader gets the old one or the new one, never a part."""
    atomic_write(path, msgspec.json.format(msgspec.json.encode(script), indent=1), 0o644)


def stand(actor: Actor, at_s: float) -> Stand | None:
    """Return the place of an actor at a second of the script. None while out of sight."""
    gone_s = math.inf if actor.leaves_s is None else max(actor.leaves_s, actor.comes_s)
    if not actor.comes_s <= at_s < gone_s + PASS_S:
        return None
    walked = min(1.0, (at_s - actor.comes_s) / actor.walk_s)
    eased = walked * walked * (3 - 2 * walked)
    # Equal steps in 1 / distance: the face grows evenly, as for a person who slows down before a gate.
    distance_m = 1 / ((1 - eased) / FAR_M + eased / actor.stops_m)
    yaw, pitch = _sway(actor, at_s)
    across = actor.side * (0.4 + 0.6 * eased)
    if at_s < gone_s:
        return Stand(distance_m, across, yaw, pitch, is_walking=walked < 1)
    passed = (at_s - gone_s) / PASS_S
    aside = 1 if actor.goes == "in" else -1
    distance_m *= 1 - 0.25 * passed if actor.goes == "in" else 1 + 0.5 * passed
    return Stand(
        distance_m, across + aside * 2.2 * passed**1.5, aside * TURN_DEG, 0.0, is_walking=True, is_leaving=True
    )


def _sway(actor: Actor, at_s: float) -> tuple[float, float]:
    """Return yaw and pitch of a head held still: a few degrees, irregular, the same for the same actor and second."""
    phase = actor.person * 2.399 % math.tau
    yaw = 6 * math.sin(0.9 * at_s + phase) + 3 * math.sin(2.3 * at_s + 2 * phase)
    return yaw, 3 * math.sin(0.7 * at_s + 1.7 * phase) + math.sin(1.9 * at_s)

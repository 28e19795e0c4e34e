"""The people of a script, ready to be pasted: each look at somebody is rendered once, in steps of a few degrees."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np

from gated.simulator.attack import phone, printed
from gated.simulator.code import code_on_phone
from gated.simulator.identity import identity
from gated.simulator.lane import Sky
from gated.simulator.render import Sprite, render
from gated.simulator.scene import Cutout, Placed, face_px
from gated.simulator.script import Actor, Held, Looks, Stand, stand
from gated.simulator.view import Light, View

YAW_STEP_DEG, PITCH_STEP_DEG = 5.0, 4.0
KEPT = 160
"""So many looks are kept, of about 350 kB each."""
WALK_BLUR = 0.012
"""How far a walking face moves across while a frame is exposed, in face heights."""
LIGHTS = {"day": Light((0.35, 0.6, 1.0), 0.5, 1.0, 0.0), "dusk": Light((-0.3, 0.7, 1.0), 0.4, 0.8, 0.7)}
"""The sky over the lane; at dusk the lamp over the gate."""


@dataclass(frozen=True, slots=True)
class Look:
    """One way to see somebody; `held` is a picture of them that somebody else holds up, or a pass that says `text`."""

    person: int
    age: str | None
    looks: Looks
    yaw: float
    pitch: float
    held: str = ""
    text: str = ""


class Cast:
    """Everybody who appears, at one picture width and under one sky. Any thread may ask."""

    def __init__(self, width: int, sky: Sky = "day", seed: int = 0) -> None:
        self._width, self._sky, self._seed = width, sky, seed
        self._kept: OrderedDict[tuple[Look, int], Cutout] = OrderedDict()
        self._lock = Lock()

    def place(self, actor: Actor, at_s: float, *, wait: bool = True) -> Placed | None:
        """An actor as they are to be pasted at a second of the script; None while out of sight.

        Without `wait` a look that is still to be rendered is replaced by the nearest one that is there; None while
        there is none.
        """
        there = stand(actor, at_s)
        if there is None:
            return None
        high = round(face_px(actor.stops_m, self._width))
        head = self._cutout(_look(actor, there), high, wait)
        shows = None if there.is_leaving else actor.holds
        held = None if shows is None else self._cutout(_picture_of(shows), high, wait)
        if head is None or (held is None and shows is not None):
            return None
        return Placed(
            who=_whose(actor),
            head=head,
            distance_m=there.distance_m,
            across=there.across,
            tall_m=_tall_m(actor),
            held=held,
            blur=WALK_BLUR if there.is_walking else 0.0,
        )

    def _cutout(self, look: Look, high: int, wait: bool) -> Cutout | None:
        with self._lock:
            made = self._kept.get((look, high))
            if made is not None:
                self._kept.move_to_end((look, high))
                return made
            if not wait:
                return self._nearest(look, high)
        made = self._made(look, high)
        with self._lock:
            self._kept[look, high] = made
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return made

    def _nearest(self, look: Look, high: int) -> Cutout | None:
        """The look at the same person, dressed the same, whose pose differs least."""
        alike = [
            key for key in self._kept if key[1] == high and replace(key[0], yaw=look.yaw, pitch=look.pitch) == look
        ]
        if not alike:
            return None
        return self._kept[min(alike, key=lambda key: abs(key[0].yaw - look.yaw) + abs(key[0].pitch - look.pitch))]

    def _made(self, look: Look, high: int) -> Cutout:
        """Render it: 0.1 s, and for the first look at somebody a second."""
        if look.held == "pass":
            return Cutout.of(code_on_phone(look.text, np.random.default_rng([self._seed, 32])))
        light = LIGHTS["day" if look.held else self._sky]
        wears = look.looks
        view = View(
            yaw=look.yaw, pitch=look.pitch, smile=wears.smile, eyes_closed=wears.eyes_closed, glasses=wears.glasses,
            mask=wears.mask, hat=wears.hat, light=light,
        )  # fmt: skip
        return Cutout.of(self._as_held(render(identity(look.person, look.age), view, high), look.held))

    def _as_held(self, face: Sprite, held: str) -> Sprite:
        rng = np.random.default_rng([self._seed, 31])
        if held == "print":
            return printed(face, None, rng)
        return phone(face, rng) if held == "phone" else face


def _look(actor: Actor, there: Stand) -> Look:
    yaw = YAW_STEP_DEG * round(there.yaw / YAW_STEP_DEG)
    return Look(actor.person, actor.age, actor.looks, yaw, PITCH_STEP_DEG * round(there.pitch / PITCH_STEP_DEG))


def _picture_of(held: Held) -> Look:
    return Look(held.person, held.age, Looks(), 0.0, 0.0, held.kind, held.text)


def _whose(actor: Actor) -> str:
    """Whose face the camera sees, in the words of the script."""
    return actor.name or str(actor.person)


def _tall_m(actor: Actor) -> float:
    """How far above the camera somebody's face is; children stand on their toes, and a gate's camera hangs low."""
    return -0.07 if actor.age == "child" else 0.03 * ((actor.person * 37) % 5 - 2)

"""The rendered people of a script. Each appearance is rendered once, with angles in steps of a few degrees."""

from collections import OrderedDict
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np

from gated.simulator.attack import phone, printed
from gated.simulator.composition import Cutout, Placed, face_px
from gated.simulator.identity import identity
from gated.simulator.lane import Sky
from gated.simulator.phone_code import code_on_phone
from gated.simulator.render import Sprite, render
from gated.simulator.script import Actor, Held, Looks, Stand, stand
from gated.simulator.view import Light, View

YAW_STEP_DEG, PITCH_STEP_DEG = 5.0, 4.0
KEPT = 160
"""Number of cached cutouts, about 350 kB each."""
WALK_BLUR = 0.012
"""Motion of a walking face during one exposure, in face heights."""
LIGHTS = {"day": Light((0.35, 0.6, 1.0), 0.5, 1.0, 0.0), "dusk": Light((-0.3, 0.7, 1.0), 0.4, 0.8, 0.7)}
"""Light by day from the sky over the lane, at dusk from the lamp over the gate."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """One appearance of a person. `held`: kind of picture of them that another person holds, or a pass with `text`."""

    person: int
    age: str | None
    looks: Looks
    yaw: float
    pitch: float
    held: str = ""
    text: str = ""


class Cast:
    """All people of a script, at one picture width and under one sky. Thread-safe."""

    def __init__(self, width: int, sky: Sky = "day", seed: int = 0) -> None:
        self._width, self._sky, self._seed = width, sky, seed
        self._kept: OrderedDict[tuple[Appearance, int], Cutout] = OrderedDict()
        self._lock = Lock()

    def place(self, actor: Actor, at_s: float, *, wait: bool = True) -> Placed | None:
        """Return an actor, ready to be pasted at a second of the script. None while out of sight.

        Without `wait`, an appearance that is not rendered yet is replaced by the nearest rendered one, or None.
        """
        position = stand(actor, at_s)
        if position is None:
            return None
        high = round(face_px(actor.stops_m, self._width))
        head = self._cutout(_appearance(actor, position), high, wait)
        shows = None if position.is_leaving else actor.holds
        held = None if shows is None else self._cutout(_picture_of(shows), high, wait)
        if head is None or (held is None and shows is not None):
            return None
        return Placed(
            name=_display_name(actor),
            head=head,
            distance_m=position.distance_m,
            across=position.across,
            tall_m=_tall_m(actor),
            held=held,
            blur=WALK_BLUR if position.is_walking else 0.0,
        )

    def _cutout(self, worn: Appearance, high: int, wait: bool) -> Cutout | None:
        with self._lock:
            made = self._kept.get((worn, high))
            if made is not None:
                self._kept.move_to_end((worn, high))
                return made
            if not wait:
                return self._nearest(worn, high)
        made = self._made(worn, high)
        with self._lock:
            self._kept[worn, high] = made
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return made

    def _nearest(self, worn: Appearance, high: int) -> Cutout | None:
        """Return the cached appearance of the same person, dressed the same, with the nearest pose."""
        alike = [
            key for key in self._kept if key[1] == high and replace(key[0], yaw=worn.yaw, pitch=worn.pitch) == worn
        ]
        if not alike:
            return None
        return self._kept[min(alike, key=lambda key: abs(key[0].yaw - worn.yaw) + abs(key[0].pitch - worn.pitch))]

    def _made(self, worn: Appearance, high: int) -> Cutout:
        """Render an appearance: 0.1 s, and a second for the first one of a person."""
        if worn.held == "pass":
            return Cutout.of(code_on_phone(worn.text, np.random.default_rng([self._seed, 32])))
        light = LIGHTS["day" if worn.held else self._sky]
        wears = worn.looks
        view = View(
            yaw=worn.yaw, pitch=worn.pitch, smile=wears.smile, eyes_closed=wears.eyes_closed, glasses=wears.glasses,
            mask=wears.mask, hat=wears.hat, light=light,
        )  # fmt: skip
        return Cutout.of(self._as_held(render(identity(worn.person, worn.age), view, high), worn.held))

    def _as_held(self, face: Sprite, held: str) -> Sprite:
        rng = np.random.default_rng([self._seed, 31])
        if held == "print":
            return printed(face, None, rng)
        return phone(face, rng) if held == "phone" else face


def _appearance(actor: Actor, at: Stand) -> Appearance:
    yaw = YAW_STEP_DEG * round(at.yaw / YAW_STEP_DEG)
    return Appearance(actor.person, actor.age, actor.looks, yaw, PITCH_STEP_DEG * round(at.pitch / PITCH_STEP_DEG))


def _picture_of(held: Held) -> Appearance:
    return Appearance(held.person, held.age, Looks(), 0.0, 0.0, held.kind, held.text)


def _display_name(actor: Actor) -> str:
    """Return the name of the face, as in the script."""
    return actor.name or str(actor.person)


def _tall_m(actor: Actor) -> float:
    """Return the height of the face above the camera, in m. Children stand on their toes, and the camera hangs low."""
    return -0.07 if actor.age == "child" else 0.03 * ((actor.person * 37) % 5 - 2)

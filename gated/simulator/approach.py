"""Renders the frames of one approach to the gate, of a person or of a held picture, with its true movement.

The tests of motion between frames use them. Heads sway, bob and turn; hands shake; wheelchairs roll smoothly.
Nothing is shared between two approaches except the background.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np

from gated.camera.pictures import frame_of
from gated.frame import Frame, Pixels
from gated.simulator.attack import STILL, TALL_TABLET, Swing, cut_out, phone, printed
from gated.simulator.beside_face import eye_patch, headrest, umbrella
from gated.simulator.composition import Cutout, Placed, compose
from gated.simulator.identity import identity
from gated.simulator.lane import lane
from gated.simulator.render import Sprite, render
from gated.simulator.view import Light, View

BonaFide = Literal["walking", "standing", "wheelchair", "umbrella", "dark glasses", "eye patch", "closed eyes"]
Attack = Literal["print", "bent print", "cut print", "fixed print", "phone", "tablet", "tablet video"]
Kind = BonaFide | Attack
BONA_FIDE: tuple[BonaFide, ...] = get_args(BonaFide)
ATTACKS: tuple[Attack, ...] = get_args(Attack)

SIZE = (1280, 960)
FACE_PX = 150
FRAMES, FRAME_S = 12, 0.2
FAR_M, NEAR_M = 2.2, 1.15
POSE_FRAMES = 2
"""Each pose is shown in this number of frames, because rendering a head needs the most time."""
HOLDERS, HOLDERS_FROM = 6, 490_000_000
"""Number of people who hold pictures, and the first seed of their identities. No other identity has these seeds."""
STEPS_HZ = 1.8
"""Steps a second of a person who walks."""


@dataclass(frozen=True, slots=True)
class Approach:
    """One approach. `person`: the seed of the identity that is shown. `seed`: of everything else."""

    kind: Kind
    person: int
    seed: int

    @property
    def is_attack(self) -> bool:
        """Return whether the face is a picture."""
        return self.kind in ATTACKS


def approach_frames(approach: Approach) -> Iterator[Frame]:
    """Yield the frames, rendered one by one. `at`: seconds from the first."""
    rng = np.random.default_rng([approach.seed, approach.person])
    moves = _Movement.of(approach.kind, rng)
    exposure, background = float(rng.uniform(0.75, 1.2)), int(rng.integers(4))
    sprite: Cutout | None = None
    holder = _holder(approach.seed % HOLDERS) if approach.is_attack else None
    rendering = int(rng.integers(2**31))
    for number in range(FRAMES):
        at = number * FRAME_S
        if sprite is None or number % POSE_FRAMES == 0:
            sprite = Cutout.of(_shown(approach, moves, at, rendering))
        across, tall_m, distance_m = moves.place(at, rng)
        blur = float(rng.uniform(0, 0.02))
        placed = (
            Placed("", sprite, distance_m, across, tall_m, blur=blur)
            if holder is None or approach.kind == "fixed print"
            else Placed("", holder, distance_m, across, tall_m, held=sprite, blur=blur)
        )
        shade = exposure * float(rng.uniform(0.97, 1.03))
        yield frame_of(compose([placed], SIZE, number, seed=background, exposure=shade).rgb, at, number)


@dataclass(frozen=True, slots=True)
class _Movement:
    """The movement of one approach. Lengths in m, angles in degrees, phases in radians."""

    far_m: float
    across: float
    tall_m: float
    bob_m: float
    sway_deg: float
    swing_deg: float
    shake: float
    phases: tuple[float, ...]

    @classmethod
    def of(cls, kind: Kind, rng: np.random.Generator) -> "_Movement":
        """Draw the movement for a kind."""
        is_held, is_rolling = kind in ATTACKS, kind == "wheelchair"
        stands = kind in ("standing", "fixed print") or (kind != "wheelchair" and rng.random() < 0.15)
        sway = float(rng.uniform(2, 9))
        return cls(
            far_m=NEAR_M if stands else float(rng.uniform(1.7, FAR_M)),
            across=float(rng.uniform(-0.3, 0.3)),
            tall_m=-0.25 if is_rolling else float(rng.uniform(-0.12, 0.08)),
            bob_m=0.0 if stands or is_rolling else float(rng.uniform(0.005, 0.02)),
            sway_deg=0.3 * sway if stands or is_rolling else sway,
            swing_deg=0.0 if kind == "fixed print" or not is_held else float(rng.uniform(1, 8)),
            shake=0.0 if kind == "fixed print" else 0.006 if is_held else 0.002,
            phases=tuple(rng.uniform(0, math.tau, 5).tolist()),
        )

    def place(self, at: float, rng: np.random.Generator) -> tuple[float, float, float]:
        """Return the place across (-1..1), the height in m, and the distance in m."""
        done = min(1.0, at / (FRAMES * FRAME_S * 0.85))
        distance_m = 1 / ((1 - done) / self.far_m + done / NEAR_M)
        step = math.sin(math.tau * STEPS_HZ * at + self.phases[0]) * self.bob_m
        aside = 0.03 * math.sin(0.8 * at + self.phases[1]) * (self.far_m > NEAR_M)
        return self.across + aside + self.shake * float(rng.normal()), self.tall_m + step, distance_m

    def turn(self, at: float) -> tuple[float, float, float]:
        """Return yaw, pitch and roll of a head, as `script.stand` sways."""
        a, b, c, d, _ = self.phases
        yaw = self.sway_deg * (math.sin(0.9 * at * 2 + a) + 0.5 * math.sin(2.3 * at + b))
        return yaw, 0.5 * self.sway_deg * math.sin(1.4 * at + c), 0.3 * self.sway_deg * math.sin(1.1 * at + d)

    def swing(self, at: float) -> Swing:
        """Return the tilt of a held picture."""
        a, b, c, d, e = self.phases
        return (
            self.swing_deg * math.sin(1.9 * at + e + a),
            self.swing_deg * math.sin(1.5 * at + b),
            0.4 * self.swing_deg * math.sin(1.2 * at + c + d),
        )


def _shown(approach: Approach, moves: _Movement, at: float, rendering: int) -> Sprite:
    """Return the face at a second: a head, or a picture. A picture has the same paper and screen at each second."""
    kind, rng = approach.kind, np.random.default_rng(rendering)
    yaw, pitch, roll = moves.turn(at if not approach.is_attack or kind == "tablet video" else 0.0)
    light = Light((float(rng.uniform(-0.8, 0.8)), 0.4, 1.0), float(rng.uniform(0.35, 0.6)))
    view = View(
        yaw=yaw, pitch=pitch, roll=roll, light=light, eyes_closed=kind == "closed eyes",
        glasses="dark" if kind == "dark glasses" else "none",
    )  # fmt: skip
    face = render(identity(approach.person), view, FACE_PX)
    if approach.is_attack:
        return _held(approach, face, moves.swing(at), rng)
    return {"wheelchair": headrest, "umbrella": umbrella, "eye patch": eye_patch}.get(kind, _bare)(face)


def _bare(face: Sprite) -> Sprite:
    return face


def _held(approach: Approach, face: Sprite, swing: Swing, rng: np.random.Generator) -> Sprite:
    """Return the picture that is held up, or fixed to the gate."""
    behind = _behind(rng)
    match approach.kind:
        case "bent print":
            return printed(face, behind, rng, bent=0.25, swing=swing)
        case "cut print":
            return cut_out(face, rng, swing=swing)
        case "fixed print":
            return printed(face, behind, rng, tilt=4.0, swing=STILL)
        case "phone":
            return phone(face, rng, swing=swing)
        case "tablet" | "tablet video":
            return phone(face, rng, tall=TALL_TABLET, swing=swing)
        case _:
            return printed(face, behind, rng, swing=swing)


@lru_cache(maxsize=HOLDERS)
def _holder(number: int) -> Cutout:
    """Return the head of the person who holds a picture."""
    return Cutout.of(render(identity(HOLDERS_FROM + number), View(), FACE_PX))


def _behind(rng: np.random.Generator) -> Pixels:
    """Return the background of a print: a plain wall in half of them, otherwise a street."""
    wall = np.full((8, 8, 3), rng.integers(90, 230, 3), np.uint8)
    street = np.asarray(lane((320, 240), seed=int(rng.integers(100))))
    return wall if rng.random() < 0.5 else street

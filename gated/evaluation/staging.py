"""Turns a plan into frames (a person walks up to the camera, or holds up a picture), and renders enrolment pictures.

Frames are the middle crop of a 1280 x 960 camera: a face is as large as at the gate, and fewer pixels cost less time. A
few poses are rendered. Each pose is shown in consecutive frames, as a head moves.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import repeat

import numpy as np
from PIL import Image

from gated.camera.pictures import frame_of
from gated.evaluation.courtyard import STRANGERS_FROM, Plan, RenderedPerson
from gated.frame import Frame, Pixels
from gated.simulator.attack import phone, printed
from gated.simulator.composition import FACE_M, FOCAL, Cutout, Placed, compose
from gated.simulator.identity import identity
from gated.simulator.lane import Sky
from gated.simulator.render import Sprite, render
from gated.simulator.view import Glasses, Light, View

SIZE = (640, 480)
FACE_PX = 150
"""Rendered height of a face, in px. About its height in frames; higher in enrolment pictures."""
FRAMES, EACH_POSE, FRAME_S = 8, 2, 0.2
FAREST, NEAREST = 0.95, 1.2
"""Start and end of a walk, as shares of `FACE_PX`: 1.5 m to 1.2 m before a camera of 1280 px.

At this distance even the smallest distance between eyes is 40 px, the least for recognition.
"""
ENROLMENT_SCALE = 1.5
HELD_BEFORE = 1.08
"""A print or phone appears larger by this factor than the face behind it (`scene.compose`)."""
LANES = 2
"""Number of backgrounds by day, and as many at dusk."""
HOLDERS = 6
"""Number of people who hold up pictures: the strangers with the first seeds."""


def frames(plan: Plan) -> Iterator[Frame]:
    """Yield the frames of a visit, rendered one by one. `at`: seconds from its beginning."""
    rng = np.random.default_rng([plan.courtyard, 2, plan.number])
    sky: Sky = "dusk" if rng.random() < 0.3 else "day"
    background, exposure = int(rng.integers(LANES)), float(rng.uniform(0.75, 1.2))
    across, far, held = float(rng.uniform(-0.25, 0.25)), float(rng.uniform(FAREST, 1.05)), _held(plan, rng)
    for number, head in zip(range(FRAMES), _heads(plan, sky, rng), strict=False):
        high = FACE_PX * (far + (NEAREST - far) * number / (FRAMES - 1)) / (HELD_BEFORE if held else 1.0)
        aside, blur = across + 0.02 * float(rng.normal()), float(rng.uniform(0, 0.02))
        placed = Placed("", head, FOCAL * SIZE[0] * FACE_M / high, aside, held=held, blur=blur)
        shade, noise = exposure * float(rng.uniform(0.96, 1.04)), plan.number * FRAMES + number
        picture = compose([placed], SIZE, noise, sky=sky, seed=background, exposure=shade)
        yield frame_of(picture.rgb, number * FRAME_S, number)


def enrolment_pictures(person: RenderedPerson) -> Iterator[Frame]:
    """Yield five enrolment pictures as an operator takes them, with and without the person's glasses."""
    rng = np.random.default_rng([3, person.seed])
    worn: Glasses = person.glasses if person.glasses != "none" else "clear"
    poses: list[tuple[float, float, Glasses]] = [
        (0, 0, "none"), (-14, 0, "none"), (14, -2, "none"), (0, 4, worn), (rng.uniform(-12, 12), -4, worn),
    ]  # fmt: skip
    for number, (yaw, pitch, glasses) in enumerate(poses):
        light = Light((float(rng.uniform(-0.4, 0.4)), 0.4, 1.0), float(rng.uniform(0.4, 0.6)))
        view = View(
            yaw=yaw + float(rng.normal(0, 2)), pitch=pitch + float(rng.normal(0, 2)), glasses=glasses, light=light,
            smile=float(rng.uniform(0, 0.4)),
        )  # fmt: skip
        yield frame_of(_portrait(render(identity(person.seed, person.age), view, FACE_PX), rng), 0.0, number)


def _portrait(sprite: Sprite, rng: np.random.Generator) -> Pixels:
    """Return a picture before a plain wall, as from a phone."""
    cutout = Cutout.of(sprite).image
    size = round(cutout.width * ENROLMENT_SCALE), round(cutout.height * ENROLMENT_SCALE)
    wall = Image.new("RGB", (size[0] + 160, size[1] + 120), tuple(rng.integers(120, 230, 3).tolist()))
    shown = cutout.resize(size, Image.Resampling.BICUBIC)
    wall.paste(shown, (80, 120), shown)
    grainy = np.asarray(wall, np.float32) + rng.normal(0, 2.0, (wall.height, wall.width, 1))
    return np.clip(grainy, 0, 255).astype(np.uint8)


def _heads(plan: Plan, sky: Sky, rng: np.random.Generator) -> Iterator[Cutout]:
    """Yield the head in each frame, without end: the visitor, who looks around, or the holder of the picture."""
    if plan.attack is not None:
        yield from repeat(_holder(int(rng.integers(HOLDERS))))
    light, yaw, pitch = _light(rng, sky), float(rng.normal(0, 9)), float(rng.normal(0, 5))
    while True:
        view = View(
            yaw=float(np.clip(yaw + rng.normal(0, 4), -28, 28)),
            pitch=float(np.clip(pitch + rng.normal(0, 2.5), -16, 16)),
            roll=float(rng.normal(0, 3)),
            smile=float(rng.uniform(0, 0.7) * (rng.random() < 0.4)),
            mouth_open=float(rng.uniform(0, 0.4) * (rng.random() < 0.15)),
            eyes_closed=plan.eyes_closed,
            glasses=plan.glasses,
            hat=plan.hat,
            light=light,
        )
        yield from repeat(Cutout.of(render(identity(plan.person.seed, plan.person.age), view, FACE_PX)), EACH_POSE)


def _light(rng: np.random.Generator, sky: Sky) -> Light:
    """Return the light of the sky over the lane, or at dusk that of the lamp over the gate."""
    direction = float(rng.uniform(-0.8, 0.8)), float(rng.uniform(0.2, 0.8)), 1.0
    return Light(direction, float(rng.uniform(0.35, 0.6)), 0.85 if sky == "dusk" else 1.0, 0.7 * (sky == "dusk"))


def _held(plan: Plan, rng: np.random.Generator) -> Cutout | None:
    """Return the picture that an attacker holds up, of good quality. None for a bona fide visit."""
    if plan.attack is None:
        return None
    view = View(yaw=float(rng.normal(0, 5)), pitch=float(rng.normal(0, 3)), light=Light(ambient=0.5))
    face = render(identity(plan.person.seed, plan.person.age), view, FACE_PX)
    if plan.attack == "phone":
        return Cutout.of(phone(face, rng))
    wall = np.full((8, 8, 3), rng.integers(90, 230, 3), np.uint8)
    return Cutout.of(printed(face, wall, rng))


@lru_cache(maxsize=HOLDERS)
def _holder(number: int) -> Cutout:
    """Return the head of the person who holds a picture."""
    return Cutout.of(render(identity(STRANGERS_FROM + number), View(), FACE_PX))

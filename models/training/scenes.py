"""What the detector and PAD learn from: the street before the gate, composed as the simulator composes it, with truth.

One group of people gives some frames; each frame gives a small picture, the second looks at its faces, and the crops
that PAD sees. Everything is cut by the gate's own code.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gated.face.detect import SECOND_LOOK
from gated.face.pad import crop_box
from gated.face.sample import Sampler, nearest
from gated.frame import i420_from_rgb, rgb_from_i420
from gated.simulator.attack import phone, printed
from gated.simulator.composition import FACE_M, FOCAL, Cutout, Placed, Seen, compose
from gated.simulator.likeness import Likeness
from gated.simulator.render import render
from gated.simulator.view import View
from people import LANES, SKIES, Pixels, backdrop, grain, somebody, turned, worn

SIZE, LORES, CANVAS = (640, 480), (320, 240), (320, 256)
LOOK, PAD_SIDE, PAD_SCALE = 128, 64, 2.7
NEAR_PX = 70
"""PAD is asked about faces at least so high in a frame."""
FRAMES = 20
"""So many frames of each group."""
Truth = tuple[NDArray[np.float64], NDArray[np.float64]]
"""A face in a picture: box (4,), landmarks (5, 2), px."""


@dataclass(slots=True)
class Examples:
    """What one group gave."""

    small: list[tuple[Pixels, list[Truth]]] = field(default_factory=list)
    """(256, 320, 3), and the faces in it."""
    near: list[tuple[Pixels, list[Truth]]] = field(default_factory=list)
    """(128, 128, 3), and the faces in it."""
    crops: list[tuple[Pixels, bool]] = field(default_factory=list)
    """(64, 64, 3), and whether it is bona fide."""


def group(seed: int) -> Examples:
    """Three people and what they hold up, in a number of frames."""
    rng = np.random.default_rng([3, seed])
    people = [somebody(3_000_000 + 3 * seed + number) for number in range(3)]
    heads = [(head, _looks_away(rng, number)) for number in range(9) for head in [people[number // 3]]]
    shown = [_head(who, rng, yaw) for who, yaw in heads]
    attacks = [_attack(people[number % 3], rng, number % 2 == 0) for number in range(6)]
    made, sampler = Examples(), Sampler((PAD_SIDE, PAD_SIDE))
    for _ in range(FRAMES):
        picture, seen = _frame(rng, shown, attacks)
        made.small.append(_small(picture, seen))
        made.near += _near(picture, seen, rng)
        for face in seen:
            if face.box[3] >= NEAR_PX:
                made.crops += [(_pad_crop(picture, face, rng, sampler), not face.is_held) for _ in range(2)]
    return made


def _looks_away(rng: np.random.Generator, number: int) -> float:
    """The yaw of a head that no detector is to see, or 0."""
    return float(rng.choice([-1, 1]) * rng.uniform(80, 130)) if number == 8 else 0.0


def _head(who: Likeness, rng: np.random.Generator, away: float) -> tuple[Cutout, bool]:
    """Somebody's head, and whether it is turned away."""
    view = turned(worn(rng, 0.5), rng)
    view = replace(view, yaw=away) if away else view
    return Cutout.of(render(who, view, int(rng.integers(100, 150)))), bool(away)


def _attack(who: Likeness, rng: np.random.Generator, is_print: bool) -> Cutout:
    """Somebody's picture on paper or on a phone."""
    plain = turned(View() if rng.random() < 0.7 else worn(rng), rng)
    face = render(who, replace(plain, yaw=plain.yaw / 2), int(rng.integers(110, 160)))
    if not is_print:
        return Cutout.of(phone(face, rng))
    behind = None if rng.random() < 0.4 else backdrop(rng, 64, 64)
    return Cutout.of(printed(face, behind, rng))


def _frame(
    rng: np.random.Generator, heads: list[tuple[Cutout, bool]], attacks: list[Cutout]
) -> tuple[Pixels, list[Seen]]:
    """A picture of nobody, somebody, or some, of whom one may hold something up; and the faces to be seen in it."""
    count = int(rng.choice([0, 1, 2, 3], p=[0.08, 0.62, 0.2, 0.1]))
    attacker = int(rng.integers(count)) if count and rng.random() < 0.45 else -1
    placed = []
    for number in range(count):
        head, is_away = heads[int(rng.integers(len(heads)))]
        held = attacks[int(rng.integers(len(attacks)))] if number == attacker else None
        sizes = ((100, 210), (100, 210), (22, 110)) if held else ((90, 200), (22, 100), (150, 250))
        low, high = sizes[int(rng.choice(3, p=[0.45, 0.45, 0.1]))]
        tall = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        placed.append(
            Placed(
                "away" if is_away and held is None else "here", head, FOCAL * SIZE[0] * FACE_M / tall,
                float(rng.uniform(-0.8, 0.8)), float(rng.normal(0, 0.06)), held,
                float(rng.uniform(0, 0.025) if rng.random() < 0.7 else 0),
            )
        )  # fmt: skip
    sky = str(rng.choice(SKIES))
    behind = Image.fromarray(backdrop(rng, *SIZE)) if rng.random() < 0.35 else None
    picture = compose(
        placed, SIZE, int(rng.integers(1 << 30)), sky=sky, seed=int(rng.choice(LANES)),  # type: ignore[arg-type]
        exposure=float(rng.uniform(0.65, 1.3)), behind=behind,
    )  # fmt: skip
    return _worn_out(picture.rgb, rng), [face for face in picture.seen if face.name == "here"]


def _worn_out(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """More grain, other contrast, another white: cameras differ."""
    if rng.random() < 0.4:
        return picture
    image = (picture.astype(np.float32) - 128) * np.float32(rng.uniform(0.8, 1.2)) + 128
    image = image * rng.uniform(0.92, 1.08, 3).astype(np.float32) + grain(rng, image.shape, 5)
    return np.clip(image, 0, 255).astype(np.uint8)


def _small(picture: Pixels, seen: list[Seen]) -> tuple[Pixels, list[Truth]]:
    """The lores picture on the detector's canvas."""
    how = Image.Resampling.BOX
    small = rgb_from_i420(i420_from_rgb(np.asarray(Image.fromarray(picture).resize(LORES, how))))
    canvas = np.full((CANVAS[1], CANVAS[0], 3), 127, np.uint8)
    canvas[: LORES[1]] = small
    share = LORES[0] / SIZE[0]
    return canvas, [(np.array(face.box) * share, face.landmarks.astype(np.float64) * share) for face in seen]


def _near(picture: Pixels, seen: list[Seen], rng: np.random.Generator) -> list[tuple[Pixels, list[Truth]]]:
    """What second looks see: each face that is large enough, off as a first look is; and a place without one."""
    wanted = [face.box for face in seen if face.box[3] >= 30 and rng.random() < 0.9]
    side = float(np.exp(rng.uniform(np.log(24), np.log(200))))
    wanted += [(float(rng.uniform(0, SIZE[0] - side)), float(rng.uniform(0, SIZE[1] - side)), side, side)]
    looks = []
    for x, y, w, h in wanted:
        side = SECOND_LOOK * max(w, h) * float(np.exp(rng.normal(0, 0.08)))
        left = x + w / 2 - side / 2 + float(rng.normal(0, 0.06)) * side
        top = y + h / 2 - side / 2 + float(rng.normal(0, 0.06)) * side
        pixels = nearest(picture, (left, top, side, side), (LOOK, LOOK)).transpose(1, 2, 0)
        scale, corner = LOOK / side, np.array([left, top])
        faces = [
            (np.array([*(np.array(f.box[:2]) - corner), *f.box[2:]]) * scale, (f.landmarks - corner) * scale)
            for f in seen
        ]
        looks.append((pixels, [(b, m) for b, m in faces if (np.abs(b[:2] + b[2:] / 2 - LOOK / 2) < LOOK / 2).all()]))
    return looks


def _pad_crop(picture: Pixels, face: Seen, rng: np.random.Generator, sampler: Sampler) -> Pixels:
    """What PAD sees of a face whose box is a little off."""
    off = rng.normal(0, 0.05, 4) * face.box[2]
    noisy = tuple(float(side + by) for side, by in zip(face.box, off, strict=True))
    crop = sampler.box(picture, crop_box((noisy[0], noisy[1], noisy[2], noisy[3]), PAD_SCALE, SIZE))
    return np.clip(crop, 0, 255).astype(np.uint8).transpose(1, 2, 0)

"""Rendered examples: aligned faces for the embedder, crops for PAD, small scenes for the detector; nobody's picture.

Seeds of people begin at `PEOPLE`, far above any seed that the gate's own courtyard uses: who is trained on never walks
up to a simulated gate.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gated.face.align import similarity
from gated.face.pad import crop_box
from gated.face.sample import Sampler
from gated.frame import i420_from_rgb, rgb_from_i420
from gated.simulator.attack import phone, printed
from gated.simulator.identity import identity
from gated.simulator.render import Sprite, render
from gated.simulator.view import Light, View

PEOPLE = 1_000_000_000
SIZE = 64
ARCFACE = np.array([(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)])
"""Five landmarks in a crop of 112 px (InsightFace's `arcface_dst`)."""
LANDMARKS = (ARCFACE - 56) * 0.5 + SIZE / 2
"""The same in ours, shown a little from afar, so that the hair line and the chin are in it."""
PAD_SCALE = 2.7
LORES = (320, 240)
CANVAS = (320, 256)
LOOK = 128
Pixels = NDArray[np.uint8]


def some_view(rng: np.random.Generator, plain: float = 0.5) -> View:
    """How somebody may come to a gate; as often as `plain` with nothing on and the eyes open."""
    bare = rng.random() < plain
    light = Light(
        (float(rng.uniform(-1, 1)), float(rng.uniform(-0.2, 1)), float(rng.uniform(0.4, 1.2))),
        ambient=float(rng.uniform(0.25, 0.65)),
        exposure=float(rng.uniform(0.65, 1.35)),
        warmth=float(rng.uniform(-1, 1)),
    )
    return View(
        yaw=float(np.clip(rng.normal(0, 14), -38, 38)),
        pitch=float(np.clip(rng.normal(0, 8), -22, 22)),
        roll=float(rng.normal(0, 5)),
        smile=float(rng.uniform(0, 1) if rng.random() < 0.5 else 0),
        mouth_open=float(rng.uniform(0, 0.6) if rng.random() < 0.25 else 0),
        eyes_closed=bool(not bare and rng.random() < 0.4),
        glasses="none" if bare else str(rng.choice(["none", "clear", "dark"], p=[0.4, 0.3, 0.3])),  # type: ignore[arg-type]
        mask=bool(not bare and rng.random() < 0.06),
        hat=bool(not bare and rng.random() < 0.2),
        light=light,
    )


def backdrop(rng: np.random.Generator, width: int, height: int) -> Pixels:
    """Something behind: blurred colours, edges, grain."""
    cells = int(rng.integers(2, 24))
    coarse = rng.uniform(20, 235, (cells, cells, 3)) * rng.uniform(0.3, 1.0) + rng.uniform(0, 60)
    how = Image.Resampling.BICUBIC if rng.random() < 0.7 else Image.Resampling.NEAREST
    picture = np.asarray(
        Image.fromarray(np.clip(coarse, 0, 255).astype(np.uint8)).resize((width, height), how), np.float32
    )
    for _ in range(int(rng.integers(0, 6))):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        picture[y : y + int(rng.integers(4, height)), x : x + int(rng.integers(2, width // 2))] = rng.uniform(0, 255, 3)
    return np.clip(picture + grain(rng, picture.shape, 8), 0, 255).astype(np.uint8)


def grain(rng: np.random.Generator, shape: tuple[int, ...], most: float) -> NDArray[np.float32]:
    """Noise of some strength up to `most` grey levels."""
    return rng.standard_normal(shape, np.float32) * np.float32(rng.uniform(0, most))


def paste(picture: Pixels, sprite: Sprite, left: int, top: int) -> None:
    """Lay a sprite into a picture, as far as it is inside."""
    height, width = sprite.alpha.shape
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + width, picture.shape[1]), min(top + height, picture.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    rows, columns = slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)
    alpha = sprite.alpha[rows, columns, None].astype(np.float32) / 255
    under = picture[y0:y1, x0:x1]
    picture[y0:y1, x0:x1] = (under * (1 - alpha) + sprite.rgb[rows, columns] * alpha + 0.5).astype(np.uint8)


def scaled(sprite: Sprite, factor: float) -> Sprite:
    """A sprite of another size, averaged over area."""
    height, width = (max(2, round(side * factor)) for side in sprite.alpha.shape)
    across, down = width / sprite.alpha.shape[1], height / sprite.alpha.shape[0]
    how = Image.Resampling.BOX if factor < 0.9 else Image.Resampling.BILINEAR
    x, y, w, h = sprite.box
    return Sprite(
        np.asarray(Image.fromarray(sprite.rgb).resize((width, height), how)),
        np.asarray(Image.fromarray(sprite.alpha).resize((width, height), how)),
        (sprite.landmarks * np.array([across, down])).astype(np.float32),
        (x * across, y * down, w * across, h * down),
    )


def wear(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """What a camera does: light, blur, grain, and colours at half the resolution."""
    image = picture.astype(np.float32)
    if rng.random() < 0.35:
        shift = rng.integers(-2, 3, 2)
        image = (image + np.roll(image, tuple(shift), (0, 1))) / 2
    image = (image - 128) * np.float32(rng.uniform(0.8, 1.2)) + np.float32(128 * rng.uniform(0.75, 1.25))
    image += grain(rng, image.shape, 7)
    return np.clip(image, 0, 255).astype(np.uint8)


def faces_of(seed: int, views: int) -> Pixels:
    """(views, 64, 64, 3): one person, aligned by landmarks that are off as a detector's are; two crops of each look."""
    rng, person = np.random.default_rng([1, seed]), identity(PEOPLE + seed)
    sampler, crops = Sampler((SIZE, SIZE)), []
    for number in range(views):
        if number % 2 == 0:
            sprite = render(person, some_view(rng), int(rng.integers(80, 130)))
            eyes = np.hypot(*(sprite.landmarks[1] - sprite.landmarks[0]))
        picture = backdrop(rng, sprite.alpha.shape[1], sprite.alpha.shape[0])
        paste(picture, sprite, 0, 0)
        marks = sprite.landmarks + rng.normal(0, 0.035, (5, 2)) * eyes
        upright = similarity(marks.astype(np.float32), [(float(x), float(y)) for x, y in LANDMARKS])
        assert upright is not None
        crop = sampler.turned(wear(picture, rng), upright.inverse.turn, upright.inverse.shift)
        crops.append(np.clip(crop, 0, 255).astype(np.uint8).transpose(1, 2, 0))
    return np.stack(crops)


def some_sprite(seed: int) -> tuple[Sprite, bool]:
    """A person at the gate, or (as often) a print or a phone with a person on it; and whether it is an attack."""
    rng = np.random.default_rng([2, seed])
    sprite = render(identity(PEOPLE + seed), some_view(rng), int(rng.integers(90, 150)))
    if seed % 2 == 0:
        return sprite, False
    if rng.random() < 0.5:
        return printed(sprite, backdrop(rng, *sprite.alpha.shape[::-1]), rng), True
    return phone(sprite, rng), True


def pad_crops(seed: int) -> tuple[Pixels, int]:
    """(4, 64, 64, 3) crops of one thing before a camera, and 1 for bona fide or 0 for an attack."""
    rng = np.random.default_rng([3, seed])
    sprite, is_attack = some_sprite(seed)
    sampler, crops = Sampler((SIZE, SIZE)), []
    for _ in range(4):
        seen = scaled(sprite, rng.uniform(0.6, 1.3))
        height, width = seen.alpha.shape
        picture = backdrop(rng, max(480, width + 40), max(400, height + 40))
        left, top = int(rng.integers(0, picture.shape[1] - width + 1)), picture.shape[0] - height
        paste(picture, seen, left, top if not is_attack else int(rng.integers(0, top + 1)))
        box = list(seen.box)
        box[0] += left
        box[1] += top
        off = rng.normal(0, 0.05, 4) * seen.box[2]
        noisy = (box[0] + off[0], box[1] + off[1], max(8.0, box[2] + off[2]), max(8.0, box[3] + off[3]))
        crop = sampler.box(wear(picture, rng), crop_box(noisy, PAD_SCALE, (picture.shape[1], picture.shape[0])))
        crops.append(np.clip(crop, 0, 255).astype(np.uint8).transpose(1, 2, 0))
    return np.stack(crops), int(not is_attack)


def scene(sprites: list[Sprite], rng: np.random.Generator) -> tuple[Pixels, list[tuple[NDArray[Any], NDArray[Any]]]]:
    """A lores picture on the detector's canvas (256, 320, 3), and the (box, landmarks) of each face in it."""
    picture, faces = backdrop(rng, *LORES), []
    for _ in range(int(rng.choice([0, 1, 2, 3], p=[0.1, 0.6, 0.2, 0.1]))):
        sprite = sprites[int(rng.integers(len(sprites)))]
        seen = scaled(sprite, float(np.exp(rng.uniform(np.log(16), np.log(85)))) / sprite.box[3])
        x, y, w, h = seen.box
        left = int(rng.uniform(-0.1 * w, LORES[0] - 0.9 * w) - x)
        top = int(rng.uniform(-0.1 * h, LORES[1] - 0.9 * h) - y)
        hidden = any(abs(left + x + w / 2 - b[0] - b[2] / 2) < (w + b[2]) / 1.6 for b, _ in faces)
        if not hidden:
            paste(picture, seen, left, top)
            faces.append((np.array([x + left, y + top, w, h]), seen.landmarks + np.array([left, top])))
    picture = wear(picture, rng)
    if rng.random() < 0.5:
        picture = rgb_from_i420(i420_from_rgb(picture)).astype(np.uint8)
    canvas = np.full((CANVAS[1], CANVAS[0], 3), 127.5).astype(np.uint8)
    canvas[: LORES[1]] = picture
    return canvas, faces


def near(sprites: list[Sprite], rng: np.random.Generator) -> tuple[Pixels, list[tuple[NDArray[Any], NDArray[Any]]]]:
    """What the second look sees: one face in 128 px, large; or now and then none."""
    picture = backdrop(rng, LOOK, LOOK)
    if rng.random() < 0.08:
        return wear(picture, rng), []
    sprite = sprites[int(rng.integers(len(sprites)))]
    seen = scaled(sprite, LOOK / 1.4 * rng.uniform(0.75, 1.2) / max(sprite.box[2:]))
    x, y, w, h = seen.box
    left, top = (int((LOOK - side) / 2 - at + rng.normal(0, 0.06) * side) for at, side in ((x, w), (y, h)))
    paste(picture, seen, left, top)
    return wear(picture, rng), [(np.array([x + left, y + top, w, h]), seen.landmarks + np.array([left, top]))]


def in_parallel(make: Callable[[Any], Any], jobs: list[Any], processes: int, what: str) -> Iterator[Any]:
    """The results in order, made by several processes; says how far it is."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for done, result in enumerate(pool.imap(make, jobs, chunksize=8), 1):
            if done % max(1, len(jobs) // 10) == 0:
                print(f"  {what}: {done} of {len(jobs)}", flush=True)
            yield result

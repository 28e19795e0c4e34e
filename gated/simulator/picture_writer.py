"""Writes pictures of what the simulated camera showed, with boxes around the faces."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gated.frame import Pixels
from gated.simulator.cast import Cast
from gated.simulator.composition import Seen, compose
from gated.simulator.script import PASS_S, Actor, Script

EVERY_S = 0.5
AFTER_S = PASS_S / 2
LET_IN, REFUSED = (40, 170, 80), (215, 60, 50)


def record(
    script: Script,
    steps: Sequence[Sequence[Actor]],
    let_in: Sequence[Sequence[str]],
    size: tuple[int, int],
    folder: Path,
) -> int:
    """Write two pictures a second of each step's visit as `STEP-SECOND.jpg`. Return their number.

    All positions follow from the script, so nothing is stored while the gate runs. `let_in`: names of the people
    granted at each step. Their boxes read "open", all others "closed".
    """
    folder.mkdir(parents=True, exist_ok=True)
    cast, count = Cast(size[0], script.sky, script.seed), 0
    for number, (actors, welcome) in enumerate(zip(steps, let_in, strict=True)):
        for second in _seconds(actors):
            people = [placed for actor in script.actors if (placed := cast.place(actor, second)) is not None]
            picture = compose(people, size, round(second * 10), sky=script.sky, seed=script.seed)
            boxed(picture.rgb, picture.seen, welcome).save(folder / f"{number + 1:02}-{second:06.1f}.jpg", quality=88)
            count += 1
    return count


def boxed(rgb: Pixels, seen: Sequence[Seen], welcome: Sequence[str]) -> Image.Image:
    """Draw a box around each face, its landmarks, its name, and "open" or "closed"."""
    image = Image.fromarray(rgb).copy()
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=18)
    for face in seen:
        x, y, w, h = face.box
        is_open = face.name in welcome
        colour = LET_IN if is_open else REFUSED
        draw.rectangle((x, y, x + w, y + h), outline=colour, width=3)
        for at in face.landmarks.tolist():
            draw.ellipse((at[0] - 3, at[1] - 3, at[0] + 3, at[1] + 3), fill=colour)
        words = f"{face.name}: {'open' if is_open else 'closed'}"
        left, top, right, bottom = draw.textbbox((x, y - 26), words, font)
        draw.rectangle((left - 4, top - 3, right + 4, bottom + 3), fill=colour)
        draw.text((x, y - 26), words, (255, 255, 255), font)
    return image


def _seconds(actors: Sequence[Actor]) -> list[float]:
    """Return the seconds of a visit to draw. Empty without actors."""
    if not actors:
        return []
    ends_s = max(actor.comes_s if actor.leaves_s is None else actor.leaves_s for actor in actors)
    seconds: list[float] = np.arange(actors[0].comes_s + EVERY_S, ends_s + AFTER_S, EVERY_S).tolist()
    return seconds

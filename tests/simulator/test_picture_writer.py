"""Pictures of what the camera showed, drawn afterwards."""

import numpy as np
from PIL import Image

from gated.simulator.composition import Seen
from gated.simulator.picture_writer import LET_IN, REFUSED, boxed, record
from gated.simulator.script import Actor, Script

SIZE = (320, 240)
FACE = Seen("a", (100.0, 80.0, 60.0, 80.0), np.full((5, 2), 120, np.float32))
GREY = np.full((240, 320, 3), 128, np.uint8)


def shows(image, colour):
    return bool((np.abs(np.asarray(image).astype(int) - colour) < 12).all(axis=2).any())


def test_the_colour_of_a_box_shows_the_decision():
    welcome, unwelcome = boxed(GREY, [FACE], ["a"]), boxed(GREY, [FACE], ["b"])
    assert shows(welcome, LET_IN)
    assert not shows(welcome, REFUSED)
    assert shows(unwelcome, REFUSED)
    assert (GREY == 128).all()


def test_each_visit_gives_two_pictures_a_second(tmp_path):
    actor = Actor(person=1, comes_s=10.0, leaves_s=12.0, name="a")
    script = Script(actors=(actor,))
    count = record(script, [[], [actor]], [[], ["a"]], SIZE, tmp_path / "out")
    pictures = sorted((tmp_path / "out").iterdir())
    assert len(pictures) == count == 4
    assert pictures[0].name == "02-0010.5.jpg"
    assert Image.open(pictures[0]).size == SIZE
    assert any(shows(Image.open(path), LET_IN) for path in pictures)

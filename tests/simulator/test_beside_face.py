import numpy as np
import pytest

from gated.simulator.beside_face import eye_patch, headrest, umbrella
from gated.simulator.identity import identity
from gated.simulator.render import render
from gated.simulator.view import View

FACE = render(identity(31), View(), 100)


def brightness_at(sprite, landmark):
    x, y = sprite.landmarks[landmark].astype(int)
    return float(sprite.rgb[y, x].mean())


def test_a_patch_covers_one_eye_only():
    worn = eye_patch(FACE)
    assert brightness_at(worn, 0) < 40
    assert brightness_at(worn, 1) == brightness_at(FACE, 1)
    assert np.array_equal(worn.alpha, FACE.alpha)


@pytest.mark.parametrize("thing", [headrest, umbrella])
def test_a_thing_beside_the_face_leaves_the_face_as_it_is(thing):
    shown = thing(FACE)
    for landmark in range(5):
        assert brightness_at(shown, landmark) == pytest.approx(brightness_at(FACE, landmark), abs=3)
    assert shown.box[2:] == FACE.box[2:]
    assert (shown.alpha > 0).sum() > (FACE.alpha > 0).sum()


def test_an_umbrella_is_above_and_a_headrest_beside_the_face():
    over, behind = umbrella(FACE), headrest(FACE)
    x, y, w, h = (round(v) for v in over.box)
    assert over.alpha[max(0, y - h // 3), x - w // 2] == 255
    x, y, w, h = (round(v) for v in behind.box)
    assert behind.alpha[y + h // 3, x - w // 4] == 255
    assert behind.alpha[y + h // 3, x + w + w // 4] == 255

"""A picture for an installer: a file that only the installer can read, or a drawing on their terminal."""

import re

import numpy as np
import pytest
from PIL import Image

from gated.cli.camera_picture import TERMINAL, drawn, show_picture
from gated.errors import PictureError
from gated.frame import Frame

SEEN = np.zeros((480, 640, 3), np.uint8)
SEEN[240:] = (10, 200, 30)
FRAME = Frame(SEEN, SEEN[:, :, 0], 0.0, 0)


def test_a_picture_file_is_readable_only_by_its_owner_even_if_it_replaces_a_public_one(tmp_path):
    path = tmp_path / "view.png"
    path.touch(0o644)
    show_picture(path, FRAME)
    assert path.stat().st_mode & 0o777 == 0o600
    assert np.array_equal(np.asarray(Image.open(path)), SEEN)


def test_the_drawing_has_the_shape_and_colours_of_the_picture():
    lines = drawn(Image.fromarray(SEEN), 40).splitlines()
    assert [len(re.findall("▀", line)) for line in lines] == [40] * 15
    assert "38;2;0;0;0;48;2;0;0;0m" in lines[0]
    assert "38;2;10;200;30;48;2;10;200;30m" in lines[-1]
    assert all(line.endswith("\x1b[0m") for line in lines)


def test_nothing_is_drawn_into_a_pipe(capsys):
    with pytest.raises(PictureError, match="no terminal to draw on"):
        show_picture(TERMINAL, FRAME)
    assert "▀" not in str(capsys.readouterr())


@pytest.mark.parametrize("name", ["nowhere/view.png", "view.strange"])
def test_an_unwritable_path_is_reported(tmp_path, name):
    with pytest.raises(PictureError, match="name a .png"):
        show_picture(tmp_path / name, FRAME)

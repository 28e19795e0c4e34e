"""A pass as a QR code: it contains the signed text, is large enough, and shows on any terminal."""

import pytest
import zxingcpp
from PIL import Image

from gated.access.qr import on_terminal, squares, write_png
from gated.errors import StateError


def test_the_picture_contains_the_pass(office, tmp_path):
    text = office.issue()
    write_png(text, tmp_path / "pass.png")
    picture = Image.open(tmp_path / "pass.png")
    assert 400 < picture.width < 800
    assert zxingcpp.read_barcode(picture).text == text


def test_the_drawn_squares_equal_the_picture(office, tmp_path):
    text = office.issue()
    write_png(text, tmp_path / "pass.png")
    rows = squares(text)
    assert len(rows) == len(rows[0]) == Image.open(tmp_path / "pass.png").width / 12 - 8
    assert set(b"".join(rows)) == {0, 1}
    assert rows[0][:8] == bytes([1, 1, 1, 1, 1, 1, 1, 0])


def test_the_terminal_shows_every_row(office):
    text = office.issue()
    drawn = on_terminal(text)
    assert len(drawn.splitlines()) >= (len(squares(text)) + 8) // 2
    assert "G1." not in drawn


def test_a_missing_folder_is_named(office, tmp_path):
    with pytest.raises(StateError, match="nowhere.*cannot be written"):
        write_png(office.issue(), tmp_path / "nowhere" / "pass.png")

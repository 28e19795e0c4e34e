"""A photo is decoded in a process without rights, with the same pixels and the same messages."""

import io
import random

import numpy as np
import pytest
from PIL import Image

from gated.camera import decoding
from gated.camera.decoding import MOST_SIDE_PX, decoded_photo
from gated.camera.pictures import FORMATS, frame_of, load_picture
from gated.errors import ConfinedError, PictureError

RGB = np.random.default_rng(3).integers(0, 255, (40, 60, 3), np.uint8)


@pytest.fixture
def saved(tmp_path):
    def save(rgb, name, **options):
        Image.fromarray(rgb).save(tmp_path / name, **options)
        return tmp_path / name

    return save


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_gives_the_pixels_of_load_picture(form, saved):
    path = saved(RGB, "a", format=form)
    assert (decoded_photo(path) == load_picture(path)).all()


def test_a_turned_heic_picture_is_decoded_upright(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra heic")
    image, exif = Image.fromarray(np.kron(RGB, np.ones((4, 4, 1), np.uint8))), Image.Exif()
    exif[0x0112] = 6
    pillow_heif.from_pillow(image).save(tmp_path / "a.heic", quality=90, exif=exif.tobytes())
    rgb = decoded_photo(tmp_path / "a.heic")
    assert rgb.shape == (240, 160, 3)
    assert np.abs(rgb.astype(int) - np.rot90(np.asarray(image), -1)).mean() < 30


def test_a_large_photo_comes_at_the_size_of_a_frame(saved):
    rgb = np.kron(RGB, np.ones((60, 60, 1), np.uint8))
    path = saved(rgb, "a.png", compress_level=1)
    decoded = decoded_photo(path)
    assert max(decoded.shape) == MOST_SIDE_PX
    assert (frame_of(decoded, 0.0, 0).main == frame_of(rgb, 0.0, 0).main).all()


@pytest.mark.parametrize("content", [b"", b"hello", b"%PDF-1.4", b"\xff\xd8\xff\xe0", bytes(50)])
def test_the_message_is_that_of_load_picture(content, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(PictureError) as there:
        load_picture(path)
    with pytest.raises(PictureError) as here:
        decoded_photo(path)
    assert str(here.value) == str(there.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(PictureError, match="is not a file; check the path"):
        decoded_photo(tmp_path / "nobody.jpg")


def test_damaged_files_give_one_clear_message(tmp_path):
    memory = io.BytesIO()
    Image.fromarray(RGB).save(memory, "JPEG")
    chance, refused = random.Random(2), 0
    for _ in range(6):
        altered = bytearray(memory.getvalue())
        for _ in range(4):
            altered[chance.randrange(300)] = chance.randrange(256)
        (tmp_path / "a").write_bytes(altered[: chance.randrange(len(altered))])
        try:
            assert decoded_photo(tmp_path / "a").dtype == np.uint8
        except PictureError as error:
            refused += 1
            assert len(str(error).splitlines()) == 1
    assert refused >= 3


@pytest.mark.parametrize(
    "output",
    [b"", b"\1\0", b"\2\0\2\0" + bytes(11), b"\2\0\2\0" + bytes(13), b"\0\0\0\0", b"\xff\xff\1\0" + bytes(3 * 65535)],
)
def test_a_decoder_that_writes_no_picture_is_refused(output, saved, monkeypatch):
    """A compromised decoder may write anything."""
    monkeypatch.setattr(decoding, "run", lambda *args: args[3].write(output))
    with pytest.raises(PictureError, match="its decoder gave no picture; save the photo as JPEG or PNG"):
        decoded_photo(saved(RGB, "a.png"))


def test_a_decoder_that_dies_gives_its_reason(saved, monkeypatch):
    def dies(*_):
        raise ConfinedError("its process ended with status -11")

    monkeypatch.setattr(decoding, "run", dies)
    with pytest.raises(PictureError, match=r"a\.png: its process ended with status -11"):
        decoded_photo(saved(RGB, "a.png"))

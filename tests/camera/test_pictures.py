"""Pictures of phones and scanners are loaded upright and as RGB. Other files are refused with a clear error."""

import io
import os
import random
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import gated.camera.pictures
from gated.camera.pictures import FORMATS, frame_of, load_picture
from gated.errors import PictureError
from gated.frame import rgb_from_i420

SOFT = np.stack([np.linspace(0, 255, 60 * 80).reshape(60, 80)] * 3, -1).astype(np.uint8)
SOFT[..., 1] = SOFT[::-1, ::-1, 1]


@pytest.fixture
def saved(tmp_path):
    def save(image, name, **options):
        path = tmp_path / name
        image.save(path, **options)
        return path

    return save


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif", "ppm", "jp2", "tga"])
def test_every_format_gives_the_same_picture(suffix, saved):
    rgb = load_picture(saved(Image.fromarray(SOFT), f"a.{suffix}"))
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    assert np.abs(rgb.astype(int) - SOFT).mean() < 4


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "RGBA", "CMYK", "YCbCr", "P", "1", "I", "I;16", "F"])
def test_every_mode_becomes_rgb(mode, saved):
    grey = Image.fromarray(SOFT[..., 0])
    if mode in ("I", "I;16"):
        image = Image.fromarray(
            (SOFT[..., 0].astype(np.uint16) * 257).astype(np.uint16 if mode == "I;16" else np.int32)
        )
    elif mode == "F":
        image = Image.fromarray(SOFT[..., 0].astype(np.float32) / 255)
    else:
        image = grey.convert("RGB").convert(mode)
    suffix = "jpg" if mode in ("CMYK", "YCbCr") else "tif" if mode in ("I", "F") else "png"
    rgb = load_picture(saved(image, f"a.{suffix}"))
    assert rgb.shape == (60, 80, 3)
    assert abs(float(rgb.mean()) - float(SOFT[..., 0].mean())) < 6


def test_sixteen_bit_greyscale_is_scaled_and_not_clipped(saved):
    deep = Image.fromarray(np.array([[0, 256 * 10, 256 * 100, 65535]], np.uint16))
    assert load_picture(saved(deep, "a.png"))[0, :, 0].tolist() == [0, 10, 100, 255]


def test_transparent_areas_become_white(saved):
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 255))
    image.paste((0, 0, 0, 0), (4, 0, 8, 8))
    rgb = load_picture(saved(image, "a.png"))
    assert rgb[0, 0].tolist() == [255, 0, 0]
    assert rgb[0, 7].tolist() == [255, 255, 255]


def test_a_transparent_palette_colour_is_white(saved):
    image = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    image.putpalette([9, 9, 9, 50, 60, 70])
    assert load_picture(saved(image, "a.gif", transparency=0)).tolist() == [[[255] * 3, [50, 60, 70]]]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_by_its_exif_orientation(orientation, saved):
    """EXIF 2.3, section 4.6.4: the sides of row 0 and column 0 of the stored picture."""
    upright = np.zeros((40, 64, 3), np.uint8)
    upright[:20, :32] = (255, 0, 0)
    upright[:20, 32:] = (0, 255, 0)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(Image.fromarray(np.ascontiguousarray(stored)), "a.png", exif=exif)
    assert (load_picture(path) == upright).all()


def test_the_first_picture_of_an_animation_is_loaded(saved):
    pages = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    rgb = load_picture(saved(pages[0], "a.gif", save_all=True, append_images=pages[1:]))
    assert rgb[0, 0].tolist() == [255, 0, 0]


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(PictureError, match=r"nobody\.jpg: is not a file; check the path"):
        load_picture(tmp_path / "nobody.jpg")


def test_a_pipe_that_takes_the_place_of_a_picture_holds_nobody_up(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "a.jpg")
    monkeypatch.setattr(Path, "is_file", lambda _: True)  # it was a file when it was checked
    with pytest.raises(PictureError, match=r"a\.jpg: is not a file; check the path"):
        load_picture(tmp_path / "a.jpg")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(PictureError, match="is not a file"):
        load_picture(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\xff\xd8\xff", bytes(1000)])
def test_a_file_that_is_not_a_picture_is_refused_with_the_next_step(content, tmp_path):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(PictureError, match=r"a\.jpg: .*(saved? (it )?as JPEG|take it again|take another photo)"):
        load_picture(tmp_path / "a.jpg")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tif", "gif"])
def test_a_truncated_file_is_refused(suffix, saved):
    path = saved(Image.fromarray(np.random.default_rng(1).integers(0, 255, (60, 80, 3), np.uint8)), f"a.{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(PictureError, match=r"is a damaged or incomplete \w+ picture.*copy or take it again"):
        load_picture(path)


def png_header(width, height):
    """Return a PNG with a header of this size and no pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(12_001, 10), (10, 12_001), (8_001, 8_000), (11_000, 11_000), (50_000, 50_000)])
def test_a_too_large_picture_is_refused_before_decoding(size, tmp_path):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(*size))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PictureError, match=r"bomb\.png: is too large .*12,000 px per side and 64 megapixels"):
            load_picture(path)


def test_the_largest_size_is_accepted(tmp_path):
    path = tmp_path / "large.png"
    path.write_bytes(png_header(12_000, 5_333))
    with pytest.raises(PictureError, match="damaged"):
        load_picture(path)


def test_an_unreadable_file_is_refused_with_the_next_step(picture, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    path = picture("a.png")
    monkeypatch.setattr(gated.camera.pictures, "open_plain", refuse)
    with pytest.raises(PictureError, match="may not be read; give this user permission"):
        load_picture(path)


@pytest.mark.parametrize("tag", [(254, 1), (50706, b"\1\4\0\0")], ids=["preview", "dng"])
def test_a_raw_picture_and_its_preview_are_refused_by_name(tag, saved):
    path = saved(Image.fromarray(SOFT), "a.nef.tif", tiffinfo=dict([tag]))
    with pytest.raises(PictureError, match="is a RAW picture of a camera; save it as JPEG"):
        load_picture(path)


def heic(image):
    """Return a picture as HEIC. Skips the test without the extra `heic`."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra heic")
    memory = io.BytesIO()
    pillow_heif.from_pillow(image).save(memory, quality=90)
    return memory.getvalue()


def test_a_heic_picture_is_loaded(tmp_path):
    (tmp_path / "a.HEIC").write_bytes(heic(Image.fromarray(SOFT)))
    assert np.abs(load_picture(tmp_path / "a.HEIC").astype(int) - SOFT).mean() < 6


def test_without_the_extra_a_heic_picture_is_refused_by_name(tmp_path, monkeypatch):
    (tmp_path / "a.jpg").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    monkeypatch.setattr(gated.camera.pictures, "_reads_heic", lambda: False)
    with pytest.raises(PictureError, match=r"a\.jpg: is a HEIC picture of a phone; save it as JPEG, or install"):
        load_picture(tmp_path / "a.jpg")


def test_changed_and_truncated_heic_raises_nothing_but_picture_errors(tmp_path):
    specimen, chance, refused = heic(Image.fromarray(SOFT)), random.Random(5), 0
    for _ in range(150):
        altered = bytearray(specimen)
        for _ in range(chance.randint(1, 6)):
            altered[chance.randrange(min(len(altered), chance.choice([100, 400, 10**9])))] = chance.randrange(256)
        (tmp_path / "a").write_bytes(altered[: chance.randrange(len(altered)) if chance.random() < 0.3 else None])
        try:
            assert load_picture(tmp_path / "a").dtype == np.uint8
        except PictureError as error:
            refused += 1
            assert len(str(error).splitlines()) == 1
    assert refused > 20


def specimens():
    """Yield a small picture in every format, with EXIF if the format supports it."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 24, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in FORMATS:
        memory = io.BytesIO()
        image.save(memory, name, **({"exif": exif} if name in ("JPEG", "PNG", "WEBP", "TIFF") else {}))
        yield memory.getvalue()


def test_random_changes_raise_nothing_but_picture_errors(tmp_path):
    """300 changes per format, most of them near the header."""
    chance, path, refused = random.Random(7), tmp_path / "a", 0
    for specimen in specimens():
        for _ in range(300):
            altered = bytearray(specimen)
            for _ in range(chance.randint(1, 6)):
                altered[chance.randrange(min(len(altered), chance.choice([100, 400, 10**9])))] = chance.randrange(256)
            path.write_bytes(altered[: chance.randrange(len(altered)) if chance.random() < 0.3 else None])
            try:
                assert load_picture(path).dtype == np.uint8
            except PictureError:
                refused += 1
    assert refused > 500


def test_a_frame_is_scaled_to_its_longer_side():
    frame = frame_of(np.zeros((3000, 1500, 3), np.uint8), at=5.0, number=7)
    assert frame.main.shape == (1280, 640, 3)
    assert frame.lores_size == (120, 240)
    assert (frame.at, frame.number) == (5.0, 7)


def test_a_small_picture_is_not_scaled():
    frame = frame_of(SOFT, at=0.0, number=0)
    assert (frame.main == SOFT).all()
    assert frame.lores_size == (80, 60)


def test_lores_and_main_show_the_same_picture():
    frame = frame_of(np.kron(SOFT, np.ones((8, 8, 1), np.uint8)), at=0.0, number=0)
    small = np.array(Image.fromarray(frame.main).resize(frame.lores_size, Image.Resampling.BOX), np.float32)
    assert np.abs(rgb_from_i420(frame.lores) - small).mean() < 5


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_every_shape_makes_a_frame(width, height):
    frame = frame_of(np.zeros((height, width, 3), np.uint8), at=0.0, number=0)
    assert max(frame.main.shape[:2]) == min(1280, max(width, height))
    lores_width, lores_height = frame.lores_size
    assert lores_width % 2 == lores_height % 4 == 0
    assert frame.main.flags.c_contiguous
    assert frame.lores.flags.c_contiguous

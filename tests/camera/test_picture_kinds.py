"""A file that is no picture is named by its first bytes, with something to do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.camera.picture_kinds import HEIC, RAW, STARTS, VIDEO, is_heic, other_kind, picture_kind


def box(brand):
    return b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0" + bytes(20)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "the file is empty"),
        (bytes(500), "only zeros"),
        (b"%PDF-1.7\n%\xe2\xe3", "is a PDF document"),
        (b"PK\x03\x04\x14\0", "is an archive or an Office document"),
        (box(b"isom"), "is a video"),
        (box(b"qt  "), "is a video"),
        (b"\x1aE\xdf\xa3\x9f", "is a video"),
        (b"RIFF\0\0\0\0AVI LIST", "is a video"),
        (b"RIFF\0\0\0\0WAVEfmt ", "is a sound"),
        (box(b"crx "), "is a RAW picture"),
        (b"II*\0\x10\0\0\0CR\2\0", "is a RAW picture"),
        (b"FUJIFILMCCD-RAW 0201", "is a RAW picture"),
        (box(b"heic"), "is a HEIC picture of a phone"),
        (box(b"mif1"), "is a HEIC picture of a phone"),
        (box(b"avif"), "is an AVIF picture"),
        (b"Minutes of the meeting\r\n", "is a text"),
        ("\ufeff\u4f4f\u6237\u540d\u5355".encode(), "is a text"),
        ("\u4f4f\u6237\u540d\u5355".encode("utf-16"), "is a text"),
        ("\u4f4f\u6237".encode()[:-1], "is a text"),
        (b"\n<!DOCTYPE html><html>", "is a web page"),
        (b'<?xml version="1.0"?><svg width="1">', "is a drawing"),
    ],
)
def test_each_kind_has_a_sentence_of_its_own(head, words):
    assert words in other_kind(head)


PICTURES = [
    (b"\xff\xd8\xff\xe0\0\x10JFIF", "JPEG"), (b"\x89PNG\r\n\x1a\n", "PNG"), (b"GIF89a", "GIF"), (b"BM6\0\0\0", "BMP"),
    (b"II*\0\x08\0\0\0\1\0", "TIFF"), (b"MM\0*\0\0\0\x08", "TIFF"), (b"RIFF\0\0\0\0WEBPVP8 ", "WebP"),
    (b"\0\0\0\x0cjP  \r\n", "JPEG 2000"),
]  # fmt: skip


@pytest.mark.parametrize(("head", "name"), PICTURES)
def test_a_picture_is_no_other_kind(head, name):
    assert other_kind(head) is None
    assert picture_kind(head) == name


def test_a_plain_ppm_picture_is_no_text():
    assert other_kind(b"P3\n1 1\n255\n1 2 3\n") is None


def test_heic_is_known_by_its_brand():
    assert is_heic(box(b"heic"))
    assert not is_heic(box(b"isom"))
    assert picture_kind(box(b"heix")) == "HEIC"


def test_every_sentence_has_something_to_do():
    for words in (HEIC, RAW, VIDEO, *(words for _, words in STARTS)):
        assert "; " in words


@given(st.binary(max_size=200))
def test_any_bytes_get_one_sentence_or_none(head):
    words = other_kind(head)
    assert words is None or len(words.splitlines()) == 1
    picture_kind(head)

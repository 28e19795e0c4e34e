"""Names the kind of a file by its first bytes, if it is no picture that gated reads. `pictures` uses it.

So the error for a wrong file names its kind and the next step. Pure functions over bytes.
"""

import codecs

HEAD_BYTES = 4096
"""How much of a file is read for its name."""

HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
"""Brands of HEIF pictures, ISO/IEC 23008-12. "mif1" and "msf1" name the container."""
AVIF_BRANDS = (b"avif", b"avis")

VIDEO = "is a video; take a photo, or save one picture of the video as JPEG"
RAW = "is a RAW picture of a camera; save it as JPEG"
HEIC = "is a HEIC picture of a phone; save it as JPEG, or install the package pillow-heif (`pip install 'gated[heic]'`)"
OFFICE = "is an archive or an Office document; save the photo in it as JPEG"
DRAWING = "is a drawing and no photo; use a photo, saved as JPEG"

STARTS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF-", "is a PDF document; save the photo in it as JPEG"),
    (b"%!PS", DRAWING),
    (b"8BPS", "is a Photoshop document; save it as JPEG"),
    (b"PK\x03\x04", OFFICE),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", OFFICE),
    (b"\x1f\x8b", "is an archive; take the photo out of it first"),
    (b"7z\xbc\xaf\x27\x1c", "is an archive; take the photo out of it first"),
    (b"Rar!\x1a\x07", "is an archive; take the photo out of it first"),
    (b"\x1aE\xdf\xa3", VIDEO),  # Matroska, WebM
    (b"\x00\x00\x01\xba", VIDEO),  # MPEG
    (b"\x00\x00\x01\xb3", VIDEO),
    (b"FLV\x01", VIDEO),
    (b"0&\xb2u\x8ef\xcf\x11", VIDEO),  # Windows Media
    (b"FUJIFILMCCD-RAW", RAW),
    (b"IIRO", RAW),  # Olympus
    (b"IIRS", RAW),
    (b"MMOR", RAW),
    (b"IIU\x00", RAW),  # Panasonic
    (b"FOVb", RAW),  # Sigma
    (b"\x00MRM", RAW),  # Minolta
    (b"ID3", "is a sound and no picture; use a photo, saved as JPEG"),
    (b"OggS", "is a sound and no picture; use a photo, saved as JPEG"),
    (b"\x7fELF", "is a program and no picture; use a photo, saved as JPEG"),
    (b"MZ", "is a program and no picture; use a photo, saved as JPEG"),
)
"""The first bytes of other files. From the publishers' descriptions of each format, as in file(1)."""


PICTURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"\0\0\0\x0cjP", "JPEG 2000"),
    (b"\xffO\xffQ", "JPEG 2000"),
)
"""The first bytes of pictures that gated reads."""


def picture_kind(head: bytes) -> str | None:
    """Return the name of a picture's format, for a message about a damaged one. None for an unknown format."""
    if is_heic(head):
        return "HEIC"
    if head[:4] == b"RIFF" and head[8:12] in (b"WEBP", b""):
        return "WebP"
    return next((name for start, name in PICTURES if head.startswith(start)), None)


def is_heic(head: bytes) -> bool:
    """Return whether a file is a HEIC picture."""
    return _brand(head) in HEIC_BRANDS


def other_kind(head: bytes) -> str | None:
    """Return the kind of a file and the next step, if it is no picture that gated reads. None if it may be one.

    HEIC is named too. `head`: the first `HEAD_BYTES` of the file.
    """
    if not head:
        return "the file is empty; copy it again, or take another photo"
    if not head.strip(b"\0"):
        return "has only zeros in it; copy it again, or take another photo"
    found = next((words for start, words in STARTS if head.startswith(start)), None)
    return found or _of_container(head) or (None if picture_kind(head) else _of_text(head))


def _of_container(head: bytes) -> str | None:
    """Return the kind of a file in a container: ISO base media (ISO/IEC 14496-12), RIFF, or TIFF of a camera."""
    brand = _brand(head)
    if brand in HEIC_BRANDS:
        return HEIC
    if brand in AVIF_BRANDS:
        return "is an AVIF picture; save it as JPEG"
    if brand is not None:
        return RAW if brand == b"crx " else VIDEO
    if head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"WAVE"):
        return VIDEO if head[8:12] == b"AVI " else "is a sound and no picture; use a photo, saved as JPEG"
    return RAW if head[:4] == b"II*\0" and head[8:10] == b"CR" else None


def _brand(head: bytes) -> bytes | None:
    """Return the major brand of an ISO base media file. None for another file."""
    return head[8:12] if head[4:8] == b"ftyp" and len(head) >= 12 else None


def _of_text(head: bytes) -> str | None:
    """Return the kind of a text. None for other bytes, and for the plain PPM and PGM pictures, which are text."""
    if head[:2] in {b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7", b"Pf", b"PF"}:
        return None
    text = _decoded(head)
    if text is None or not all(character.isprintable() or character in "\t\r\n\f" for character in text):
        return None
    start = text.lstrip().lower()
    if start.startswith(("<!doctype html", "<html")):
        return "is a web page; save the photo itself, as JPEG"
    if "<svg" in start:
        return DRAWING
    return "is a text and no picture; use a photo, saved as JPEG"


def _decoded(head: bytes) -> str | None:
    """Return the start of a UTF-8 or UTF-16 text. None for other bytes. Imports nothing: see `decoder`."""
    try:
        if head[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
            return codecs.utf_16_decode(head[: len(head) // 2 * 2])[0].removeprefix("\ufeff")
        return codecs.utf_8_decode(head.removeprefix(codecs.BOM_UTF8), "strict", False)[0]  # may end in a character
    except UnicodeDecodeError:
        return None

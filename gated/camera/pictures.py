"""Load pictures of phones and scanners from files, upright, as RGB. Other files are refused with a clear error.

HEIC needs the package pillow-heif (extra `heic`). Without it the error names such a picture as HEIC.
"""

import struct
import warnings
import zlib
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from gated.bounded import UnplainError, open_plain
from gated.camera.picture_kinds import HEAD_BYTES, RAW, is_heic, other_kind, picture_kind
from gated.errors import PictureError
from gated.frame import Frame, Pixels, i420_from_rgb, lores_size_for
from gated.storage.named_files import reading

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "TGA")
"""The accepted formats. Pillow knows more formats, but some of its readers start other programs (EPS, WMF)."""
MAX_SIDE_PX = 12_000
MAX_PIXELS = 64_000_000
"""The most pixels: 200 MB as RGB. No phone makes larger pictures by default, and a Pi can load this much."""

MOST_WORDS = 200
"""Longest reason of a decoder in a message, in characters."""

_DAMAGED = (
    *(OSError, SyntaxError, ValueError, ArithmeticError, LookupError, EOFError, TypeError, MemoryError),
    *(struct.error, zlib.error),
)
"""The errors of Pillow's readers for truncated or invalid files, found by random changes of files."""


DNG_VERSION, NEW_SUBFILE_TYPE = 50706, 254
"""Tags of TIFF files. RAW pictures are TIFF files too: DNG has the first, others begin with a small preview."""


def load_picture(path: Path) -> Pixels:
    """Load a picture as (H, W, 3) uint8 RGB. It applies the EXIF orientation and puts transparent areas on white.

    A picture with a side over 12,000 px or with more than 64 megapixels is refused by its header, before decoding. Of
    an animation only the first picture is loaded.
    Raises `PictureError` when the file is missing, not a picture, damaged, or too large.
    """
    try:
        with open_picture(path) as file:
            return decode(file)
    except PictureError as error:
        raise PictureError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error


def open_picture(path: Path) -> IO[bytes]:
    """Open a file to read a picture from it. Raises `PictureError` that names the path."""
    try:
        return open_plain(path)
    except (FileNotFoundError, NotADirectoryError, UnplainError, ValueError) as error:
        raise PictureError(f"{path}: is not a file; check the path") from error
    except PermissionError as error:
        raise PictureError(f"{path}: may not be read; give this user permission to read it") from error
    except OSError as error:
        raise PictureError(f"{path}: cannot be read ({error.strerror}); copy it again") from error


def prepare() -> None:
    """Import every decoder now, for a process that opens no file later."""
    Image.init()
    _reads_heic()


def decode(file: IO[bytes]) -> Pixels:
    """Decode an open file as `load_picture` does. Raises `PictureError` without the path."""
    try:
        head = file.read(HEAD_BYTES)
        has_heic = is_heic(head) and _reads_heic()
        other = None if has_heic else other_kind(head)
        if other is not None:
            raise PictureError(other)
        file.seek(0)
        return _decoded(file, (*FORMATS, "HEIF") if has_heic else FORMATS)
    except Image.DecompressionBombError as error:
        raise _too_large("far too many pixels") from error
    except (UnidentifiedImageError, *_DAMAGED) as error:
        kind = picture_kind(head)
        if kind is None:
            raise PictureError("is not a readable picture; save it as JPEG or PNG") from error
        words = "" if isinstance(error, UnidentifiedImageError) else " ".join(str(error).split())[:MOST_WORDS]
        why = f" ({words})" if words else ""
        raise PictureError(f"is a damaged or incomplete {kind} picture{why}; copy or take it again") from error


def _decoded(file: IO[bytes], formats: tuple[str, ...]) -> Pixels:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about sizes (checked here) and about invalid EXIF
        with Image.open(file, formats=formats) as image:
            _check_size(*image.size)
            if _is_raw(image):
                raise PictureError(RAW)
            return np.array(_rgb(ImageOps.exif_transpose(image)))


def _is_raw(image: Image.Image) -> bool:
    """Return whether an open picture is the RAW picture of a camera, or only its preview."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return False
    kind = image.tag_v2.get(NEW_SUBFILE_TYPE, 0)
    return DNG_VERSION in image.tag_v2 or (isinstance(kind, int) and bool(kind & 1))


@cache
def _reads_heic() -> bool:
    """Return whether HEIC can be decoded. Registers its decoder."""
    try:
        import pillow_heif
    except ImportError:
        return False
    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.register_heif_opener()
    return True


def scaled_down(rgb: Pixels, max_side_px: int) -> Pixels:
    """Return a picture, (H, W, 3) uint8, with its longer side at most `max_side_px`."""
    height, width = rgb.shape[:2]
    scale = min(1.0, max_side_px / max(width, height))
    return _scaled(rgb, (max(1, round(width * scale)), max(1, round(height * scale))))


def named_picture(path: Path) -> Pixels:
    """The same of a picture that the caller of a command names. `decoding` does it in a process without rights."""
    with reading(path):
        return load_picture(path)


def frame_of(rgb: Pixels, at: float, number: int, max_side_px: int = 1280) -> Frame:
    """Make a frame of a picture, (H, W, 3) uint8 RGB. A longer side over `max_side_px` is scaled down to it."""
    main = scaled_down(rgb, max_side_px)
    return Frame(main, i420_from_rgb(_scaled(main, lores_size_for(main.shape[1], main.shape[0]))), at, number)


def _scaled(rgb: Pixels, size: tuple[int, int]) -> Pixels:
    """Scale a picture to `size` (width, height). The result is always C-contiguous."""
    if rgb.shape[1::-1] == size:
        return np.ascontiguousarray(rgb)
    return np.array(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))


def _check_size(width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise _too_large(f"{width} x {height} px")


def _too_large(size: str) -> PictureError:
    limit = f"{MAX_SIDE_PX:,} px per side and {MAX_PIXELS // 1_000_000} megapixels"
    return PictureError(f"is too large ({size}); the limit is {limit}; save it smaller")


def _rgb(image: Image.Image) -> Image.Image:
    """Convert a picture of any mode to 8-bit RGB."""
    if image.mode[0] in "IF":
        image = _eight_bit(image)
    if "transparency" in image.info or image.mode[-1] in "Aa":
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Convert deep greyscale to 8 bits. Pillow's own `convert` would clip at 255. Integers count as 16-bit values."""
    values: NDArray[np.float32] = np.nan_to_num(np.asarray(image, np.float32))
    white = next((w for w in (1.0, 255.0) if values.max() <= w), 65535.0) if image.mode == "F" else 65535.0
    return Image.fromarray(np.clip(values * (255 / white) + 0.5, 0, 255).astype(np.uint8))

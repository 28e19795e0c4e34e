"""Load pictures of phones and scanners from files, upright, as RGB. Other files are refused with a clear error."""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from gated.errors import PictureError
from gated.frame import Frame, Pixels, i420_from_rgb, lores_size_for
from gated.storage.named_files import reading

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "TGA")
"""The accepted formats. Pillow knows more formats, but some of its readers start other programs (EPS, WMF)."""
MAX_SIDE_PX = 12_000
MAX_PIXELS = 64_000_000
"""The most pixels: 200 MB as RGB. No phone makes larger pictures by default, and a Pi can load this much."""

_DAMAGED = (
    *(OSError, SyntaxError, ValueError, ArithmeticError, LookupError, EOFError, TypeError, MemoryError),
    *(struct.error, zlib.error),
)
"""The errors of Pillow's readers for truncated or invalid files, found by random changes of files."""


def load_picture(path: Path) -> Pixels:
    """Load a picture as (H, W, 3) uint8 RGB. It applies the EXIF orientation and puts transparent areas on white.

    A picture with a side over 12,000 px or with more than 64 megapixels is refused by its header, before decoding. Of
    an animation only the first picture is loaded.
    Raises `PictureError` when the file is missing, not a picture, damaged, or too large.
    """
    if not path.is_file():
        raise PictureError(f"{path}: is not a file; check the path")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about sizes (checked here) and about invalid EXIF
            with Image.open(path, formats=FORMATS) as image:
                _check_size(path, *image.size)
                return np.array(_rgb(ImageOps.exif_transpose(image)))
    except Image.DecompressionBombError as error:
        raise _too_large(path, "far too many pixels") from error
    except PermissionError as error:
        raise PictureError(f"{path}: may not be read; give this user permission to read it") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{path}: is not a readable picture; save it as JPEG or PNG") from error
    except _DAMAGED as error:
        raise PictureError(f"{path}: is damaged or incomplete ({error}); copy or take it again") from error


def named_picture(path: Path) -> Pixels:
    """The same of a picture that the caller of a command names."""
    with reading(path):
        return load_picture(path)


def frame_of(rgb: Pixels, at: float, number: int, max_side_px: int = 1280) -> Frame:
    """Make a frame of a picture, (H, W, 3) uint8 RGB. A longer side over `max_side_px` is scaled down to it."""
    height, width = rgb.shape[:2]
    scale = min(1.0, max_side_px / max(width, height))
    main = _scaled(rgb, (max(1, round(width * scale)), max(1, round(height * scale))))
    return Frame(main, i420_from_rgb(_scaled(main, lores_size_for(main.shape[1], main.shape[0]))), at, number)


def _scaled(rgb: Pixels, size: tuple[int, int]) -> Pixels:
    """Scale a picture to `size` (width, height). The result is always C-contiguous."""
    if rgb.shape[1::-1] == size:
        return np.ascontiguousarray(rgb)
    return np.array(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))


def _check_size(path: Path, width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise _too_large(path, f"{width} x {height} px")


def _too_large(path: Path, size: str) -> PictureError:
    limit = f"{MAX_SIDE_PX:,} px per side and {MAX_PIXELS // 1_000_000} megapixels"
    return PictureError(f"{path}: is too large ({size}); the limit is {limit}; save it smaller")


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

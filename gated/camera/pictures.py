"""Pictures from files: what phones and scanners write, upright, as RGB; what will not do is refused by name."""

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from gated.errors import PictureError
from gated.frame import Frame, Pixels, i420_from_rgb, lores_size_for

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "TGA")
"""What photographs come in. Not all that Pillow knows: some of its readers start other programs (EPS, WMF)."""
MAX_SIDE_PX = 12_000
MAX_PIXELS = 64_000_000
"""200 MB as RGB: more than any phone's camera gives by default, less than what would fell a Pi."""

_DAMAGED = (
    *(OSError, SyntaxError, ValueError, ArithmeticError, LookupError, EOFError, TypeError, MemoryError),
    *(struct.error, zlib.error),
)
"""What Pillow's readers raise on bytes that break off or make no sense; found by altering files at random."""


def load_picture(path: Path) -> Pixels:
    """The picture as (H, W, 3) uint8 RGB, turned as its EXIF orientation says, on white where it is transparent.

    The size is read from the header and refused before anything is decoded when a side is longer than 12,000 px or the
    whole has more than 64 megapixels. Of an animation the first picture counts.
    Raises `PictureError` when the file is missing, no picture, damaged, or too large.
    """
    if not path.is_file():
        raise PictureError(f"{path}: is no file; check the path")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about sizes, which are checked here, and about odd EXIF
            with Image.open(path, formats=FORMATS) as image:
                _check_size(path, *image.size)
                return np.array(_rgb(ImageOps.exif_transpose(image)))
    except Image.DecompressionBombError as error:
        raise _too_large(path, "far too many pixels") from error
    except PermissionError as error:
        raise PictureError(f"{path}: may not be read; give this user the right to read it") from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{path}: is no picture that can be read here; save it as JPEG or PNG") from error
    except _DAMAGED as error:
        raise PictureError(f"{path}: is damaged or broken off ({error}); copy or take it again") from error


def frame_of(rgb: Pixels, at: float, number: int, max_side_px: int = 1280) -> Frame:
    """A frame of one picture, (H, W, 3) uint8 RGB, scaled down so that its longer side is at most `max_side_px`."""
    height, width = rgb.shape[:2]
    scale = min(1.0, max_side_px / max(width, height))
    main = _scaled(rgb, (max(1, round(width * scale)), max(1, round(height * scale))))
    return Frame(main, i420_from_rgb(_scaled(main, lores_size_for(main.shape[1], main.shape[0]))), at, number)


def _scaled(rgb: Pixels, size: tuple[int, int]) -> Pixels:
    """The picture at another size, (width, height), always C-contiguous."""
    if rgb.shape[1::-1] == size:
        return np.ascontiguousarray(rgb)
    return np.array(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))


def _check_size(path: Path, width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE_PX or width * height > MAX_PIXELS:
        raise _too_large(path, f"{width} x {height} px")


def _too_large(path: Path, size: str) -> PictureError:
    limit = f"{MAX_SIDE_PX:,} px a side and {MAX_PIXELS // 1_000_000} megapixels"
    return PictureError(f"{path}: is too large ({size}); at most {limit} are read, save it smaller")


def _rgb(image: Image.Image) -> Image.Image:
    """The picture in 8-bit RGB, whatever its mode."""
    if image.mode[0] in "IF":
        image = _eight_bit(image)
    if "transparency" in image.info or image.mode[-1] in "Aa":
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Deep greyscale in 8 bits; Pillow's own `convert` would clip at 255. Whole numbers are taken as 16-bit ones."""
    values: NDArray[np.float32] = np.nan_to_num(np.asarray(image, np.float32))
    white = next((w for w in (1.0, 255.0) if values.max() <= w), 65535.0) if image.mode == "F" else 65535.0
    return Image.fromarray(np.clip(values * (255 / white) + 0.5, 0, 255).astype(np.uint8))

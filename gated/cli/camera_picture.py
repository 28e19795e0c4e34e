"""Shows one camera picture to an installer who asks for it. No other picture leaves memory."""

import io
import shutil
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gated.cli import streams
from gated.errors import PictureError
from gated.frame import Frame
from gated.storage.named_files import write_named

TERMINAL = Path("-")
MOST_COLUMNS = 100


def show_picture(path: Path, frame: Frame) -> None:
    """Write the picture to a file, or draw it on the terminal if the path is "-". Raises `PictureError`."""
    image = Image.fromarray(frame.main)
    if path != TERMINAL:
        _keep(path, image)
    elif sys.stderr.isatty():
        columns, lines = shutil.get_terminal_size()
        streams.own(drawn(image, min(MOST_COLUMNS, columns, 2 * lines * image.width // image.height)) + "\n", err=True)
    else:
        raise PictureError("-: there is no terminal to draw on; name a .png or .jpg file in your own folder")


def _keep(path: Path, image: Image.Image) -> None:
    drawn = io.BytesIO()
    try:
        image.save(drawn, Image.registered_extensions()[path.suffix.lower()])
        write_named(path, drawn.getvalue())
    except KeyError as error:
        raise PictureError(
            f"{path}: is not a known picture format; name a .png or .jpg file in your own folder"
        ) from error
    except (OSError, ValueError) as error:
        raise PictureError(
            f"{path}: cannot be written ({error}); name a .png or .jpg file in your own folder"
        ) from error
    streams.echo(f"{path}: the picture may show a person; delete it after use", err=True)


def drawn(image: Image.Image, columns: int) -> str:
    """Draw a picture in half blocks, two pixels a character, in 24-bit colours (ISO 8613-6, as terminals use them)."""
    rows = max(2, round(image.height / image.width * columns / 2) * 2)
    pixels: NDArray[np.uint8] = np.asarray(image.resize((columns, rows)).convert("RGB"))
    return "\n".join(
        "".join(
            f"\x1b[38;2;{_colour(upper)};48;2;{_colour(lower)}m▀" for upper, lower in zip(above, below, strict=True)
        )
        + "\x1b[0m"
        for above, below in zip(pixels[::2], pixels[1::2], strict=True)
    )


def _colour(pixel: NDArray[np.uint8]) -> str:
    return ";".join(map(str, pixel))

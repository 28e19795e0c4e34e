"""Decodes an enrolment photo in a process without rights. Used by enrolment from photos, `gated identify` and bench.

A photo comes from anywhere, and decoders have faults that a crafted file may exploit. The command may run as root, so
it does not decode the file itself. The vision process and `gated evaluate` decode with `pictures` alone. Vision has no
rights, and an evaluation reads thousands of its own pictures.
"""

import tempfile
from pathlib import Path

import numpy as np

from gated.bounded import MIB
from gated.camera.pictures import open_picture
from gated.errors import ConfinedError, PictureError
from gated.frame import Pixels
from gated.runtime.confined_run import Limits, run
from gated.storage.named_files import reading
from gated.storage.owner import acting_as_oneself

MOST_SIDE_PX = 1280
"""The longer side of a decoded photo in px, as for a frame of `pictures.frame_of`."""
LIMITS = Limits(memory_bytes=1536 * MIB, cpu_s=60, output_bytes=4 + 3 * MOST_SIDE_PX**2, time_s=120.0)
"""The largest picture, 64 megapixels, has 183 MiB as RGB. A decoder holds some copies of it at once."""


def decoded_photo(path: Path) -> Pixels:
    """Load a photo as (H, W, 3) uint8 RGB, as `pictures.load_picture` does, at most `MOST_SIDE_PX` on a side.

    Opens the file with the rights of its user. Raises `PictureError` in the cases of `load_picture`.
    """
    with reading(path), open_picture(path) as source, tempfile.TemporaryFile() as target:
        try:
            with acting_as_oneself():
                run("gated.camera.decoder", (), [source], target, LIMITS)
        except ConfinedError as error:
            raise PictureError(f"{path}: {error}") from error
        target.seek(0)
        return _picture(path, target.read(LIMITS.output_bytes + 1))


def _picture(path: Path, data: bytes) -> Pixels:
    """Return the picture in the output of `decoder`: width and height as two bytes each, then its RGB."""
    width, height = (int.from_bytes(data[start : start + 2], "little") for start in (0, 2))
    if not (0 < width <= MOST_SIDE_PX and 0 < height <= MOST_SIDE_PX and len(data) == 4 + 3 * width * height):
        raise PictureError(f"{path}: its decoder gave no picture; save the photo as JPEG or PNG")
    return np.frombuffer(data, np.uint8, offset=4).reshape(height, width, 3)

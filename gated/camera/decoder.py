"""The process that decodes one photo: gives up its rights, reads the photo, writes its pixels to its standard output.

`gated.camera.decoding` starts it with the number of the open file. All modules are imported before the rights are given
up, since the process opens no file after that.
"""

import os
import sys
from collections.abc import Sequence

from gated.camera.decoding import LIMITS, MOST_SIDE_PX
from gated.camera.pictures import decode, prepare, scaled_down
from gated.errors import PictureError
from gated.runtime.confined_run import serve


def main(words: Sequence[str]) -> int:
    """Decode. Return the exit status."""
    prepare()
    return serve(
        LIMITS, lambda: _decoded(int(words[0])), PictureError, "needs more than {} MiB of memory; save it smaller"
    )


def _decoded(file: int) -> bytes:
    """Return width and height as two bytes each, then the RGB."""
    with os.fdopen(file, "rb") as photo:
        rgb = scaled_down(decode(photo), MOST_SIDE_PX)
    height, width, _ = rgb.shape
    return int(width).to_bytes(2, "little") + int(height).to_bytes(2, "little") + bytes(rgb.tobytes())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

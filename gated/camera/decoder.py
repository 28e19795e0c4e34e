"""The process that decodes one photo: gives up its rights, reads the photo, writes its pixels to its standard output.

`gated.camera.decoding` starts it with the number of the open file. All modules are imported before the rights are given
up, since the process opens no file after that.
"""

import os
import sys
from collections.abc import Sequence

from gated.bounded import MIB
from gated.camera.decoding import LIMITS, MOST_SIDE_PX
from gated.camera.pictures import decode, prepare, scaled_down
from gated.errors import PictureError
from gated.runtime.confined_run import REFUSED, give_up


def main(words: Sequence[str]) -> int:
    """Decode. Return the exit status."""
    prepare()
    give_up(LIMITS)
    try:
        with os.fdopen(int(words[0]), "rb") as photo:
            rgb = scaled_down(decode(photo), MOST_SIDE_PX)
    except PictureError as error:
        print(error, file=sys.stderr)
        return REFUSED
    except MemoryError:
        print(f"needs more than {LIMITS.memory_bytes // MIB} MiB of memory; save it smaller", file=sys.stderr)
        return REFUSED
    with os.fdopen(sys.stdout.fileno(), "wb", closefd=False) as target:
        target.write(rgb.shape[1].to_bytes(2, "little") + rgb.shape[0].to_bytes(2, "little") + rgb.tobytes())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

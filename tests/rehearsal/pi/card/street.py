"""Makes the files of the virtual camera in a folder: `street.jpg` of the pipeline, and the file of the scenes."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT, BEGIN = 1280, 960, 4096


def main(folder: str) -> None:
    """Write both files. The street is a grey gradient with a door's outline: no face is in it."""
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH]
    street = np.stack([90 + down // 12, 95 + across // 16, 100 + down // 16], 2).astype(np.uint8)
    street[300:900, 500:510] = street[300:900, 770:780] = street[300:310, 500:780] = 60
    Image.fromarray(street).save(Path(folder, "street.jpg"), quality=92)
    Path(folder, "scene").write_bytes(bytes(BEGIN + WIDTH * HEIGHT * 3))


main(sys.argv[1])

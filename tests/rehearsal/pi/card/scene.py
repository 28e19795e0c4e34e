"""Writes a picture to stdout as a scene of the virtual camera: `scene.py PICTURE`. See picamera2_virtual.py."""

import sys

from PIL import Image, ImageOps

WIDTH, HEIGHT, BEGIN = 1280, 960, 4096


def main(path: str) -> None:
    """Fit the picture into the frame without cutting it, before grey."""
    with Image.open(path) as picture:
        fitted = ImageOps.pad(picture.convert("RGB"), (WIDTH, HEIGHT), color=(110, 110, 110))
    sys.stdout.buffer.write(b"\x01" + bytes(BEGIN - 1) + fitted.tobytes())


main(sys.argv[1])

"""Is a visitor pass held up? Looks for QR codes a few times a second; what is no pass goes no further."""

import numpy as np
import zxingcpp
from PIL import Image

from gated.face.messages import MAX_PASS, PASS_PREFIX
from gated.frame import Frame, Pixels

QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
EVERY_S = 1 / 3
"""At most three scans a second, of some milliseconds each."""
AGAIN_S = 2.0
"""The same pass in view is told once in so long."""


class Pace:
    """When to scan, and what is news. Pure: the frames' own time goes in."""

    def __init__(self) -> None:
        self._scanned_at = self._told_at = float("-inf")
        self._told = ""

    def is_due(self, now: float) -> bool:
        """Whether to look for a pass now; true is taken as having looked."""
        if abs(now - self._scanned_at) < EVERY_S:
            return False
        self._scanned_at = now
        return True

    def is_news(self, text: str, now: float) -> bool:
        """Whether to tell of this pass now; true is taken as having told."""
        if text == self._told and abs(now - self._told_at) < AGAIN_S:
            return False
        self._told, self._told_at = text, now
        return True


class Scanner:
    """Reads visitor passes off frames."""

    def __init__(self) -> None:
        self._pace = Pace()

    def scan(self, frame: Frame) -> str | None:
        """The text of a pass in the main picture, where it is time to look for one, and it was not told just now."""
        if not self._pace.is_due(frame.at):
            return None
        text = pass_in(frame.main)
        return text if text is not None and self._pace.is_news(text, frame.at) else None


def pass_in(picture: Pixels) -> str | None:
    """The first text in a QR code of an RGB picture (H, W, 3) that begins like a pass, and is no longer than one."""
    brightness = np.asarray(Image.fromarray(picture).convert("L"))
    found = zxingcpp.read_barcodes(brightness, formats=QR, try_rotate=False)
    for code in found:
        raw = bytes(code.bytes[: MAX_PASS + 1])
        if len(raw) <= MAX_PASS and raw.startswith(PASS_PREFIX.encode()) and raw.isascii():
            return raw.decode()
    return None

"""Is a visitor pass held up? Looks for QR codes a few times a second; what is no pass goes no further."""

import numpy as np
import zxingcpp
from PIL import Image

from gated.face.messages import MAX_PASS, PASS_PREFIX
from gated.frame import Frame, Pixels

QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
EVERY_S = 1 / 3
"""At most three scans a second, of some milliseconds each."""
AGAIN_S = 3.0
"""A pass that was out of view for so long is shown anew."""


class Pace:
    """When to scan, and what is news. Pure: the frames' own time goes in. Remembers a handful of texts at most."""

    def __init__(self) -> None:
        self._scanned_at = float("-inf")
        self._seen: dict[str, float] = {}

    def is_due(self, now: float) -> bool:
        """Whether to look for a pass now; true is taken as having looked."""
        if 0 <= now - self._scanned_at < EVERY_S:
            return False
        self._scanned_at = now
        return True

    def is_news(self, text: str, now: float) -> bool:
        """Whether a pass that is seen now was not there just before.

        One that stays in view is told once: it would else spend a use every few seconds, or be refused as spent while
        its guest is still holding it up before an open door.
        """
        self._seen = {known: at for known, at in self._seen.items() if 0 <= now - at < AGAIN_S}
        is_new = text not in self._seen
        self._seen[text] = now
        return is_new


class Scanner:
    """Reads visitor passes off frames."""

    def __init__(self) -> None:
        self._pace = Pace()

    def scan(self, frame: Frame) -> str | None:
        """The text of a pass in the main picture, where it is time to look for one, and it is news."""
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

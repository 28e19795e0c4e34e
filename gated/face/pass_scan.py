"""Scans frames for visitor passes (QR codes), a few times a second. Text that is not a pass is dropped here.

An attacker can hold up a picture that takes long to scan: a field of small finder patterns, each a possible corner of a
code. Faces wait meanwhile. So the pause grows with the time of the scan, and a blur removes the finest patterns.
"""

from time import thread_time

import numpy as np
import zxingcpp
from PIL import Image, ImageFilter

from gated.face.vision_messages import MAX_PASS, PASS_PREFIX
from gated.frame import Frame, Pixels

QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
EVERY_S = 1 / 3
"""Least time between two scans: at most three a second, of some milliseconds each."""
PAUSE = 9.0
"""The pause after a scan is this many times the time of the scan: scans take at most a tenth of the time."""
MOST_PX = 2000
"""A picture with a longer side is reduced first, by a whole factor."""
BLUR = ImageFilter.BoxBlur(0.5)
"""Removes squares of 1 px, which no camera gives for a real code. Scanning a field of such finder patterns costs 620
ms, and 7 ms blurred. An empty view costs 7 ms instead of 10. A pass with squares of 3 px is still read.
"""
AGAIN_S = 3.0
"""A pass out of view for this long counts as shown anew."""


class ScanPace:
    """Decides when to scan, and which passes are new. Pure: time comes from the frames. Remembers few texts."""

    def __init__(self) -> None:
        self._scanned_at, self._every_s, self._late_s = float("-inf"), EVERY_S, 0.0
        self._seen: dict[str, float] = {}

    def is_due(self, now: float) -> bool:
        """Return whether to scan now. If true, record `now` as the time of the last scan."""
        if 0 <= now - self._scanned_at < self._every_s:
            return False
        self._scanned_at, self._late_s = now, self._every_s - EVERY_S
        return True

    def record_cost(self, cost_s: float) -> None:
        """Record the time of a scan. The next pause grows with it."""
        self._every_s = max(EVERY_S, (PAUSE + 1) * cost_s)

    def is_new_in_view(self, text: str, now: float) -> bool:
        """Return whether a pass is new in view. Record that it was seen.

        A pass that stays in view is reported once. Otherwise it would spend a use every few seconds, or be denied as
        spent while its guest still holds it up. A long pause between two scans does not make a pass new.
        """
        self._seen = {known: at for known, at in self._seen.items() if 0 <= now - at < AGAIN_S + self._late_s}
        is_new = text not in self._seen
        self._seen[text] = now
        return is_new


class Scanner:
    """Reads visitor passes from frames."""

    def __init__(self) -> None:
        self._pace = ScanPace()

    def scan(self, frame: Frame) -> str | None:
        """Return the text of a new pass in the main picture. None if no scan is due, or none is found."""
        if not self._pace.is_due(frame.at):
            return None
        began = thread_time()  # time of this thread alone: other load on the processor does not lengthen the pause
        text = pass_in(frame.main)
        self._pace.record_cost(thread_time() - began)
        return text if text is not None and self._pace.is_new_in_view(text, frame.at) else None


def pass_in(picture: Pixels) -> str | None:
    """Return the first text of a QR code with a pass's prefix and at most its length. `picture`: RGB (H, W, 3)."""
    grey = Image.fromarray(picture).convert("L")
    times = -(-max(grey.size) // MOST_PX)
    brightness = np.asarray((grey.reduce(times) if times > 1 else grey).filter(BLUR))
    found = zxingcpp.read_barcodes(brightness, formats=QR, try_rotate=False)
    for code in found:
        raw = bytes(code.bytes[: MAX_PASS + 1])
        if len(raw) <= MAX_PASS and raw.startswith(PASS_PREFIX.encode()) and raw.isascii():
            return raw.decode()
    return None

"""Evidence from motion: a print or a screen moves as one plane with its surroundings, a head does not.

For each track, the surroundings of the face are followed from frame to frame. If they move with the face on its left,
on its right and above, the face is on something flat that is larger than the face. The result only ever speaks against
a face. It is no evidence for a real face. A print that was cut out along the head moves before the street like a head.
A video on a screen shows a head that turns. A person who stands still, or a wall without structure, gives no evidence.

The pipeline uses it on frames that it reads anyway. It compares two frames only when the face has moved.
"""

from dataclasses import dataclass, replace
from math import hypot, isfinite, sqrt

from gated.face.detect import FAR, Box
from gated.face.surround import Moved, Place, compare
from gated.frame import Frame, Pixels, luma
from gated.types import TrackId

LEAST_MOVE_PX = 2.0
"""Two frames are compared when the face has moved or grown by this much in the small picture."""
MOST_AGE_S = 3.0
"""An older frame is not compared: the light may have changed."""
LEAST_BLOCKS = 4
"""With fewer blocks that moved or stayed, a region gives no evidence."""
SHARE, FULL_SHARE = 0.1, 0.3
"""Shares of the blocks that moved along, in the region with the smallest share. Up to the first there is no evidence.
From the second on it is the strongest.

`models/training/plane.py` measured them on rendered approaches. Of 182 bona fide approaches, one (a wheelchair) had
weak evidence against it, and none had strong evidence. Of 52 tablets, 47 had evidence of -1 or stronger
(`models/README.md`).
"""
MOST_AGAINST = 2.0
"""The strongest evidence, in log-odds. It decides doubtful faces, and never overrules clear PAD scores."""
SIZES_PX = (8.0, 2000.0)
"""Sizes of a face in the small picture that are followed. Others have too few pixels, or are no faces."""
MOST_TRACKS = 8
"""Most tracks that are followed. The oldest is dropped."""


@dataclass(frozen=True, slots=True, eq=False)
class _Followed:
    """The frame that the next one is compared with, and the sums so far."""

    brightness: Pixels
    place: Place
    at: float
    moved: Moved


class PlaneMotion:
    """Follows the surroundings of each track. Pure except for its memory: frames and boxes in, log-odds out."""

    def __init__(self) -> None:
        self._tracks: dict[TrackId, _Followed] = {}

    def follow(self, track: TrackId, box: Box, frame: Frame) -> float | None:
        """Return the log-odds of the track so far for a real head: -2 to 0. None if nothing was measured yet."""
        place = _place(box, frame)
        if place is None:
            return None
        before = self._tracks.pop(track, None)
        is_new = before is None or before.brightness.shape != luma(frame.lores).shape
        if before is None or is_new or not 0 < frame.at - before.at <= MOST_AGE_S:
            moved = Moved() if before is None or is_new else before.moved
            before = _Followed(luma(frame.lores).copy(), place, frame.at, moved)
        elif _distance(before.place, place) >= LEAST_MOVE_PX:
            moved = before.moved + compare(before.brightness, before.place, luma(frame.lores), place)
            before = _Followed(luma(frame.lores).copy(), place, frame.at, moved)
        self._tracks[track] = before
        if len(self._tracks) > MOST_TRACKS:
            del self._tracks[next(iter(self._tracks))]
        return log_odds_of(before.moved)

    def moved(self, track: TrackId) -> Moved:
        """Return the sums of a track so far, from which `models/training/plane.py` measures the two limits."""
        followed = self._tracks.get(track)
        return Moved() if followed is None else followed.moved

    def renumber(self, old: TrackId, new: TrackId) -> None:
        """Continue under another number without the sums so far: another person took the place."""
        if old in self._tracks:
            self._tracks[new] = replace(self._tracks.pop(old), moved=Moved())

    def end(self, track: TrackId) -> None:
        """Forget a track."""
        self._tracks.pop(track, None)


def log_odds_of(moved: Moved) -> float | None:
    """Return the log-odds for a real head: 0 up to `SHARE`, down to -2 from `FULL_SHARE` on. None without a share."""
    share = least_share(moved)
    if share is None:
        return None
    return -MOST_AGAINST * min(1.0, max(0.0, (share - SHARE) / (FULL_SHARE - SHARE)))


def least_share(moved: Moved) -> float | None:
    """Return the share (0..1) of the blocks that moved along, in the region with the smallest share.

    An umbrella moves along above, a headrest on both sides, and paper on all three. None if some region has too few
    blocks.
    """
    totals = [along + stayed for along, stayed in zip(moved.along, moved.stayed, strict=True)]
    if min(totals) < LEAST_BLOCKS:
        return None
    return min((along + 0.5) / (total + 1) for along, total in zip(moved.along, totals, strict=True))


def _place(box: Box, frame: Frame) -> Place | None:
    """Return the place of a face in the small picture. None for a box with odd numbers or an odd size."""
    width, height = frame.lores_size
    across, down = width / frame.main.shape[1], height / frame.main.shape[0]
    x, y, w, h = box
    if not (all(map(isfinite, box)) and max(map(abs, box)) < FAR and min(w, h) > 0):
        return None
    size = sqrt(w * across * h * down)
    return ((x + w / 2) * across, (y + h / 2) * down, size) if SIZES_PX[0] <= size <= SIZES_PX[1] else None


def _distance(place: Place, other: Place) -> float:
    """Return how far the face has moved or grown, in px."""
    return max(hypot(place[0] - other[0], place[1] - other[1]), abs(place[2] - other[2]))

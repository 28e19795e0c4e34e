"""Finds the upright direction of a picture. For enrolment photos, because they may have lost their EXIF orientation.

YuNet also finds faces that lie sideways or upside down, with the landmarks in wrong places. Their embeddings are
useless. So the detector judges all four turns of the picture, and the best detection score wins.

Measured with YuNet on 105 views of seven portraits, each in four turns. The upright face always had the best score, by
at least 0.05 (median 0.14). On 30 rendered portraits with the detector of `courtyard`, by at least 0.16.
"""

from collections.abc import Sequence

from gated.face.detect import Detector, Face
from gated.frame import Frame

TURNS = 4
"""Quarter turns that are judged."""
LEAST_LEAD = 0.03
"""Least lead of the best detection score over every other turn. It is below the least lead measured, 0.05."""
BESIDE = 0.6
"""A face smaller than this share of the largest one is in the background, and does not count."""


def upright_turn(detector: Detector, turned: Sequence[Frame]) -> int | None:
    """Return the index of the frame that shows its faces upright. None if the detector is not sure.

    `turned`: one picture in several turns. Returns 0, the picture as it is, if no turn shows a face.
    """
    scores = [best_score(detector.detect(frame)) for frame in turned]
    best = max(range(len(scores)), key=scores.__getitem__)
    others = [score for turn, score in enumerate(scores) if turn != best]
    if scores[best] == 0:
        return 0
    return best if all(scores[best] - other >= LEAST_LEAD for other in others) else None


def best_score(faces: Sequence[Face]) -> float:
    """Return the best detection score of the faces in the foreground, largest face first. 0 without a face."""
    return max((face.score for face in faces if face.size >= BESIDE * faces[0].size), default=0.0)

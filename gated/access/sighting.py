"""What a face in view means to the people at the gate: where it is and whether it can be used, not whose it is."""

from gated.config import Settings
from gated.cues.scene import Sight
from gated.face.framing import fill
from gated.face.messages import Observation

EYES_OF_A_FACE = 0.45
"""The distance between the eyes over the width of a face's box, roughly; for faces too small to be measured."""


def sight_of(seen: Observation, settings: Settings) -> Sight:
    """A look at a face, for the cues."""
    x, _, width, _ = seen.box
    eye_px = seen.quality.eye_px if seen.quality is not None else width * EYES_OF_A_FACE
    return Sight(
        track=seen.track,
        problem=seen.problem,
        centre_x=min(1.0, max(0.0, (x + width / 2) / settings.camera.width)),
        size_ratio=eye_px / settings.face.min_eye_px,
        fill=fill(seen.box, (settings.camera.width, settings.camera.height)),
        pitch_deg=seen.quality.pitch_deg if seen.quality is not None else 0.0,
    )

"""Convert an observation of a face into guidance for people: its position and whether it is usable. It contains no
identity.
"""

from gated.config import Settings
from gated.cues.scene import Sight
from gated.face.framing import fill
from gated.face.vision_messages import Observation

EYES_OF_A_FACE = 0.45
"""The approximate ratio of eye distance to the width of the face's box. Used for faces that are too small to
measure.
"""


def sight_of(seen: Observation, settings: Settings) -> Sight:
    """Return one observation in the form that the cues need."""
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

"""An observation of a face becomes guidance that people in any position can follow."""

import pytest

from gated.access.sighting import sight_of
from gated.config import GateSettings, Settings, SiteSettings
from gated.cues.guidance import OFFER_AFTER_S, UNUSABLE_S, apply_sight
from gated.cues.plan import PLAN
from gated.cues.scene import Scene, shown_situation
from gated.face.framing import MOST_SHARE, is_too_near
from gated.face.vision_messages import Observation
from gated.types import TrackId

SETTINGS = Settings(SiteSettings("site"), GateSettings("main"))
SIZE = (SETTINGS.camera.width, SETTINGS.camera.height)
FRAME_S = 0.1


def face(share, centre=(0.5, 0.5), at=0.0):
    """A face that fills this share of the picture's height, as the pipeline reports it."""
    height = share * SIZE[1]
    width = 0.75 * height
    box = (centre[0] * SIZE[0] - width / 2, centre[1] * SIZE[1] - height / 2, width, height)
    return Observation(TrackId(1), 0, at, box, 0.9, problem="too_near" if is_too_near(box, SIZE) else None)


def shown(seconds, share, centre=(0.5, 0.5), scene=None):
    """Return the situations shown, frame by frame, with this face in view, and the scene."""
    scene, situations = Scene() if scene is None else scene, []
    for number in range(round(seconds / FRAME_S)):
        now = number * FRAME_S
        scene = apply_sight(scene, sight_of(face(share, centre, now), SETTINGS), now)
        situations.append(shown_situation(scene, now).situation)
    return situations, scene


@pytest.mark.parametrize("share", [0.54, 0.56, 0.6, 0.9])
@pytest.mark.parametrize("centre", [(0.5, 0.5), (0.2, 0.5), (0.8, 0.5), (0.5, 0.75)])
def test_a_face_above_the_largest_share_is_asked_to_move_back_wherever_it_is(share, centre):
    """A face in the lower part of the picture is a child, or a person in a wheelchair."""
    assert shown(UNUSABLE_S + 2 * FRAME_S, share, centre)[0][-1] == "back"


def test_a_face_that_moved_back_half_a_step_is_looked_at():
    _, scene = shown(2.0, 0.56)
    assert shown(0.3, MOST_SHARE - 0.01, scene=scene)[0][-1] == "looking"


def test_a_person_who_cannot_move_back_is_offered_the_other_credentials():
    assert "refused" in shown(OFFER_AFTER_S + 1.0, 0.56)[0]


def test_the_request_to_move_back_asks_nobody_to_step():
    """A person in a wheelchair moves and does not step."""
    assert "move back" in PLAN["back"].sentences["en"]
    assert "step" not in PLAN["back"].sentences["en"]

"""Wait for a card or PIN after a face, if the face alone may not open.

Used by `face_service`. For windows that a card or PIN begins, see `second_requests`.
"""

from collections.abc import Callable
from functools import partial

from gated.access.access_rules import Refusal
from gated.access.face_calibration import FaceCalibration
from gated.access.second_credential import FirstCredential, SecondCredentials
from gated.events import MAIN, AccessDenied, Event
from gated.face.vision_messages import VisionReady
from gated.gallery.gallery import Gallery
from gated.types import CredentialKind, SubjectId


class SecondAfterFace:
    """The windows that faces begin and end. Use it in the event loop's thread."""

    def __init__(
        self,
        second: SecondCredentials,
        calibration: FaceCalibration,
        gallery: Gallery,
        report: Callable[[Event], None],
        request: Callable[[], None],
    ) -> None:
        """`request` shows that a card or PIN must follow the face."""
        self._second, self._calibration, self._gallery = second, calibration, gallery
        self._report, self._request = report, request
        self.complete = second.complete

    def first(self, subject: SubjectId, now: float) -> FirstCredential | None:
        """Return the card or PIN that this person has just shown, or None."""
        return self._second.first(MAIN, subject, CredentialKind.FACE, now)

    def wait_or_deny(self, subject: SubjectId, score: float, denial: AccessDenied, now: float) -> None:
        """Report a denial. If only a second credential is missing, first wait for it.

        The face still counts after a loss of vision: the gate has decided about it. A person whom the gate no longer
        sees could not show it again.
        """
        if denial.reason != Refusal.SECOND_MISSING:
            self._report(denial)
            return
        first = FirstCredential(
            subject,
            CredentialKind.FACE,
            MAIN,
            now + self._second.window_s,
            deny=partial(self._report, denial),
            is_valid=partial(self._still_counts, subject, score, self._calibration.vision),
        )
        self._second.begin(first, now)
        self._request()

    def _still_counts(self, subject: SubjectId, score: float, vision: VisionReady | None) -> bool:
        """Return whether a recognised face still has templates and reaches the threshold. `vision`: its models."""
        is_same = vision == self._calibration.vision
        return is_same and self._gallery.has_face(subject) and score >= self._calibration.threshold_of(subject)

"""Decide about every face at the gate. Owns the open visits. Used by `entrance`.

Handles the messages of vision, asks the latch for releases, and reports events to the journal. `face_calibration` keeps
its rules, `visits` decides, `face_events` makes the events, and `second_after_face` waits for a card or PIN.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gated.access.access_rules import FACE_ALONE, Refusal
from gated.access.attack_response import ATTACKS_TO_REST, AttackResponse
from gated.access.face_calibration import FaceCalibration
from gated.access.face_confirmation import FaceConfirmation
from gated.access.face_events import denied, granted
from gated.access.permissions import Permissions
from gated.access.second_after_face import SecondAfterFace
from gated.access.second_credential import FirstCredential, SecondCredentials, kind_of
from gated.access.visit_rate import VisitRate
from gated.access.visits import COMPARED_CANDIDATES, VisitOutcome, Visits
from gated.config import AccessSettings
from gated.door.latch_client import LatchClient
from gated.embedding import Embedding
from gated.errors import EnrolmentError, LatchError
from gated.events import MAIN, AccessDenied, Event, PresentationAttack, ReleaseRefused
from gated.face.vision_messages import Observation, TrackEnded, VisionReady
from gated.gallery.gallery import Gallery
from gated.gallery.search import Candidate
from gated.people.credential import Credential
from gated.people.preferences import FirstCue
from gated.types import SubjectId

if TYPE_CHECKING:  # loaded at the first live enrolment
    from gated.access.live_enrolment import ConsentsGiven, CountNewFace, LiveEnrolment, Operator
    from gated.gallery.enrolment import Enrolled

log = logging.getLogger(__name__)

VISIT_TICK_S = 0.25


class FaceService:
    """Decides about every face at the gate. Inactive until vision is ready, and after vision is lost.

    With a model set that has a table, no face is judged before the first calibration: so a restart lowers no threshold.
    Cards and PINs work meanwhile.

    A match only identifies the person. `permissions` then applies the access rules, as for a card of that person.
    """

    def __init__(
        self,
        settings: AccessSettings,
        gallery: Gallery,
        door: LatchClient,
        release_s: float,
        report: Callable[[Event], None],
        *,
        permissions: Permissions,
        attacks: AttackResponse,
        wall: Callable[[], datetime | None],
        prefer: Callable[[FirstCue | None], None],
        is_enrolling_announced: Callable[[], bool] = lambda: True,
        rate: VisitRate | None = None,
        given: "ConsentsGiven" = lambda _, __: (),
        state: Path | None = None,
        second: SecondCredentials | None = None,
        request_second: Callable[[], None] = lambda: None,
    ) -> None:
        """`wall` returns the time of day, or None while it is not trusted. `prefer` receives the first cue of a person,
        before the grant. `is_enrolling_announced` returns whether the gate is announcing an enrolment. `given` returns
        the consents that a person is recorded as giving at the gate during an enrolment. `state` is the folder for the
        calibration; None: it is not stored. `second` holds the credentials that wait for a second one. `request_second`
        shows that a card or PIN must follow the face.
        """
        self._gallery, self._door = gallery, door
        self._release_s, self._report = release_s, report
        self._permissions, self._wall, self._prefer = permissions, wall, prefer
        self._is_enrolling_announced, self._given = is_enrolling_announced, given
        self._enrolment: LiveEnrolment | None = None
        """The live enrolment, from the first one on."""
        self._attacks, self._rate = attacks, rate or VisitRate()
        self._visits: Visits | None = None
        self._embedder_sha256 = ""
        self._confirmation = FaceConfirmation(gallery, report)
        self._calibration = FaceCalibration(settings, gallery, self._children, state, self._apply_calibration)
        second = second or SecondCredentials(0.0)
        self._second = SecondAfterFace(second, self._calibration, gallery, report, request_second)

    def begin(self, vision: VisionReady) -> None:
        """Start to decide, because vision is ready. Uses the thresholds of its models unless the settings override
        them. A restart of vision with the same models keeps the calibration.
        """
        self._embedder_sha256 = vision.embedder_sha256
        self._visits = Visits(
            self._search,
            vision.dimension,
            self._calibration.begin(vision),
            self._search_time,
            partial(self._attacks.bound, MAIN),
            admits=self._rate.admits,
            centring=lambda: self._gallery.centring,
        )
        self._apply_calibration()

    def stop(self) -> None:
        """Discard all observations, because the vision process is lost. Attacks until then count."""
        now = time.monotonic()
        for outcome in self._visits.end_all(now) if self._visits is not None else ():
            self._count_attack(outcome, now)
        self._visits = None
        if self._enrolment is not None:
            self._enrolment.restart()

    async def enrol(
        self,
        subject: SubjectId,
        within_s: float,
        min_eye_px: float,
        operator: "Operator",
        counts: "CountNewFace | None" = None,
    ) -> "Enrolled":
        """Enrol the face of a known person who stands before the gate. Return the result.

        `min_eye_px` is the least distance between the eyes, in pixels. `operator` confirms the enrolment live. `counts`
        and the errors are those of `LiveEnrolment.enrol`. Raises `EnrolmentError` also if vision is not ready.
        """
        if self._visits is None:
            raise EnrolmentError("the gate sees nothing; check its camera first")
        from gated.access.enrolment_looks import LookRequirements
        from gated.access.live_enrolment import LiveEnrolment

        if self._enrolment is None:
            self._enrolment = LiveEnrolment(self._gallery, self._report, self._is_enrolling_announced, self._given)
        rules = self._visits.rules
        requirements = LookRequirements(
            self._gallery.dimension,
            rules.threshold,
            rules.pad_threshold,
            min_eye_px,
            rules.max_frame_age_s,
            self._gallery.centring.score,
        )
        return await self._enrolment.enrol(subject, within_s, requirements, operator, counts)

    def observe(self, seen: Observation | TrackEnded) -> None:
        """Handle a message of vision and act on it at once."""
        if self._visits is not None:
            now = time.monotonic()
            if self._enrolment is not None and self._enrolment.observe(seen, now):
                self._visits.forget(seen.track)
            elif self._calibration.is_pending:
                return  # the table knows neither these people nor who is alike
            elif isinstance(seen, TrackEnded):
                self._act(self._visits.end(seen.track, now))
            else:
                self._act(self._visits.observe(seen, now))

    def judge_again(self, door: str) -> None:
        """Judge the refused faces again, because a card or PIN at this door needs a face with it."""
        if door == MAIN and self._visits is not None:  # the camera looks at the main door
            self._visits.judge_again()

    def confirm(self, found: Credential) -> None:
        """Compare the face before the gate with the waiting face of a person whom a card or PIN let in.

        Does nothing while the face of this person rests: the shown face may be another presentation attack.
        """
        now, visits, subject = time.monotonic(), self._visits, found.subject
        if visits is None or subject is None or found.is_duress or self._attacks.is_resting(MAIN, subject, now):
            return
        if looks := visits.recent_good_looks(now):
            self._confirmation.begin(subject, found.digest, looks, self._threshold_of(subject))

    async def run(self) -> None:
        """Refuse faces that have waited too long. Runs until cancelled."""
        while True:
            await asyncio.sleep(VISIT_TICK_S)
            self._calibration.follow_if_due(time.monotonic())
            for outcome in self._visits.tick(time.monotonic()) if self._visits is not None else ():
                self._act(outcome)

    def _apply_calibration(self) -> None:
        """Use the calibrated thresholds from the next frame on."""
        if self._visits is not None:
            self._visits.rules, self._visits.thresholds = self._calibration.apply(self._visits.rules)

    def _search_time(self, subject: SubjectId) -> float | None:
        return self._permissions.preferences(subject).search_s

    def _search(self, probe: Embedding) -> Sequence[Candidate]:
        return self._gallery.search(probe, COMPARED_CANDIDATES)

    def _act(self, outcome: VisitOutcome | None) -> None:
        """Grant or refuse as decided, and count a presentation attack."""
        if outcome is None or self._visits is None:
            return
        decided_at = time.monotonic()
        decision, threshold = outcome.decision, self._visits.rules.threshold
        if not decision.grant or decision.subject is None or decision.score is None or decision.pad_score is None:
            self._report(self._denied(outcome, decision.reason, threshold, decided_at))
            self._count_attack(outcome, decided_at)
            return
        first = self._second.first(decision.subject, decided_at)
        refusal = self._judge(decision.subject, decided_at, first)
        if refusal is not None:
            denial = self._denied(outcome, refusal, threshold, decided_at)
            self._second.wait_or_deny(decision.subject, decision.score, denial, decided_at)
            return
        problem = self._release(outcome.visit, decision.subject, decided_at)
        self._report(
            granted(
                outcome,
                decision.subject,
                decision.score,
                decision.pad_score,
                threshold=self._threshold_of(decision.subject),
                gallery_size=self._gallery.size,
                embedder_sha256=self._embedder_sha256,
                decided_at=decided_at,
                first=first,
            )
        )
        if problem is None:
            self._second.complete(first)
        else:
            self._report(problem)

    def _denied(self, outcome: VisitOutcome, reason: str, threshold: float, decided_at: float) -> AccessDenied:
        return denied(outcome, reason, threshold=threshold, gallery_size=self._gallery.size, decided_at=decided_at)

    def _threshold_of(self, subject: SubjectId) -> float:
        """Return the threshold that counts for this person; 1.0 without vision."""
        visits = self._visits
        return 1.0 if visits is None else max(visits.rules.threshold, visits.thresholds.get(subject, 0.0))

    def _judge(self, subject: SubjectId, now: float, first: FirstCredential | None = None) -> Refusal | None:
        """Return why a recognised person may not pass by face now, or None. `first` is the credential kind that the
        person has shown.
        """
        if self._attacks.is_resting(MAIN, subject, now):
            return Refusal.RESTING
        kinds, found = FACE_ALONE | kind_of(first), self._calibration.applied
        needs_more = found is not None and subject in found.needing_more
        has_own = found is not None and subject in found.children and not needs_more
        refusal = self._permissions.judge_person(subject, MAIN, self._wall(), kinds, has_own_threshold=has_own)
        return Refusal.SECOND_MISSING if refusal is None and needs_more and kinds == FACE_ALONE else refusal

    def _children(self) -> frozenset[SubjectId]:
        return self._permissions.children(self._wall())

    def _count_attack(self, outcome: VisitOutcome, now: float) -> None:
        """Count an attack against the imitated face, and report each rest that begins."""
        if outcome.is_attack:
            for rest in self._attacks.record_attack(MAIN, outcome.imitated, now):
                self._report(PresentationAttack(ATTACKS_TO_REST, rest.lasts_s, rest.subject))

    def _release(self, visit: str, subject: SubjectId, decided_at: float) -> ReleaseRefused | None:
        """Ask for the release before anything else, because only the release is urgent."""
        preferences = self._permissions.preferences(subject)
        self._prefer(preferences.first)
        try:
            self._door.release(visit, preferences.release_s or self._release_s, decided_at, holder=subject)
        except LatchError as error:
            log.error("%s", error)
            return ReleaseRefused(visit, str(error))
        return None

"""The loop of decisions: what vision saw goes in, a release goes to the door and a fact to the journal."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime

from gated.access.enrolling import Demands, LiveEnrolment
from gated.access.policy import Rules
from gated.access.visits import NEAREST, Outcome, Visits
from gated.access.ways import Ways
from gated.config import AccessSettings
from gated.door.controller import DoorController
from gated.embedding import Embedding
from gated.errors import EnrolmentError, LatchError
from gated.events import MAIN, AccessDenied, AccessGranted, Event, ReleaseRefused
from gated.face.messages import Observation, TrackEnded, VisionReady
from gated.gallery.entitlement import First
from gated.gallery.gallery import Gallery
from gated.gallery.search import Candidate
from gated.types import SubjectId

log = logging.getLogger(__name__)

TICK_S = 0.25


class AccessService:
    """Decides about every face at the gate. Idle until vision is ready, and again when it is lost.

    A face that is known is somebody; whether they may pass now is asked of `ways`, as of a card that is theirs.
    """

    def __init__(
        self,
        settings: AccessSettings,
        gallery: Gallery,
        door: DoorController,
        release_s: float,
        report: Callable[[Event], None],
        *,
        ways: Ways,
        wall: Callable[[], datetime | None],
        prefer: Callable[[First | None], None],
    ) -> None:
        """`wall`: the time of day, None while not trusted. `prefer`: told which cue comes first, before a grant."""
        self._settings, self._gallery, self._door = settings, gallery, door
        self._release_s, self._report = release_s, report
        self._ways, self._wall, self._prefer = ways, wall, prefer
        self._enrolment = LiveEnrolment(gallery, report)
        self._visits: Visits | None = None
        self._embedder_sha256 = ""

    def begin(self, vision: VisionReady) -> None:
        """Vision can see: decide by its models' thresholds, where the settings do not say otherwise."""
        self._embedder_sha256 = vision.embedder_sha256
        self._visits = Visits(self._search, vision.dimension, rules_for(self._settings, vision), self._patience)

    def stop(self) -> None:
        """Vision is lost: nothing that it saw is decided on any more."""
        self._visits = None
        self._enrolment.restart()

    async def enrol(self, subject: SubjectId, within_s: float, min_eye_px: float) -> int:
        """Take the face of somebody who is known here and stands before the gate; gives how many templates were made.

        `min_eye_px`: the least distance between the eyes. Raises as `LiveEnrolment.take` does.
        """
        if self._visits is None:
            raise EnrolmentError("the gate sees nothing; look at its camera first")
        rules = self._visits.rules
        demands = Demands(
            self._gallery.dimension, rules.threshold, rules.pad_threshold, min_eye_px, rules.max_frame_age_s
        )
        return await self._enrolment.take(subject, within_s, demands)

    def observe(self, seen: Observation | TrackEnded) -> None:
        """Take what vision says, and act on it at once."""
        if self._visits is not None:
            now = time.monotonic()
            if self._enrolment.observe(seen, now):
                self._visits.forget(seen.track)
            elif isinstance(seen, TrackEnded):
                self._act(self._visits.end(seen.track, now))
            else:
                self._act(self._visits.observe(seen, now))

    async def run(self) -> None:
        """Refuse whoever has waited too long; for ever."""
        while True:
            await asyncio.sleep(TICK_S)
            for outcome in self._visits.tick(time.monotonic()) if self._visits is not None else ():
                self._act(outcome)

    def _patience(self, subject: SubjectId) -> float | None:
        return self._ways.preferences(subject).search_s

    def _search(self, probe: Embedding) -> Sequence[Candidate]:
        return self._gallery.search(probe, NEAREST)

    def _act(self, outcome: Outcome | None) -> None:
        """Release first, journal then: the person waits for the one and nobody for the other."""
        if outcome is None or self._visits is None:
            return
        decided_at = time.monotonic()
        decision, rules = outcome.decision, self._visits.rules
        if not decision.grant or decision.subject is None or decision.score is None or decision.pad_score is None:
            self._report(_denied(outcome, decision.reason, rules, self._gallery.size, decided_at))
            return
        closed = self._ways.may_pass_by_face(decision.subject, MAIN, self._wall())
        if closed is not None:
            self._report(_denied(outcome, closed, rules, self._gallery.size, decided_at))
            return
        preferences = self._ways.preferences(decision.subject)
        self._prefer(preferences.first)
        refusal = self._release(outcome.visit, preferences.release_s or self._release_s, decided_at)
        self._report(
            AccessGranted(
                visit=outcome.visit,
                subject=decision.subject,
                score=round(decision.score, 4),
                threshold=rules.threshold,
                gallery_size=self._gallery.size,
                pad_score=round(decision.pad_score, 4),
                frames=decision.frames,
                embedder_sha256=self._embedder_sha256,
                latency_s=round(decided_at - outcome.frame_at, 4),
            )
        )
        if refusal is not None:
            self._report(refusal)

    def _release(self, visit: str, lease_s: float, decided_at: float) -> ReleaseRefused | None:
        try:
            self._door.release(visit, lease_s, decided_at)
        except LatchError as error:
            log.error("%s", error)
            return ReleaseRefused(visit, str(error))
        return None


def rules_for(settings: AccessSettings, vision: VisionReady) -> Rules:
    """The numbers that decide: the settings', or where they are silent those of the model set's manifest."""
    return Rules(
        threshold=vision.threshold if settings.threshold is None else settings.threshold,
        pad_threshold=vision.pad_threshold if settings.pad_threshold is None else settings.pad_threshold,
        margin=settings.margin,
        frames=settings.frames,
        give_up_s=settings.give_up_s,
        max_frame_age_s=settings.max_frame_age_s,
    )


def _denied(outcome: Outcome, reason: str, rules: Rules, gallery_size: int, decided_at: float) -> AccessDenied:
    decision = outcome.decision
    return AccessDenied(
        visit=outcome.visit,
        reason=reason,
        threshold=rules.threshold,
        gallery_size=gallery_size,
        frames=decision.frames,
        latency_s=round(decided_at - outcome.frame_at, 4),
        subject=decision.subject,
        score=None if decision.score is None else round(decision.score, 4),
        pad_score=None if decision.pad_score is None else round(decision.pad_score, 4),
    )

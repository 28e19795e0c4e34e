"""Make the rules of a decision about a face, and keep them calibrated on the gallery.

Owns the order settings, calibration, manifest: a setting replaces the value of the model set, and a calibration raises
its threshold. Used by `face_service`, and by commands that judge a photo as the gate would.

A result counts from the next call of `apply` on. So looks and access rules always use the same calibration.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import structs

from gated.access.face_evidence import LOOK_SLACK
from gated.access.face_policy import NOBODYS, FaceRules
from gated.access.pad_evidence import PadRates
from gated.config import AccessSettings
from gated.face.vision_messages import VisionReady
from gated.gallery.calibrator import Calibrator, GalleryCalibration, store
from gated.gallery.gallery import Gallery
from gated.types import SubjectId

log = logging.getLogger(__name__)

FIRST_WAIT_S = 60.0
"""The longest wait for the first calibration, in seconds. Thousands of people take seconds."""


class FaceCalibration:
    """The calibration of one gallery for the present models. Another thread computes it; call all else in the loop."""

    def __init__(
        self,
        settings: AccessSettings,
        gallery: Gallery,
        children: Callable[[], frozenset[SubjectId]],
        state: Path | None,
        on_result: Callable[[], None],
    ) -> None:
        """`children` returns the people whom the registrar marked as children. `state` is the folder for the result;
        None: it is not stored. `on_result` is called in the loop after each new result; it calls `apply`.
        """
        self._settings, self._gallery, self._children = settings, gallery, children
        self._state, self._on_result = state, on_result
        self._calibrator: Calibrator | None = None
        self._running: asyncio.Task[None] | None = None
        self.is_pending = False
        """Whether no face may be judged yet: the first calibration neither counts nor has failed."""
        self._waits_until: float | None = None
        self.vision: VisionReady | None = None
        """The models that the calibration is for."""
        self.applied: GalleryCalibration | None = None
        """The calibration that counts now; None for a model set with one threshold."""

    def begin(self, vision: VisionReady) -> FaceRules:
        """Use these models. Return their rules without a calibration. The same models keep the calibration."""
        if vision != self.vision:
            self._calibrator = calibrator_for(self._settings, vision, self._gallery, self._children)
            self.vision, self.applied, self._waits_until = vision, None, None
            self.is_pending = self._calibrator is not None
        return rules_for(self._settings, vision)

    def apply(self, rules: FaceRules) -> tuple[FaceRules, Mapping[SubjectId, float]]:
        """Let the last result count. Return these rules with its threshold, and the people with a higher one."""
        if self._calibrator is not None:
            self.applied = self._calibrator.now
            self.is_pending = self.is_pending and not self._calibrator.has_result
        return calibrated_rules(rules, self.applied)

    def threshold_of(self, subject: SubjectId) -> float:
        """Return the calibrated threshold of this person; 0.0 without a calibration."""
        return 0.0 if self.applied is None else self.applied.threshold_of(subject)

    def follow_if_due(self, now: float) -> None:
        """Calibrate in another thread, if the gallery changed. `now`: monotonic, in seconds."""
        self._limit_wait(now)
        is_busy = self._running is not None and not self._running.done()
        if self._calibrator is not None and not is_busy and self._calibrator.is_due(now):
            self._running = asyncio.create_task(self._follow(self._calibrator))

    def _limit_wait(self, now: float) -> None:
        """End the wait for the first calibration after `FIRST_WAIT_S`: a thread that hangs must not close the gate."""
        if self._waits_until is None:
            self._waits_until = now + FIRST_WAIT_S
        if self.is_pending and not now < self._waits_until:
            log.error("the first calibration takes over %.0f s; the model set's table counts until then", FIRST_WAIT_S)
            self.is_pending = False

    async def _follow(self, calibrator: Calibrator) -> None:
        found = None
        try:
            found = await asyncio.to_thread(calibrator.follow)
        except (ArithmeticError, LookupError, MemoryError, RuntimeError, ValueError) as error:
            log.error("the gallery could not be calibrated; the threshold stays: %s", error)
        finally:  # whatever failed: cards alone would open until it is mended
            if found is None:
                self._postpone(calibrator)
        if found is None or calibrator is not self._calibrator:
            return
        self._on_result()
        if self._state is not None and self.vision is not None:
            await asyncio.to_thread(store, self._state, self.vision.model_set, found)

    def _postpone(self, calibrator: Calibrator) -> None:
        """Try again later, and wait no longer for the first result."""
        calibrator.postpone(time.monotonic())
        if calibrator is self._calibrator:
            self.is_pending = False


def calibrator_for(
    settings: AccessSettings,
    vision: VisionReady,
    gallery: Gallery,
    children: Callable[[], frozenset[SubjectId]] = frozenset,
) -> Calibrator | None:
    """Return the calibrator of a gallery; None for a model set with one threshold. `children`: as in `Calibrator`."""
    if vision.table is None:
        return None
    return Calibrator(gallery, vision.table, settings.fpir, settings.threshold, children=children)


def calibrated_rules(rules: FaceRules, found: GalleryCalibration | None) -> tuple[FaceRules, Mapping[SubjectId, float]]:
    """Return the rules with the calibrated threshold, and the people with a higher one of their own. `found`: None for
    a model set with one threshold.
    """
    if found is None:
        return rules, NOBODYS
    return structs.replace(rules, threshold=found.calibration.threshold), found.thresholds


def rules_for(settings: AccessSettings, vision: VisionReady) -> FaceRules:
    """Return the parameters of a decision: from the settings, or from the model set's manifest if the settings omit
    them.
    """
    return FaceRules(
        threshold=vision.threshold if settings.threshold is None else settings.threshold,
        pad_threshold=vision.pad_threshold if settings.pad_threshold is None else settings.pad_threshold,
        margin=settings.margin,
        frames=settings.frames,
        give_up_s=settings.give_up_s,
        max_frame_age_s=settings.max_frame_age_s,
        pad_rates=PadRates(settings.pad_bpcer, settings.pad_apcer),
        agreement=vision.threshold - LOOK_SLACK,
        clear_frames=settings.frames_if_clear,
    )

"""The wiring of vision: its process, the gate's own model set, and the parts that use its observations.

`app` builds it and runs it as a critical part. While vision is lost the gate stays on duty, without faces.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from gated.access.entrance import Entrance
from gated.access.sighting import sight_of
from gated.config import Settings
from gated.cues.stage import Stage
from gated.errors import CameraError, ModelError
from gated.face.manifest import lawful_set
from gated.face.own_models import OwnModels
from gated.face.vision_link import VisionLink
from gated.face.vision_messages import Observation, TrackEnded, VisionReady
from gated.face.vision_start import VisionStart
from gated.gallery.gallery import Gallery
from gated.runtime.tasks import Backoff
from gated.service.camera_colour import ColourWatch
from gated.service.duty import Duty

if TYPE_CHECKING:
    from gated.service.metrics import Metrics


class VisionWiring:
    """Vision, wired to the entrance, the cues, the metrics and the state of the gate's parts."""

    def __init__(  # noqa: PLR0917 - one call takes all parts of a gate
        self,
        settings: Settings,
        models: OwnModels,
        gallery: Gallery,
        entrance: Entrance,
        stage: Stage,
        duty: Duty,
        on_models: Callable[[], None],
        *,
        start: VisionStart,
        metrics: "Metrics | None" = None,
    ) -> None:
        """Build the link to vision.

        `on_models`: called after other models came into use. `start`: may have started vision already.
        """
        self._settings, self._models, self._gallery, self._entrance = settings, models, gallery, entrance
        self._stage, self._duty, self._on_models, self._metrics = stage, duty, on_models, metrics
        self._colour = ColourWatch(duty.set)
        self._has_seen, self._why_blind = False, ""
        self.blind = asyncio.Event()
        """Set if vision failed before it ever saw, because of its models or its camera."""
        self._start = start
        self.link = VisionLink(start, self._on_vision, self._on_seen, self._on_blind, entrance.readers.handle_code)

    async def run(self) -> None:
        """Run vision, as soon as there is a model set that may be used here."""
        if self._models.now is None:
            await self._start.aclose()
        backoff = Backoff(1.0, 30.0)
        while self._models.now is None:
            await asyncio.sleep(backoff.next_s())
            self._reload_models()
        await self.link.run()

    def check_models(self) -> None:
        """Raise `ModelError` with the reason if no model set may be used, as in `gated check`."""
        if self._models.now is None:
            lawful_set(self._settings)

    def raise_failure(self) -> None:
        """Raise `ModelError` or `CameraError` if vision failed before it ever saw, and no recording has ended."""
        if self.blind.is_set() and not self.link.exhausted.is_set():
            part, _, why = self._why_blind.partition(": ")
            raise (ModelError if part == "models" else CameraError)(why)

    def _reload_models(self) -> None:
        """Read the manifest again, and use its models if they changed."""
        if self._models.reload():
            self._gallery.switch_embedder(*self._models.embedder)
            self._on_models()

    def _on_vision(self, ready: VisionReady) -> None:
        """Accept vision if it uses the models of our own manifest. Raises `WireError` if it uses others."""
        if not self._models.is_seen_by(ready):
            self._reload_models()
            self._models.check(ready)
        self._has_seen = True
        self._entrance.faces.begin(ready)
        self._duty.works("vision")

    def _on_seen(self, seen: Observation | TrackEnded) -> None:
        """Show a seen face before it is decided. Otherwise "looking" would replace the decision on the screen."""
        if isinstance(seen, Observation):
            self._stage.handle_sight(sight_of(seen, self._settings))
            if seen.quality is not None:
                self._colour.observe(seen.quality.colour)
            if self._metrics is not None:
                self._metrics.count_observation(seen.problem)
        self._entrance.faces.observe(seen)

    def _on_blind(self, why: str) -> None:
        self._entrance.faces.stop()
        self._duty.fails("vision", why)
        if not self._has_seen and why.startswith(("models: ", "camera: ")):
            self._why_blind = why
            self.blind.set()

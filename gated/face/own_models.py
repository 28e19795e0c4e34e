"""The model set, read from the brain's own manifest.

The brain takes thresholds and names from here alone, never from vision: a picture can break the vision process.
"""

from collections.abc import Callable

from gated.composite import Composite
from gated.config import Settings
from gated.errors import ModelError, WireError
from gated.face.manifest import ModelSet, lawful_set
from gated.face.vision_messages import VisionReady, ready_with


class OwnModels:
    """The model set that this gate may use. `now` is None while there is none."""

    def __init__(self, settings: Settings, lost: Callable[[str], None]) -> None:
        """`lost`: called with the reason when no set can be used."""
        self._settings, self._lost = settings, lost
        self.now = self._found()

    @property
    def embedder(self) -> tuple[str, int, Composite | None]:
        """Origin, dimension and parts of the embeddings that the templates must be. ("", 0, None) without a set."""
        now = self.now
        return ("", 0, None) if now is None else (now.embedder_sha256, now.dimension, now.composite)

    def reload(self) -> bool:
        """Read the manifest again. Return whether the set changed. A manifest that cannot be read changes nothing."""
        before, found = self.now, self._found()
        self.now = found or before
        return self.now != before

    def is_seen_by(self, ready: VisionReady) -> bool:
        """Return whether vision uses this set."""
        return self.now is not None and ready == ready_with(self.now)

    def check(self, ready: VisionReady) -> None:
        """Check that vision uses this set. Raises `WireError` when it does not."""
        if not self.is_seen_by(ready):
            raise WireError("models: vision uses other models than the manifest names; restart the gate")

    def _found(self) -> ModelSet | None:
        try:
            return lawful_set(self._settings)
        except ModelError as error:
            self._lost(f"models: {error}")
            return None

"""Compare the face before the gate with the waiting face of a person whom a card or PIN let in.

Used by `face_service`. The comparison runs in another thread and opens nothing. Its result is events in the journal.
"""

import asyncio
import logging
from collections.abc import Callable

from gated.embedding import Embedding
from gated.errors import BusyError, StateError
from gated.events import Event
from gated.gallery.gallery import Gallery
from gated.types import SubjectId

log = logging.getLogger(__name__)


class FaceConfirmation:
    """The comparisons that run now. Use it in the event loop's thread."""

    def __init__(self, gallery: Gallery, report: Callable[[Event], None]) -> None:
        self._gallery, self._report = gallery, report
        self._running = set[asyncio.Task[None]]()

    def begin(self, subject: SubjectId, digest: bytes, looks: list[Embedding], threshold: float) -> None:
        """Compare these looks with the waiting face of this person. `digest`: of the credential that opened.
        `threshold`: the score that a look must reach.
        """
        task = asyncio.create_task(self._compare(subject, digest, looks, threshold))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _compare(self, subject: SubjectId, digest: bytes, looks: list[Embedding], threshold: float) -> None:
        try:
            accepted = await asyncio.to_thread(self._gallery.confirm, subject, digest, looks, threshold)
            for fact in accepted.facts() if accepted is not None else ():
                self._report(fact)
        except (BusyError, StateError) as error:
            log.error("a waiting face could not be compared: %s", error)

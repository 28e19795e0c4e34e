"""Chooses the next face to share: its gate seals the face for another gate.

Requests a few faces at a time, until every gate has the faces of all people who agreed. `CommandSender` uses it.
"""

from collections import Counter
from collections.abc import Collection

from gated.office.face_store import FaceRequest
from gated.office.store import Store

AT_ONCE = 8
"""Limit for faces requested from one gate and not answered."""
IN_FLIGHT_S = 30.0
"""Seconds for which an unanswered request counts against `AT_ONCE`."""
AGAIN_S = 60.0
"""Seconds until an unanswered face is requested again. The gate may have been off or have refused."""
REFUSED_S = 3600.0
"""Seconds until a refused face is requested again. A person at the gate must accept something first; the gate reports
it.
"""
RESCAN_S = 60.0
"""Seconds between searches for missing faces in the database."""


class FaceRequests:
    """The face requests of one process. They are lost when the process ends. The next process makes new ones."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._requested: dict[FaceRequest, float] = {}
        self._waiting: list[FaceRequest] = []
        self._rescan_at = 0.0

    def rescan(self) -> None:
        """Search for missing faces at the next `due`, because something relevant has changed."""
        self._rescan_at = 0.0

    def due(self, online: Collection[str], now: float) -> list[FaceRequest]:
        """Return the faces to request now, from gates that are `online`; marks them as requested."""
        if now >= self._rescan_at:
            self._rescan_at = now + RESCAN_S
            self._requested = {wanted: at for wanted, at in self._requested.items() if now < at + AGAIN_S}
            found = self._store.faces.missing_faces(online, 1000 + len(self._requested))
            self._waiting = [wanted for wanted in found if wanted not in self._requested]
        busy = Counter(wanted.gate for wanted, at in self._requested.items() if at <= now < at + IN_FLIGHT_S)
        chosen = []
        for wanted in self._waiting:
            if busy[wanted.gate] < AT_ONCE:
                busy[wanted.gate] += 1
                chosen.append(wanted)
        self._requested |= dict.fromkeys(chosen, now)
        self._waiting = [wanted for wanted in self._waiting if wanted not in self._requested]
        return chosen

    def accept_answer(self, wanted: FaceRequest) -> bool:
        """Record that a face arrived. Return whether it was requested; only a requested face is stored."""
        if self._requested.pop(wanted, None) is None:
            return False
        if not self._waiting:
            self.rescan()
        return True

    def postpone(self, wanted: FaceRequest) -> None:
        """Delay the next request: the gate refuses until a person there accepts something."""
        if wanted in self._requested:
            self._requested[wanted] += REFUSED_S - AGAIN_S

    def retry_gate(self, gate: str) -> None:
        """Request everything again from a gate at which a person has accepted something."""
        self._requested = {wanted: at for wanted, at in self._requested.items() if wanted.gate != gate}
        self.rescan()

    def retry(self, wanted: FaceRequest) -> None:
        """Request a face again: the gate reports it as sent, but it did not arrive."""
        if self._requested.pop(wanted, None) is not None:
            self.rescan()

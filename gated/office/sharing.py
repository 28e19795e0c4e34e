"""Which gate is asked next to seal which face to which other gate: a few at a time, until every gate has its own."""

from collections import Counter
from collections.abc import Collection

from gated.office.faces import Wanted
from gated.office.store import Store

AT_ONCE = 8
"""So many for one gate that it has not answered."""
IN_FLIGHT_S = 30.0
AGAIN_S = 60.0
"""What was asked and did not come is asked for again; a gate may have been off, or have refused."""
REFUSED_S = 3600.0
"""What a gate has refused waits for somebody there, who may take days; it says when they have been."""
LOOK_S = 60.0


class Sharing:
    """What was asked for; forgotten with the process, and then asked for once more."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._asked: dict[Wanted, float] = {}
        self._waiting: list[Wanted] = []
        self._look_at = 0.0

    def look(self) -> None:
        """Something has changed that may make another face wanted."""
        self._look_at = 0.0

    def due(self, online: Collection[str], now: float) -> list[Wanted]:
        """What is to be asked for now, of gates that are `online`; it counts as asked."""
        if now >= self._look_at:
            self._look_at = now + LOOK_S
            self._asked = {wanted: at for wanted, at in self._asked.items() if now < at + AGAIN_S}
            found = self._store.faces.wanted(online, 1000 + len(self._asked))
            self._waiting = [wanted for wanted in found if wanted not in self._asked]
        busy = Counter(wanted.gate for wanted, at in self._asked.items() if at <= now < at + IN_FLIGHT_S)
        chosen = []
        for wanted in self._waiting:
            if busy[wanted.gate] < AT_ONCE:
                busy[wanted.gate] += 1
                chosen.append(wanted)
        self._asked |= dict.fromkeys(chosen, now)
        self._waiting = [wanted for wanted in self._waiting if wanted not in self._asked]
        return chosen

    def answered(self, wanted: Wanted) -> bool:
        """A face came; True when it was asked for, and so is to be kept."""
        if self._asked.pop(wanted, None) is None:
            return False
        if not self._waiting:
            self.look()
        return True

    def refused(self, wanted: Wanted) -> None:
        """The gate gives none, as long as nobody accepts there what it takes."""
        if wanted in self._asked:
            self._asked[wanted] += REFUSED_S - AGAIN_S

    def accepted(self, gate: str) -> None:
        """Somebody has accepted something at that gate: what it refused is asked for again."""
        self._asked = {wanted: at for wanted, at in self._asked.items() if wanted.gate != gate}
        self.look()

    def lost(self, wanted: Wanted) -> None:
        """The gate says that it gave a face, and none came: it is asked for anew."""
        if self._asked.pop(wanted, None) is not None:
            self.look()

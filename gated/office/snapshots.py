"""Keeps the snapshots that gates are fetching.

The office signs and seals each snapshot once, and keeps it while gates request it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gated.protocol.limits import PARTS_WINDOW
from gated.protocol.record_messages import RecordRequest

KEEP_S = 180.0
"""Seconds without a request after which a snapshot is dropped. A gate that returns later gets a newer one."""
BUSY_S = 30.0
"""A snapshot stays in memory for this time after its last request, in seconds."""
SNAPSHOT_BYTES = 256_000_000
"""Limit for all snapshots together, in bytes. Holds about six of 3,600 people with faces from other gates."""


@dataclass(slots=True)
class _Snapshot:
    version: int
    payloads: list[bytes]
    requested_at: float

    @property
    def length(self) -> int:
        """Return the length of all parts, in bytes."""
        return sum(map(len, self.payloads))


class Snapshots:
    """The snapshots in memory, at most one per gate."""

    def __init__(self) -> None:
        self._kept: dict[str, _Snapshot] = {}

    def parts(
        self, gate: str, request: RecordRequest, now: float, version: int, build: Callable[[], list[bytes]]
    ) -> list[bytes]:
        """Return the requested parts. If that snapshot does not exist any more, return the first parts of a new
        snapshot.

        `version`: the current version, which `build` produces. Returns an empty list while too many other gates fetch
        snapshots; the gate asks again.
        """
        snapshot = self._kept.get(gate)
        if snapshot is None or snapshot.version not in (request.snapshot, version):
            self._kept.pop(gate, None)
            if not self._make_room(now):
                return []
            snapshot = self._kept[gate] = _Snapshot(version, build(), now)
        snapshot.requested_at = now
        is_that = request.parts and request.snapshot == snapshot.version
        chosen = request.parts if is_that else range(PARTS_WINDOW)
        return [snapshot.payloads[number] for number in chosen if number < len(snapshot.payloads)]

    def has(self, gate: str, version: int) -> bool:
        """Return whether a gate is already fetching this snapshot."""
        return gate in self._kept and self._kept[gate].version == version

    def forget(self, now: float) -> None:
        """Drop snapshots that no gate requests any more."""
        self._kept = {gate: snapshot for gate, snapshot in self._kept.items() if now < snapshot.requested_at + KEEP_S}

    def _make_room(self, now: float) -> bool:
        for gate, snapshot in sorted(self._kept.items(), key=lambda item: item[1].requested_at):
            if self._length < SNAPSHOT_BYTES or now < snapshot.requested_at + BUSY_S:
                break
            del self._kept[gate]
        return self._length < SNAPSHOT_BYTES

    @property
    def _length(self) -> int:
        return sum(snapshot.length for snapshot in self._kept.values())

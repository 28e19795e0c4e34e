"""Snapshots that gates are fetching: signed and sealed once, kept while they are asked for."""

from collections.abc import Callable
from dataclasses import dataclass

from gated.sync.messages import Request

KEEP_S = 180.0
"""One that nobody has asked for so long is forgotten; a gate that comes back gets a newer one."""
BUSY_S = 30.0
"""Of one that was asked for so lately more will be."""
MAX_BYTES = 256_000_000
"""Of all of them together; about six of 3,600 people whose faces come from elsewhere."""
WINDOW = 16
"""So many parts are sent to a gate that did not say which."""


@dataclass(slots=True)
class _Snapshot:
    version: int
    payloads: list[bytes]
    asked_at: float

    @property
    def length(self) -> int:
        return sum(map(len, self.payloads))


class Snapshots:
    """One for each gate at most."""

    def __init__(self) -> None:
        self._kept: dict[str, _Snapshot] = {}

    def parts(
        self, gate: str, request: Request, now: float, version: int, build: Callable[[], list[bytes]]
    ) -> list[bytes]:
        """The parts that are asked for; where that snapshot is none (any more), the first ones of a new one.

        `version` is the one of now, which `build` makes. Nothing while too many others are fetching theirs: a gate that
        gets nothing asks again.
        """
        snapshot = self._kept.get(gate)
        if snapshot is None or snapshot.version not in (request.snapshot, version):
            self._kept.pop(gate, None)
            if not self._make_room(now):
                return []
            snapshot = self._kept[gate] = _Snapshot(version, build(), now)
        snapshot.asked_at = now
        is_that = request.parts and request.snapshot == snapshot.version
        chosen = request.parts if is_that else range(WINDOW)
        return [snapshot.payloads[number] for number in chosen if number < len(snapshot.payloads)]

    def has(self, gate: str, version: int) -> bool:
        """Whether a gate is fetching this one already."""
        return gate in self._kept and self._kept[gate].version == version

    def forget(self, now: float) -> None:
        """Let go of those that nobody asks for any more."""
        self._kept = {gate: kept for gate, kept in self._kept.items() if now < kept.asked_at + KEEP_S}

    def _make_room(self, now: float) -> bool:
        for gate, kept in sorted(self._kept.items(), key=lambda item: item[1].asked_at):
            if self._length < MAX_BYTES or now < kept.asked_at + BUSY_S:
                break
            del self._kept[gate]
        return self._length < MAX_BYTES

    @property
    def _length(self) -> int:
        return sum(kept.length for kept in self._kept.values())

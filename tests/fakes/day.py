"""A day at one gate in simulated time: random visitors and faults, but the product's own decisions and lock control.

`Visits`, `Index`, the door's `advance` and `DoorWiring` run here as the brain and the latch wire them, but without
processes and sockets, so that a hundred thousand steps take seconds. Everything that happens goes into `history`.
"""

import math
from dataclasses import dataclass

import numpy as np
from msgspec import structs

from gated.access.face_policy import FaceRules
from gated.access.visits import COMPARED_CANDIDATES, VisitOutcome, Visits
from gated.door.door_machine import advance, wakes_at
from gated.door.door_state import Door, DoorInput, EndLeases, LineInput, ReleaseRequest, Tick
from gated.embedding import Embedding
from gated.events import Event
from gated.face.vision_messages import Observation
from gated.gallery.search import Index, Row
from gated.types import SubjectId
from tests.fakes.faults import Faulty, Verb
from tests.fakes.parts import DOOR, SimulatedDoor, card_reader, wall_clock
from tests.fakes.timeline import Timeline

STEP_S = 0.1
DIMENSION = 32
RESIDENTS = 40
RULES = FaceRules(threshold=0.6, pad_threshold=0.5, margin=0.05, frames=3, give_up_s=3.0, max_frame_age_s=1.0)
RELEASE_S = 3.0
WIRES = structs.replace(DOOR, release_s=RELEASE_S, rex_grace_s=1.0)
PATIENCE_S = 1.0
"""A track unseen for longer has ended, as in `face.track`."""


@dataclass(frozen=True, slots=True)
class DayFact:
    """One line of the history: an outcome of a visit, an event of the door, or one of the strings "press" (the button),
    "on" and "off" (the lock).
    """

    at: float
    what: VisitOutcome | Event | str
    wall: float
    """Wall time, possibly wrong."""


@dataclass(slots=True)
class Visitor:
    """A person at the gate. A resident if `embedding` is near an enrolled one."""

    track: int
    embedding: Embedding
    pad_score: float
    leaves_at: float


class SimulatedDay:
    """One gate, its visitors, and its `parts` that can fail: "camera", "contact", "button", "lock", "card", "clock"."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self._noise = np.random.default_rng(timeline.seed)
        people = [self._unit() for _ in range(RESIDENTS)]
        self.people = people
        rows = [Row(SubjectId(f"{i:016x}"), str(i // 3), "active", vector) for i, vector in enumerate(people)]
        self.visits = Visits(lambda probe: index.search(probe, COMPARED_CANDIDATES), DIMENSION, RULES)
        index = Index(rows, DIMENSION)
        self.hardware = SimulatedDoor(timeline, WIRES)
        self.door = Door(wires=WIRES, secured_at=timeline.now)
        self.history: list[DayFact] = []
        self.visitor: Visitor | None = None
        self.card: str | None = None
        self._tracks = 0
        self._seen_at: dict[int, float] = {}
        self.camera: Faulty[Observation | None] = Faulty(
            timeline, self._observed, off=lambda: None, garbage=self._garbage, wrong=_negated
        )
        self.reader, self.wall = card_reader(timeline, lambda: self.card), wall_clock(timeline)
        self.parts: dict[str, Faulty[Observation | None] | Faulty[bool] | Faulty[str | None] | Faulty[float]] = {
            "camera": self.camera,
            "contact": self.hardware.contact,
            "button": self.hardware.button,
            "lock": self.hardware.coil,
            "card": self.reader,
            "clock": self.wall,
        }

    def run(self, seconds: float) -> None:
        """Simulate so many seconds, step by step."""
        for _ in range(round(seconds / STEP_S)):
            self.step()

    def step(self) -> None:
        """Simulate a tenth of a second: wires, camera and clock, in the order of the latch and the brain."""
        self.timeline.advance(STEP_S)
        self.hardware.wire()
        for name, is_active in self.hardware.wiring.lines.items():
            if name == "rex" and is_active and "rex" not in self.door.active:
                self._note("press")
            self.give(LineInput(name, is_active))
        self.reader.read()  # no consumer: no card opens this gate
        self._see()
        self.hardware.coil.read()

    def comes(self, embedding: Embedding, stays_s: float, pad_score: float = 0.95) -> int:
        """Add a visitor. Return the track that the camera will give them."""
        self._tracks += 1
        self.visitor = Visitor(self._tracks, embedding, pad_score, self.timeline.now + stays_s)
        return self._tracks

    def give(self, given: DoorInput) -> None:
        """Apply one input to the state machine, as in the latch: first the lock, then the timer, then the events."""
        before, was_on = self.door, self.door.is_released
        self.door, events = advance(self.door, given, self.timeline.now)
        self.hardware.wiring.release(self.door.is_released)
        for event in events:
            self._note(event)
        if was_on != self.door.is_released:
            self._note("on" if self.door.is_released else "off")
        if self.door != before and wakes_at(self.door) < math.inf:
            self.timeline.at(wakes_at(self.door), lambda: self.give(Tick()))

    def disconnect(self) -> None:
        """Simulate the death of the brain: the latch drops its lease, and all visits are forgotten."""
        self.give(EndLeases("disconnect"))
        self.visits.end_all(self.timeline.now)
        self._seen_at.clear()

    def _see(self) -> None:
        seen = self.camera.read()
        now = self.timeline.now
        if seen is not None:
            if self.camera.fault is Verb.STUCK:
                seen = structs.replace(seen, frame_at=now)  # a frozen picture with a new frame time
            self._seen_at[seen.track] = now
            self._act(self.visits.observe(seen, now))
        for track in [track for track, at in self._seen_at.items() if now - at > PATIENCE_S]:
            del self._seen_at[track]
            self._act(self.visits.end(track, now))
        for outcome in self.visits.tick(now):
            self._act(outcome)

    def _act(self, outcome: VisitOutcome | None) -> None:
        """Release the lock at once on a grant, as the brain does."""
        if outcome is None:
            return
        self._note(outcome)
        if outcome.decision.grant:
            self.give(ReleaseRequest(outcome.visit, RELEASE_S, self.timeline.now))

    def _note(self, what: VisitOutcome | Event | str) -> None:
        self.history.append(DayFact(self.timeline.now, what, self.wall.read()))

    def _observed(self) -> Observation | None:
        """Return the observation of a working camera: the visitor, with a little noise in every frame."""
        if self.visitor is not None and self.timeline.now >= self.visitor.leaves_at:
            self.visitor = None
        if self.visitor is None:
            return None
        probe = self.visitor.embedding + 0.05 * self._noise.standard_normal(DIMENSION).astype(np.float32)
        probe /= np.linalg.norm(probe)
        return _observation(
            self.visitor.track, self.timeline.now, probe.astype("<f4").tobytes(), self.visitor.pad_score
        )

    def _garbage(self, dice: object) -> Observation | None:
        """Return what a broken camera or vision process may send: any values that fit into the message."""
        odd = [math.nan, math.inf, -1.0, 0.0, 1.0, 1e30]
        vector = self._noise.standard_normal(int(self._noise.integers(0, 64))) * self._noise.choice(odd)
        return _observation(
            int(self._noise.integers(-3, 3)),
            self.timeline.now - float(self._noise.choice(odd)),
            vector.astype("<f4").tobytes(),
            float(self._noise.choice(odd)),
        )

    def _unit(self) -> Embedding:
        vector = self._noise.standard_normal(DIMENSION)
        return (vector / np.linalg.norm(vector)).astype(np.float32)


def _observation(track: int, at: float, embedding: bytes, pad_score: float) -> Observation:
    return Observation(track, 0, at, (0.0, 0.0, 1.0, 1.0), 0.9, None, None, pad_score, embedding)


def _negated(seen: Observation | None) -> Observation | None:
    """Return the observation with the opposite embedding, which belongs to no resident."""
    if seen is None or seen.embedding is None:
        return seen
    return structs.replace(seen, embedding=(-np.frombuffer(seen.embedding, "<f4")).tobytes())

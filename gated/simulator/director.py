"""Plays a morning at a gate on a desk: sends people to the gate, waits for its decisions, and judges them."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from gated.simulator.desk import Desk, JournalFact, wait_for
from gated.simulator.morning import LATER_S, MorningStep, Resident, described
from gated.simulator.network import Network
from gated.simulator.script import PASS_S, Script, write_script

PATIENCE_S = 15.0
"""Longest time for one step before it counts as failed."""
LINGER_S = 0.6
"""Time between the gate's decision and the first step of the visitor."""
KILL_AFTER_S = 0.4
"""Vision is killed this long after a visitor started to walk."""
READY_S = 40.0


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """The outcome of a step: the people granted, the other condition met, and whether it counts."""

    step: MorningStep
    let_in: tuple[str, ...]
    also: str
    is_judged: bool
    """False if the model set cannot be expected to decide correctly."""

    @property
    def is_right(self) -> bool:
        """Whether the gate did as expected. True if the step does not count."""
        return not self.is_judged or (set(self.let_in) == set(self.step.let_in) and self.also == self.step.also)


@dataclass(slots=True)
class Now:
    """The current state of the demo, for display."""

    title: str = "the gate wakes up"
    in_view: str = "nothing yet"
    result: str = "not on duty yet"
    door: str = "unknown"
    vision: str = "starting"
    network: str = "none"
    waiting: int = 0
    acknowledged: int = 0
    people: int = 0
    facts: list[tuple[JournalFact, str]] = field(default_factory=list)
    """The decisions so far, each with the name of the person granted, or ""."""
    outcomes: list[StepOutcome] = field(default_factory=list)


class Director:
    """One performance. `show` is called with the current state ten times a second."""

    def __init__(
        self, desk: Desk, steps: Sequence[MorningStep], network: Network | None, show: Callable[[Now], None]
    ) -> None:
        self._desk, self._steps, self._network, self._show = desk, steps, network, show
        self.now = Now(network="up" if network else "no Mosquitto here")
        self.subjects: dict[str, str] = {}
        """Subject to name, for every enrolled person."""
        self._journal = desk.journal()
        self._begins_at = time.monotonic()
        self._facts: list[JournalFact] = []
        self.actors = [
            [replace(actor, comes_s=LATER_S + number) for actor in step.actors] for number, step in enumerate(steps)
        ]
        self.write()

    @property
    def second(self) -> float:
        """The current second of the script."""
        return time.monotonic() - self._begins_at

    @property
    def script(self) -> Script:
        """The current script: actors that came, and actors still to come."""
        actors = tuple(actor for actors in self.actors for actor in actors)
        return Script(actors=actors, ends_s=86_400.0, begins_at=self._begins_at)

    def write(self) -> None:
        """Write the script for the camera."""
        write_script(self.script, self._desk.script)

    def enrolled(self, resident: Resident, subject: str) -> None:
        """Record the subject of a resident, for display and judgement."""
        self.subjects[subject] = resident.name
        self.now.people += 1
        self.now.title = f"{resident.name} is enrolled"
        self._show(self.now)

    def wait_until_on_duty(self) -> bool:
        """Wait until vision is ready. Return False after `READY_S`."""
        return any(self.now.vision == "sees" for _ in self._moments(READY_S))

    def play(self, number: int, *, is_judged: bool = True) -> StepOutcome:
        """Play one step until its last actor has left. Return its outcome."""
        step = self._steps[number]
        self.now.title, self.now.result = step.title, "..."
        self._facts = []
        self._apply_event(step)
        began_at = time.time()
        self._call(number)
        if step.first == "vision killed":
            all(True for _ in self._moments(KILL_AFTER_S))
            self._desk.kill_vision()
        any(self._is_over(step, began_at) for _ in self._moments(PATIENCE_S))
        all(True for _ in self._moments(LINGER_S if step.actors else 0.0))
        self._send_off(number)
        outcome = StepOutcome(step, tuple(self._let_in(began_at)), self._also(step, began_at), is_judged)
        self.now.outcomes.append(outcome)
        self._show(self.now)
        return outcome

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def _apply_event(self, step: MorningStep) -> None:
        """Apply the step's event to the gate itself."""
        if step.first == "network cut" and self._network is not None:
            self._network.cut()
            self.now.network = "CUT"
        elif step.first == "network back" and self._network is not None:
            self._network.restore()
            self.now.network = "up"
        elif step.first == "removed":
            self._desk.remove(next(subject for subject, name in self.subjects.items() if name == step.name))
            any(self._has("person_removed") for _ in self._moments(PATIENCE_S))
            all(True for _ in self._moments(1.2))  # the gate follows within a second
            self.now.people -= 1

    def _call(self, number: int) -> None:
        """Start the actors of a step."""
        self.actors[number] = [replace(actor, comes_s=self.second + 0.1) for actor in self.actors[number]]
        self.now.in_view = described(self.actors[number])
        self.write()

    def _send_off(self, number: int) -> None:
        """Let all actors of a step leave."""
        if not self.actors[number]:
            return
        self.actors[number] = [replace(actor, leaves_s=self.second) for actor in self.actors[number]]
        self.write()
        all(True for _ in self._moments(PASS_S + 0.1))
        self.now.in_view = described(())

    def _moments(self, seconds: float) -> Iterator[None]:
        """Yield ten times a second until the time is up. Read and show the gate's journal each time."""
        for _ in wait_for(seconds):
            self._desk.check_alive()
            for fact in self._desk.new_facts(self._journal):
                self._apply(fact)
            position = self._journal.position()
            self.now.waiting, self.now.acknowledged = position.head - position.acked, position.acked
            self._show(self.now)
            yield

    def _apply(self, fact: JournalFact) -> None:
        """Apply one row of the journal to the displayed state."""
        self._facts.append(fact)
        now, name = self.now, self.subjects.get(str(fact.body.get("subject")), "")
        match fact.kind, fact.body.get("worker"):
            case "access_granted", _:
                now.result = f"OPEN for {name}"
                now.facts.append((fact, name))
            case "access_denied", _:
                now.result = f"closed: {fact.body['reason']}"
                now.facts.append((fact, ""))
            case "door_released", _:
                now.door = "released"
            case "door_secured", _:
                now.door = "secured"
            case "worker_ready", "vision":
                now.vision = "sees"
            case "worker_ready", "latch":
                now.door = "secured"
            case "worker_lost", "vision":
                now.vision = f"LOST ({fact.body['why']})"
            case _:
                pass

    def _is_over(self, step: MorningStep, began_at: float) -> bool:
        """Return whether a step has reached its expected outcome, or can no longer reach it."""
        let_in = self._let_in(began_at)
        if set(let_in) - set(step.let_in):
            return True
        return set(let_in) == set(step.let_in) and self._also(step, began_at) == step.also

    def _let_in(self, since: float) -> list[str]:
        """Return the names of the people granted on frames since that time."""
        granted = [f for f in self._facts if f.kind == "access_granted" and f.frame_at >= since]
        return list(dict.fromkeys(self.subjects.get(str(fact.body["subject"]), "?") for fact in granted))

    def _also(self, step: MorningStep, since: float) -> str:
        """Return `MorningStep.also` if that condition holds, otherwise ""."""
        is_refused = any(f.kind == "access_denied" and f.frame_at >= since for f in self._facts)
        is_so = {
            "": True,
            "refused": is_refused and not self._let_in(since),
            "events wait": self.now.waiting > 0,
            "all events acknowledged": self.now.waiting == 0,
            "vision came back": self._has("worker_lost") and self.now.vision == "sees",
        }
        return step.also if is_so[step.also] else ""

    def _has(self, kind: str) -> bool:
        return any(fact.kind == kind for fact in self._facts)

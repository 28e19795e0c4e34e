"""The visits at this gate: each face in view is looked at until there is a decision, and decided on once.

Observations come from a process that may lie or break: what it sends is checked here before it is evidence.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

import numpy as np

from gated.access.policy import Decision, Reason, Rules, Verdict, decide, judge
from gated.embedding import Embedding, check_embedding
from gated.errors import EmbeddingError
from gated.face.messages import Observation
from gated.gallery.search import Candidate
from gated.types import SubjectId

Bound = Callable[[float, float], float]
"""The PAD score that is wanted: of the usual one, at a time in monotonic seconds."""
Search = Callable[[Embedding], Sequence[Candidate]]
Patience = Callable[[SubjectId], float | None]
"""How many seconds somebody asked to be looked for; None: as everybody."""

NEAREST = 5
"""So many candidates are looked at, so that a rival of another household is among them."""

SHOWN_S = 3.0
"""A face that was seen so short a time ago is there together with a card or a PIN."""

PASSING_BY = frozenset({"too_small", "too_near", "background"})
"""Problems of a face that is not where the gate can judge it: no visit, no trace, and no refusal; it is guided."""


@dataclass(slots=True)
class Visit:
    """One tracked face: what each look said, and whether it was decided."""

    id: str = field(default_factory=lambda: secrets.token_hex(6))
    began_at: float = 0.0
    seen_at: float = 0.0
    verdicts: list[Verdict] = field(default_factory=list)
    is_decided: bool = False
    looks: list[bytes] = field(default_factory=list)
    """The newest good looks in a row, as vision sent them; also after the decision."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A decision about a visit; `frame_at` is the exposure of the last frame it rests on, in monotonic seconds."""

    visit: str
    decision: Decision
    frame_at: float
    imitated: frozenset[SubjectId] = frozenset()
    """Whom looks that were attacks looked like, where nobody was let in: one who leaves in time has tried as well."""

    @property
    def is_attack(self) -> bool:
        """Whether it counts as an attack, on somebody or on nobody who is known."""
        return bool(self.imitated) or self.decision.reason is Reason.ATTACK


MOST_VISITS = 100
"""A broken vision could name another track in every message: the oldest visit makes room, and is not decided."""


class Visits:
    """All faces in view. Pure but for its memory: time is passed in, and decisions are returned."""

    def __init__(
        self,
        search: Search,
        dimension: int,
        rules: Rules,
        patience: Patience = lambda _: None,
        bound: Bound = lambda usual, _: usual,
        *,
        admits: Callable[[], bool] = lambda: True,
    ) -> None:
        """`admits`: asked once for each new track, see `crowd`."""
        self._search, self._dimension, self.rules, self._patience = search, dimension, rules, patience
        self._bound, self._admits = bound, admits
        self._open: dict[int, Visit] = {}

    def observe(self, seen: Observation, now: float) -> Outcome | None:
        """Take one look at one face. A frame that is too old, from the future or out of order is no evidence."""
        age_s = now - seen.frame_at
        if seen.problem in PASSING_BY or not 0 <= age_s <= self.rules.max_frame_age_s:
            return None
        if seen.track not in self._open and not self._make_room():
            return None
        visit = self._open.setdefault(seen.track, Visit(began_at=seen.frame_at))
        if not seen.frame_at > visit.seen_at:
            return None
        visit.seen_at = seen.frame_at
        look = self._good_look(seen, now)
        visit.looks = [] if look is None else [*visit.looks, look][-self.rules.frames :]
        if visit.is_decided:
            return None
        visit.verdicts.append(self._verdict(seen, now))
        return self._settle(visit, now, is_over=False)

    def _make_room(self) -> bool:
        """Whether there may be one more visit. The oldest of too many goes."""
        if not self._admits():
            return False
        if len(self._open) >= MOST_VISITS:
            del self._open[next(iter(self._open))]
        return True

    def end(self, track: int, now: float) -> Outcome | None:
        """The face has left: a visit that was not decided is refused now."""
        visit = self._open.pop(track, None)
        return None if visit is None or visit.is_decided else self._settle(visit, now, is_over=True)

    def shown(self, now: float) -> list[Embedding]:
        """The newest good looks at the one face before the gate, as many as must agree; none where there are several
        faces, or too few looks, or the last is older than `SHOWN_S`.
        """
        here = [visit for visit in self._open.values() if 0 <= now - visit.seen_at <= SHOWN_S]
        if len(here) != 1 or len(here[0].looks) < self.rules.frames:
            return []
        try:
            return [check_embedding(np.frombuffer(look, "<f4"), self._dimension) for look in here[0].looks]
        except (EmbeddingError, ValueError):
            return []

    def _good_look(self, seen: Observation, now: float) -> bytes | None:
        """The look, where nothing speaks against it."""
        pad = seen.pad_score
        is_living = pad is not None and pad >= self._pad_threshold(now)
        return seen.embedding if seen.problem is None and is_living else None

    def forget(self, track: int) -> None:
        """Nothing is decided about this face; seen again it is a new visit."""
        self._open.pop(track, None)

    def tick(self, now: float) -> list[Outcome]:
        """Time has passed: whoever has waited too long is refused, so that another way in can be told."""
        waiting = [visit for visit in self._open.values() if not visit.is_decided]
        return [outcome for visit in waiting if (outcome := self._settle(visit, now, is_over=False))]

    def clear(self) -> None:
        """Vision is gone, and what it saw with it: nothing is carried over to the next one."""
        self._open.clear()

    def _verdict(self, seen: Observation, now: float) -> Verdict:
        if seen.problem is not None or seen.embedding is None:
            return Verdict(Reason.POOR_QUALITY)
        try:
            probe = check_embedding(np.frombuffer(seen.embedding, "<f4"), self._dimension)
        except (EmbeddingError, ValueError):
            return Verdict(Reason.ODD)
        return judge(self._search(probe), seen.pad_score, replace(self.rules, pad_threshold=self._pad_threshold(now)))

    def _pad_threshold(self, now: float) -> float:
        return self._bound(self.rules.pad_threshold, now)

    def _settle(self, visit: Visit, now: float, *, is_over: bool) -> Outcome | None:
        waited_s, rules = now - visit.began_at, self._rules_for(visit)
        decision = decide(visit.verdicts, waited_s if isfinite(waited_s) else rules.give_up_s, is_over, rules)
        if decision is None:
            return None
        visit.is_decided = True
        imitated = frozenset(each.imitated for each in visit.verdicts if each.imitated is not None)
        return Outcome(visit.id, decision, visit.seen_at, frozenset() if decision.grant else imitated)

    def _rules_for(self, visit: Visit) -> Rules:
        """The rules, with the patience that whoever was recognised in any look asked for."""
        recognised = {verdict.subject for verdict in visit.verdicts if verdict.reason is Reason.MATCH}
        asked = [self._patience(subject) or 0.0 for subject in recognised if subject is not None]
        return replace(self.rules, give_up_s=max([self.rules.give_up_s, *asked]))

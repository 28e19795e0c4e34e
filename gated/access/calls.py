"""The call button: one call at a door at a time, from the press until somebody answers or nobody does.

A call lasts `ANSWER_S` and may be answered with "wait", "opening" or "nobody". "wait" keeps it open for `WAIT_S`, so
that the door can still be opened; the other two end it. Without a link to the office it ends at once. A link proves
little: a broker may hold what nobody reads. So the office must prove for every call that it hears now (see
`sync.freshness`); without that proof the call ends after `HEAR_S`, and the next one at once. A second press goes on
with the same call (people press again when they hear nothing new); after "wait" it calls anew.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from typing import Literal

from gated.events import CallAnswered, CallEnded, CallPressed, Degraded, DoorReleased, Event

ANSWER_S = 60.0
"""So long somebody may take to answer."""
HEAR_S = 5.0
"""So long the office may take to prove that it hears: a round trip over a slow mobile link."""
WAIT_S = 180.0
"""So long whoever was asked to wait is waited for."""

Answer = Literal["opening", "wait", "nobody"]
NOBODY_CALLS = "nobody is calling at that door now; the call has ended"
WHICH = "both doors are calling; say which one with --door"


@dataclass(frozen=True, slots=True)
class Call:
    """One call. It began at `began_at` and ends by itself at `ends_at`, in monotonic seconds."""

    began_at: float
    ends_at: float
    is_waiting: bool = False
    """Whether somebody has answered "wait"."""


class Calls:
    """Every call at this gate. Used in the loop's thread; `run` ends what is over."""

    def __init__(
        self,
        report: Callable[[Event], None],
        has_line: Callable[[], bool],
        status_s: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`report`: takes what becomes of a call. `has_line`: whether there is a link to the office now.

        `status_s`: so often the office is asked for a proof that it hears, beside once for every call.
        """
        self._report, self._has_line, self._monotonic = report, has_line, monotonic
        self._open: dict[str, Call] = {}
        self.count = 0
        """How many calls there were. The link asks the office for a proof whenever this changes."""
        self._proof_is_due_s = status_s + HEAR_S
        self._proved_at, self._line_since = -inf, monotonic()
        self._had_line, self._is_deaf = True, False
        self._changed = asyncio.Event()

    def happened(self, event: Event) -> None:
        """A fact: a press begins a call, a door that is released ends the call at it, a lost link ends all."""
        match event:
            case CallPressed(door=door):
                self._pressed(door)
            case DoorReleased(cause="grant" | "rex", door=door) if door in self._open:
                self._end(door, "opened")
            case Degraded():
                self._look_at_line()
        self._changed.set()

    def proved(self, at: float) -> None:
        """The office has heard what the gate said at `at`, in monotonic seconds."""
        self._proved_at, self._is_deaf = max(self._proved_at, at), False
        self._changed.set()

    def _look_at_line(self) -> None:
        """Without a link nobody can answer any more. Who was asked to wait goes on: somebody knows of them."""
        has_line = self._has_line()
        if has_line and not self._had_line:
            self._line_since, self._is_deaf = self._monotonic(), False
        self._had_line = has_line
        if not has_line:
            self._end_all(lambda call: not call.is_waiting, "unreachable")

    def _hears(self) -> bool:
        """Whether the office hears the gate, as far as is known now."""
        proof_is_due = max(self._proved_at, self._line_since) + self._proof_is_due_s
        return self._has_line() and not self._is_deaf and self._monotonic() <= proof_is_due

    def door_of(self, door: str) -> tuple[str, str]:
        """The door whose call an answer is for, and why there is none; `door` empty: the one that is calling."""
        calling = [each for each in self._open if door in ("", each)]
        if len(calling) == 1:
            return calling[0], ""
        return "", WHICH if calling else NOBODY_CALLS

    def answered(self, door: str, answer: Answer) -> None:
        """Somebody has answered the call at this door, which `door_of` gave."""
        if answer == "wait":
            now = self._monotonic()
            self._open[door] = Call(now, now + WAIT_S, is_waiting=True)
        else:
            self._open.pop(door, None)
        self._report(CallAnswered(door, answer=answer))
        self._changed.set()

    async def run(self) -> None:
        """End the calls that nobody answers, for ever."""
        while True:
            self._changed.clear()
            self.tick()
            next_at = min(map(self._next_at, self._open.values()), default=None)
            with suppress(TimeoutError):
                async with asyncio.timeout(None if next_at is None else max(0.0, next_at - self._monotonic())):
                    await self._changed.wait()

    def tick(self) -> None:
        """End what is over by now."""
        now = self._monotonic()
        if self._end_all(lambda call: not self._is_proved(call) and call.began_at + HEAR_S <= now, "unreachable"):
            self._is_deaf = True
        self._end_all(lambda call: call.ends_at <= now, "unanswered")

    def _is_proved(self, call: Call) -> bool:
        """Whether the office heard something after this call began; who answers "wait" has heard it."""
        return call.is_waiting or self._proved_at >= call.began_at

    def _next_at(self, call: Call) -> float:
        return call.ends_at if self._is_proved(call) else min(call.ends_at, call.began_at + HEAR_S)

    def _pressed(self, door: str) -> None:
        known, now = self._open.get(door), self._monotonic()
        if known is None or known.is_waiting:
            self._open[door] = Call(now, now + ANSWER_S)
            self.count += 1
        if not self._hears():
            self._end(door, "unreachable")

    def _end_all(self, is_over: Callable[[Call], bool], outcome: str) -> bool:
        """End every call that is over; whether there was one."""
        doors = [door for door, call in self._open.items() if is_over(call)]
        for door in doors:
            self._end(door, outcome)
        return bool(doors)

    def _end(self, door: str, outcome: str) -> None:
        del self._open[door]
        self._report(CallEnded(outcome, door))

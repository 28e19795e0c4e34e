"""The call button: one call at a door at a time, from the press to an answer, an opening, a timeout or a lost link.

A call lasts `CALL_ANSWER_S`. The office answers "wait", "opening" or "nobody". "wait" keeps the call open for
`CALL_WAIT_S`: the office can still open the door. The other two answers end the call. Without a link to the office the
call ends at once. A link alone does not prove that the office is alive: a broker can hold messages that nobody reads.
So for each call the office must prove that it receives messages now (see `sync.freshness`). Without this proof the call
ends after `PROOF_S`. Later calls then end at once, until a proof arrives or the link is made again. A second press
continues the same call, because people often press again. After "wait" a second press starts a new call.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Literal

from msgspec import Struct

from gated.events import CallAnswered, CallEnded, CallPressed, Degraded, DoorReleased, Event

CALL_ANSWER_S = 60.0
"""The time limit for an answer, in seconds."""
PROOF_S = 5.0
"""The time limit for the office's proof, in seconds. It covers a round trip over a slow mobile link."""
CALL_WAIT_S = 180.0
"""How long a call stays open after the answer "wait", in seconds."""

CallReply = Literal["opening", "wait", "nobody"]
NO_CALL = "nobody is calling at that door now; the call has ended"
SEVERAL_CALLS = "both doors are calling; say which one with --door"


class Call(Struct, frozen=True):
    """One call. `began_at` and `ends_at` are in monotonic seconds. The call ends by itself at `ends_at`."""

    began_at: float
    ends_at: float
    is_waiting: bool = False
    """Whether the office has answered "wait"."""


class Calls:
    """All calls at this gate. Use it in the event loop's thread. `run` ends the calls that time out."""

    def __init__(
        self,
        report: Callable[[Event], None],
        is_linked: Callable[[], bool],
        status_s: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`report` receives the events of each call. `is_linked` returns whether there is a link to the office now.

        `status_s` is the interval in seconds at which the gate asks the office for a proof. Each call also asks once.
        """
        self._report, self._is_linked, self._monotonic = report, is_linked, monotonic
        self._open: dict[str, Call] = {}
        self.count = 0
        """The number of calls so far. The link asks the office for a proof whenever this number changes."""
        self._proof_is_due_s = status_s + PROOF_S
        self._proved_at, self._linked_since = -inf, monotonic()
        self._was_linked, self._is_office_silent = True, False
        self._changed = asyncio.Event()

    def handle_event(self, event: Event) -> None:
        """Handle an event. A press begins a call. A released door ends its call. A lost link ends every call without
        "wait".
        """
        match event:
            case CallPressed(door=door):
                self._pressed(door)
            case DoorReleased(cause="grant" | "rex", door=door) if door in self._open:
                self._end(door, "opened")
            case Degraded():
                self._check_link()
        self._changed.set()

    def record_proof(self, at: float) -> None:
        """Note that the office received the gate's message of `at`, in monotonic seconds."""
        self._proved_at, self._is_office_silent = max(self._proved_at, at), False
        self._changed.set()

    def _check_link(self) -> None:
        """End the calls that nobody can answer without a link. A call with the answer "wait" continues: the office
        knows of it.
        """
        is_linked = self._is_linked()
        if is_linked and not self._was_linked:
            self._linked_since, self._is_office_silent = self._monotonic(), False
        self._was_linked = is_linked
        if not is_linked:
            self._end_all(lambda call: not call.is_waiting, "unreachable")

    def _is_office_receiving(self) -> bool:
        """Return whether the office receives the gate's messages, as far as the gate knows now."""
        proof_is_due = max(self._proved_at, self._linked_since) + self._proof_is_due_s
        return self._is_linked() and not self._is_office_silent and self._monotonic() <= proof_is_due

    def door_of(self, door: str) -> tuple[str, str]:
        """Return the only door with an open call, or else an error text; the other value is empty.

        With an empty `door`, return the only door that is calling.
        """
        calling = [each for each in self._open if door in ("", each)]
        if len(calling) == 1:
            return calling[0], ""
        return "", SEVERAL_CALLS if calling else NO_CALL

    def apply_answer(self, door: str, answer: CallReply) -> None:
        """Apply an answer to the call at this door. `door` must come from `door_of`."""
        if answer == "wait":
            now = self._monotonic()
            self._open[door] = Call(now, now + CALL_WAIT_S, is_waiting=True)
        else:
            self._open.pop(door, None)
        self._report(CallAnswered(door, answer=answer))
        self._changed.set()

    async def run(self) -> None:
        """End calls that time out. Runs until cancelled."""
        while True:
            self._changed.clear()
            self.tick()
            next_at = min(map(self._next_at, self._open.values()), default=None)
            with suppress(TimeoutError):
                async with asyncio.timeout(None if next_at is None else max(0.0, next_at - self._monotonic())):
                    await self._changed.wait()

    def tick(self) -> None:
        """End the calls that have timed out by now."""
        now = self._monotonic()
        if self._end_all(lambda call: not self._is_proved(call) and call.began_at + PROOF_S <= now, "unreachable"):
            self._is_office_silent = True
        self._end_all(lambda call: call.ends_at <= now, "unanswered")

    def _is_proved(self, call: Call) -> bool:
        """Return whether the office has proved that it received this call. An answer "wait" is a proof too."""
        return call.is_waiting or self._proved_at >= call.began_at

    def _next_at(self, call: Call) -> float:
        return call.ends_at if self._is_proved(call) else min(call.ends_at, call.began_at + PROOF_S)

    def _pressed(self, door: str) -> None:
        known, now = self._open.get(door), self._monotonic()
        if known is None or known.is_waiting:
            self._open[door] = Call(now, now + CALL_ANSWER_S)
            self.count += 1
        if not self._is_office_receiving():
            self._end(door, "unreachable")

    def _end_all(self, is_over: Callable[[Call], bool], outcome: str) -> bool:
        """End every call for which `is_over` is true. Return whether any call ended."""
        doors = [door for door, call in self._open.items() if is_over(call)]
        for door in doors:
            self._end(door, outcome)
        return bool(doors)

    def _end(self, door: str, outcome: str) -> None:
        del self._open[door]
        self._report(CallEnded(outcome, door))

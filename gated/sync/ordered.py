"""What a gate does about its office's orders: it asks for each one, has the desk judge it, and says what came of it.

The desk has a disk of its own. While that fails it rests, and nothing is carried out.
"""

from collections import deque
from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from gated.events import Event
from gated.sync.commands import UNWRITABLE, CommandDesk, Outcome, commanded
from gated.sync.flood import Repetitions
from gated.sync.messages import Ask, Command, Message, Offer, Reply, Suspend
from gated.sync.part import Part
from gated.sync.replica import Replica
from gated.sync.topics import Topics
from gated.sync.withheld import Withheld

SUSPENDED_IN_MEMORY = "the gate's disk cannot be written: they are let in no more, and that is kept when it can be"
REMEMBERED = 4096
"""So many commands are recognised when they come again, so that a refusal is written down once."""


class Orders:
    """The gate's half of the conversation about orders. Gives what is to be said; for the thread of `GateSide`."""

    def __init__(
        self, desk: CommandDesk, topics: Topics, replica: Replica, withheld: Withheld, report: Callable[[Event], None]
    ) -> None:
        self._desk, self._topics, self._replica = desk, topics, replica
        self._withheld, self._report = withheld, report
        self._disk, self._judged = Part("commands"), Repetitions(REMEMBERED)
        self._posted: deque[Message] = deque()
        self._interrupted: list[Reply] | None = None
        """The answers to orders that the last life of this gate was doing when it stopped; None: not asked yet."""
        self._owed: list[Reply] = []

    def close(self) -> None:
        """Give the desk's files back. May be called twice."""
        self._desk.close()

    def connected(self, now: float) -> None:
        """A new connection: what the last life left undone is said on it."""
        if self._interrupted is None:
            self._interrupted = self._disk.attempt(self._desk.interrupted, now, list[Reply]())
        self._owed = list(self._interrupted)

    def due(self, now: float) -> list[Ask | Reply]:
        """What the last life owes, and a question about an order of which the office has said nothing yet; it answers
        also when nobody waits any more.
        """
        owed, self._owed = self._owed, []
        order = self._withheld.to_ask(now)
        return [*owed, *([] if order is None else self.offered(order, now))]

    def offered(self, order: str, now: float) -> list[Ask | Reply]:
        """What to say to an offer."""
        offer = Offer(site=self._topics.site, gate=self._topics.gate, order=order)
        said = self._disk.attempt(lambda: self._desk.offered(offer, now), now, None)
        if isinstance(said, Ask):
            self._withheld.asked(order, now)
        else:
            self._withheld.answered(order)
        return [] if said is None else [said]

    def judge(self, command: Command, now: float, wall: datetime | None) -> Command | Reply | None:
        """The command where it is to be carried out, else the answer, if any. A refusal is written down, once."""
        self._withheld.answered(command.id)
        answer = self._disk.attempt(lambda: self._desk.hear(command, now, wall), now, None)
        if answer is None or isinstance(answer, Command):
            return answer
        if answer.why == UNWRITABLE and isinstance(command.action, Suspend) and self._desk.is_fresh(command, now, wall):
            self._replica.revoke(command.action.subject, command.action.n)
            answer = replace(answer, why=SUSPENDED_IN_MEMORY)
        if answer.outcome in ("refused", "failed"):
            self._tell_once(command, answer)
        return answer

    def _tell_once(self, command: Command, answer: Reply) -> None:
        judged = command.id.encode()
        if not self._judged.has(judged):
            self._report(commanded(command, answer))
        self._judged.note(judged)

    def post(self, message: Message) -> None:
        """What an order brought forth, to be said with its answer. From any thread."""
        self._posted.append(message)

    def settle(self, command: Command, outcome: Outcome, now: float) -> list[Message]:
        """A command was carried out: what is to be said, and it is written down."""
        self._judged.note(command.id.encode())
        self._report(commanded(command, outcome))
        posted = [self._posted.popleft() for _ in range(len(self._posted))]
        reply = self._disk.attempt(lambda: self._desk.settle(command, outcome), now, None)
        return [*posted, *([reply] if reply is not None else [])]

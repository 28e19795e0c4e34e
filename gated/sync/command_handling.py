"""The gate's handling of commands: ask for each offered command, let `CommandDesk` judge it, and send the outcome.

The desk has a disk of its own. While that disk fails, the desk rests and no command is carried out.
"""

from collections import deque
from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from gated.events import Event
from gated.protocol.command_messages import Command, ConfirmationRequest, Offer, Reply, Suspend
from gated.protocol.flood import Repetitions
from gated.protocol.topics import Topics
from gated.protocol.wire_types import Message
from gated.sync.command_desk import UNWRITABLE, CommandDesk, CommandOutcome, commanded
from gated.sync.isolation import IsolatedPart
from gated.sync.replica import Replica
from gated.sync.withheld_records import WithheldData

SUSPENDED_IN_MEMORY = (
    "the gate's disk cannot be written: the suspension counts in memory, and is stored when the disk works again"
)
"""Reply to a suspension that the gate applies in memory because the disk cannot be written."""
REMEMBERED_COMMANDS = 4096
"""Largest number of remembered commands: a repeated command enters its refusal in the journal only once."""


class CommandExchange:
    """The gate's half of the exchange about commands. Used on the thread of `GateSide`.

    Its methods return the messages to send.
    """

    def __init__(
        self,
        desk: CommandDesk,
        topics: Topics,
        replica: Replica,
        withheld: WithheldData,
        report: Callable[[Event], None],
    ) -> None:
        self._desk, self._topics, self._replica = desk, topics, replica
        self._withheld, self._report = withheld, report
        self._disk, self._judged = IsolatedPart("commands"), Repetitions(REMEMBERED_COMMANDS)
        self._posted: deque[Message] = deque()
        self._interrupted: list[Reply] | None = None
        """Replies to commands that were in progress when the gate last stopped; None before the desk was asked."""
        self._owed: list[Reply] = []

    def close(self) -> None:
        """Close the desk's files. May be called twice."""
        self._desk.close()

    def start_connection(self, now: float) -> None:
        """Start a new connection. Queue the replies to interrupted commands."""
        if self._interrupted is None:
            self._interrupted = self._disk.attempt(self._desk.interrupted, now, list[Reply]())
        self._owed = list(self._interrupted)

    def due(self, now: float) -> list[ConfirmationRequest | Reply]:
        """Return the queued replies, and a question about a command that the office has not answered.

        The office answers such a question even if no operator waits any more.
        """
        owed, self._owed = self._owed, []
        command_id = self._withheld.question_due(now)
        return [*owed, *([] if command_id is None else self.answer_offer(command_id, now))]

    def answer_offer(self, command_id: str, now: float) -> list[ConfirmationRequest | Reply]:
        """Return the messages that answer an offer."""
        offer = Offer(site=self._topics.site, gate=self._topics.gate, command=command_id)
        answer = self._disk.attempt(lambda: self._desk.answer_offer(offer, now), now, None)
        if isinstance(answer, ConfirmationRequest):
            self._withheld.note_question(command_id, now)
        else:
            self._withheld.close_question(command_id)
        return [] if answer is None else [answer]

    def judge(self, command: Command, now: float, wall: datetime | None) -> Command | Reply | None:
        """Return the command if it is to be carried out, else the reply, if any. A refusal enters the journal once.

        While the disk cannot be written, a fresh `Suspend` still takes effect, in memory.
        """
        self._withheld.close_question(command.id)
        answer = self._disk.attempt(lambda: self._desk.judge(command, now, wall), now, None)
        if answer is None or isinstance(answer, Command):
            return answer
        if answer.why == UNWRITABLE and isinstance(command.action, Suspend) and self._desk.is_fresh(command, now, wall):
            self._replica.revoke(command.action.subject, command.action.n)
            answer = replace(answer, why=SUSPENDED_IN_MEMORY)
        if answer.outcome in ("refused", "failed"):
            self._report_once(command, answer)
        return answer

    def _report_once(self, command: Command, answer: Reply) -> None:
        judged = command.id.encode()
        if not self._judged.has(judged):
            self._report(commanded(command, answer))
        self._judged.note(judged)

    def queue(self, message: Message) -> None:
        """Queue a message that a command produced, to send with its reply. Thread-safe."""
        self._posted.append(message)

    def finish(self, command: Command, outcome: CommandOutcome, now: float) -> list[Message]:
        """Report that a command was carried out, and return the messages to send."""
        self._judged.note(command.id.encode())
        self._report(commanded(command, outcome))
        posted = [self._posted.popleft() for _ in range(len(self._posted))]
        reply = self._disk.attempt(lambda: self._desk.store_outcome(command, outcome), now, None)
        return [*posted, *([reply] if reply is not None else [])]

"""A command for a gate and its states, as the office stores it.

`CommandContent` is what the operator wants, `StoredCommand` its stored state. The `Command` message carries it to the
gate.

An attended command lives only while its operator's process waits for it. It is offered to its gate. The gate asks for
it with a fresh nonce, and gets the message, numbered and signed at that moment. A long command needs a second question
before the gate acts.

A command withdrawn before the office's final answer is void. That is on disk before anybody learns it. A command
withdrawn later may have been done. It is `unknown` until the gate's reply or its journal gives the result.

| state | meaning |
|---|---|
| new | stored; nothing was sent |
| sent | offered to the gate; an unattended command was sent |
| begun | the gate has it, and asks again before it does anything that cannot be undone |
| asked | the gate has asked |
| going | the office gave its final answer: the gate does it, or has done it |
| stopping | as `going`, but the operator has stopped waiting |
| done, refused, failed | the gate's reply |
| cancelled | withdrawn in time: the gate will not do it |
| unknown | withdrawn too late, and the gate has not reported the result |
| unanswered | unattended, and no reply came while it was fresh |
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from gated import wording
from gated.errors import OfficeError
from gated.office.record_pages import ENVELOPE_BYTES
from gated.protocol.command_messages import UNATTENDED, Action, Command, Enrol, ReplyFinding, SwitchModels
from gated.protocol.limits import MAX_PLAIN_BYTES

TWO_STEPS = (Enrol, SwitchModels)
"""Actions that take long. The gate asks again before it acts."""

State = Literal[
    "new", "sent", "begun", "asked", "going", "stopping", "done", "refused", "failed", "cancelled", "unknown",
    "unanswered",
]  # fmt: skip
OPEN_STATES = ("new", "sent", "begun", "asked", "going", "stopping")
"""States in which a result may still come."""


class CommandContent(msgspec.Struct, frozen=True):
    """What a command does, with its operator and the reason."""

    operator: str
    reason: str
    action: Action


@dataclass(frozen=True, slots=True)
class StoredCommand:
    """A stored command and its result."""

    id: str
    gate: str
    message_id: str
    """Id of the newest message that carries the command."""
    number: int
    at: str
    """Time of placing or, if later, of sending; UTC, ISO 8601."""
    state: State
    content: CommandContent
    challenge: str
    why: str
    findings: list[ReplyFinding]
    is_confirmed: bool = True
    """Whether the operator has confirmed the command; true if no confirmation is necessary."""
    progress: str = ""
    """The gate's newest progress report."""
    go_at: float = 0.0
    """Time of the final answer, in monotonic seconds of this machine."""

    @property
    def is_open(self) -> bool:
        """Return whether a result may still come."""
        return self.state in OPEN_STATES

    @property
    def is_attended(self) -> bool:
        """Return whether the command is valid only while its operator waits."""
        return not isinstance(self.content.action, UNATTENDED)


def check_content(gate: str, content: CommandContent) -> None:
    """Raise `OfficeError` for a command that no gate would accept."""
    command = Command(
        site="", gate=gate, id="0" * 32, number=0, at="", operator=content.operator, reason=content.reason,
        action=content.action,
    )  # fmt: skip
    try:
        length = len(encoded := msgspec.json.encode(command))
        msgspec.json.decode(encoded, type=Command)
    except msgspec.ValidationError as error:
        raise OfficeError(f"no gate accepts this command: {wording.problem(error, Command)}") from error
    if length > MAX_PLAIN_BYTES - ENVELOPE_BYTES:
        raise OfficeError(f"no gate accepts this command: its {length} bytes are too long for one message; shorten it")


def age_s(stored: StoredCommand, wall: datetime) -> float:
    """Return the seconds since a command was placed or sent."""
    return (wall - datetime.fromisoformat(stored.at)) / timedelta(seconds=1)

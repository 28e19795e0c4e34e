"""Commands from the office to a gate: the actions, the exchange before a command, and the reply after it.

Where an operator waits, the office first sends an `Offer`. The gate asks with a `ConfirmationRequest`, and gets the
`Command` with the same nonce.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from gated.protocol.limits import MAX_ACCEPTED
from gated.protocol.wire_types import CommandId, Message, Seq, Short, Subject, Text, Time

WAITS = "waits"
"""Level of a finding about a subject: the gate refused it until somebody at the gate accepts it."""


class ReleaseDoor(msgspec.Struct, frozen=True, tag="release"):
    """Release a door once, now."""

    door: Short = "main"


class AnswerCall(msgspec.Struct, frozen=True, tag="answer"):
    """Answer a visitor who pressed the call button. The gate announces the answer; "opening" also releases the door."""

    answer: Literal["opening", "wait", "nobody"]
    door: Short = ""
    """Empty: the door that is calling."""


class SwitchLockdown(msgspec.Struct, frozen=True, tag="lockdown"):
    """Switch the lockdown on or off. During a lockdown the gate admits nobody."""

    on: bool


class Suspend(msgspec.Struct, frozen=True, tag="suspend"):
    """Suspend a person from now on. Record `n` does the same."""

    subject: Short
    n: Seq


class Enrol(msgspec.Struct, frozen=True, tag="enrol"):
    """Enrol the face of a person who is known here, has consented, and stands at the gate."""

    subject: Short
    within_s: Annotated[float, Meta(ge=5, le=120)] = 60.0


class Share(msgspec.Struct, frozen=True, tag="share"):
    """Seal the templates of a person to another gate, whose keys are in the records."""

    subject: Short
    to: Short


class SwitchModels(msgspec.Struct, frozen=True, tag="models"):
    """Download a model set if it is missing, verify it, and restart with it at once."""

    set: Short


class ChangeSettings(msgspec.Struct, frozen=True, tag="settings"):
    """Replace the settings that an office may change, as TOML. Empty: return to the gate's own settings."""

    toml: Annotated[str, Meta(max_length=20_000)]


class Restart(msgspec.Struct, frozen=True, tag="restart"):
    """Restart the gate's software."""


class Diagnose(msgspec.Struct, frozen=True, tag="diagnose"):
    """Report the findings of `gated doctor`."""


class AnnounceBatch(msgspec.Struct, frozen=True, tag="batch"):
    """Announce how many people will join within how many hours. The gate's own settings limit the total."""

    people: Annotated[int, Meta(ge=1, le=100_000)]
    hours: Annotated[float, Meta(gt=0, le=72)]


class AcceptQuarantined(msgspec.Struct, frozen=True, tag="accept"):
    """Accept persons from the quarantine for too many new people. The gate's own settings limit the total."""

    subjects: Annotated[list[Subject], Meta(min_length=1, max_length=MAX_ACCEPTED)]


Action = (
    ReleaseDoor
    | AnswerCall
    | SwitchLockdown
    | Suspend
    | Enrol
    | Share
    | SwitchModels
    | ChangeSettings
    | Restart
    | Diagnose
    | AnnounceBatch
    | AcceptQuarantined
)

UNATTENDED = (Suspend, Share)
"""Actions for which no operator waits. They only do what a record also states. Their time proves that they are fresh.
"""


class Offer(Message, frozen=True, kw_only=True):
    """Announces a command for which an operator waits. The gate asks for it, and gets it with the gate's nonce."""

    command: CommandId = field(name="order")


class ConfirmationRequest(Message, frozen=True, kw_only=True):
    """Asks whether a command is still wanted: before the gate begins, and again before an irreversible step."""

    command: CommandId = field(name="order")
    nonce: Short
    """Fresh and random. The answer must repeat it, and is valid for 5 s after the request was made."""
    step: Literal["begin", "commit"] = "begin"
    says: Text = ""
    """Progress so far, for the operator. Names no person."""


class Confirmation(Message, frozen=True, kw_only=True):
    """Answers whether a command is still wanted. The office confirms a command only while its operator waits.

    Without a nonce, and with `is_wanted` false, it reports that no operator waits any more.
    """

    command: CommandId = field(name="order")
    nonce: Short = ""
    is_wanted: bool = False
    why: Text = ""


class Command(Message, frozen=True, kw_only=True):
    """A command that the gate carries out once, now."""

    id: CommandId
    """The id of the offer, if an operator waits."""
    number: Seq
    """Counts up, separately for every gate. Each number is valid once."""
    at: Time
    challenge: Short = ""
    """The challenge of the gate's `ConfirmationRequest` or `Reply`.

    With a challenge, the gate ignores the time `at`.
    """
    is_live: bool = False
    """Whether it answers the gate's `ConfirmationRequest` while the operator waits. Only `suspend` and `share` may be
    false."""
    operator: Short
    """Short name of the operator, known to the office."""
    reason: Text = ""
    action: Action


class Progress(Message, frozen=True, kw_only=True):
    """Reports the progress of a command to the waiting operator. Names no person."""

    command: CommandId = field(name="order")
    says: Text


class ReplyFinding(msgspec.Struct, frozen=True):
    """One finding of the doctor, or the result for one subject."""

    part: Short
    level: Short
    says: Text


class Reply(Message, frozen=True, kw_only=True):
    """The result of a command."""

    command: Short
    outcome: Literal["done", "refused", "failed", "challenge", "spent"]
    """spent: the number belongs to another command, or is too old. An office that has lost count must skip some."""
    why: Text = ""
    challenge: Short = ""
    """The gate's clock is not trusted: the office must send the command again with this challenge, within 5 s."""
    findings: Annotated[list[ReplyFinding], Meta(max_length=200)] = field(default_factory=list)

"""The status of a gate, and the office's answer to it, the heartbeat.

Each end proves to the other end that its message is fresh.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from gated.protocol.wire_types import Hash, Message, Seq, Short, Time, Token

LIVE, BATCH, QUARANTINE, HANDOVER, VERIFIERS, SEALED = "live", "batch", "held", "handover", "verifiers", "sealed"
TWO_KINDS = "two_kinds"
"""The functions beyond the first version, as in `Status.can` and `Heartbeat.understands`.

- LIVE: commands that are offered first.
- BATCH: `AnnounceBatch`.
- QUARANTINE: `QuarantineList` and `AcceptQuarantined`.
- HANDOVER: `RecoveryNotice`.
- VERIFIERS: cards and PINs as digests (`WireCard.digest`, `WirePin.verifier`).
- SEALED: messages that name no person are sealed as well.
- TWO_KINDS: marks of people, and rules that need two credential kinds.
"""


class JournalMark(msgspec.Struct, frozen=True):
    """The newest row of the journal, and the newest row that the office acknowledged. A signed checkpoint."""

    id: Short
    head: Seq
    acked: Seq
    dropped: Seq = 0
    """Rows that the gate deleted before the office had them."""
    hash: Hash = ""
    """Hash of row `head`. For 0, the hash of the genesis."""


class RecordMark(msgspec.Struct, frozen=True):
    """The version of the gate's records, and their digest (see `record_keys.digest_of`)."""

    version: Seq
    digest: Hash
    quarantined: Seq = 0
    """Records that look like poisoning. They have no effect until somebody at the gate accepts them."""
    newest: Seq = 0
    """The highest record number at the gate. It may be above `version`: a record that reduces access has effect at
    once, before the records in front of it arrive."""
    people: Seq = 0
    """Persons with a record that is not in quarantine."""


class GuessingLimits(msgspec.Struct, frozen=True):
    """The limits on guessing at a gate. The office computes from them the expected time to guess a PIN or a card."""

    keypads: Seq
    """Doors with a keypad."""
    readers: Seq
    """Card readers."""
    by_household: bool
    """Whether a PIN opens only after a flat number."""
    pins_day: Seq
    """Wrong PINs that one door checks in a day."""
    household_day: Seq
    """Wrong PINs after the flat number of one household that are checked in a day."""
    cards_hour: Seq
    """Unknown cards that one reader checks in an hour without a pause."""
    cards_day: Seq
    """Unknown cards that one reader checks in a day. After them every pause has the greatest length."""
    short_cards_day: Seq
    """Unknown cards in a day after which the reader pauses all cards that it identifies by only 24 bits."""
    pin_digits: Seq = 0
    """Fewest digits of a PIN at this gate."""


class Status(Message, frozen=True, kw_only=True):
    """The whole state of a gate. Names no person. On the wire it is sealed within a `StatusShell`."""

    state: Literal["online", "offline"] = "online"
    version: Short
    at: Time = ""
    """When the gate wrote this. In a last will: when the gate came online."""
    degraded: list[Short] = field(default_factory=list)
    door: Short = "unknown"
    people: Seq = 0
    templates: Seq = 0
    models: Short = ""
    """The name of the model set."""
    journal: JournalMark | None = None
    records: RecordMark | None = None
    challenge: Short = ""
    """A fresh random text. The office's next heartbeat repeats it, which proves that the heartbeat is fresh."""
    heard: Seq = 0
    """Number of the newest received heartbeat. It proves to the office that this status is fresh."""
    silent_s: Seq = 0
    """Age of the newest heartbeat with a valid challenge, in seconds. 0 if there was none."""
    can: Annotated[list[Short], Meta(max_length=32)] = field(default_factory=list)
    """Functions of this gate beyond the first version: "live" (offers), "batch", "held", "handover", "verifiers",
    "sealed", "two_kinds" (marks of people, and rules that need two credential kinds)."""
    certificate_ends: Time = ""
    """End of the certificate that this gate's link uses."""
    recovery: Short = ""
    """The recovery key that this gate knows. Empty if it knows none."""
    guessing: GuessingLimits | None = None
    """Null if this gate is too old to report it."""
    withheld: Annotated[list[Short], Meta(max_length=16)] = field(default_factory=list)
    """Data of the office that has not arrived for ten minutes: "records", "words" (heartbeats),
    "orders" (commands), "events" (their acks), "receipts" (the office asks for them again and again)."""


class StatusShell(Message, frozen=True, kw_only=True):
    """A status on the wire: readable where the broker needs it, and otherwise in `sealed`."""

    state: Literal["online", "offline"] = "online"
    version: Short = "update this office to read it"
    """Always this text. An office that does not know `sealed` shows it in place of the gate's version."""
    sealed: Token = ""
    """JWE of the whole `Status`. Empty from an older gate, whose status is readable as a whole."""


class Heartbeat(Message, frozen=True, kw_only=True):
    """The office's answer to a status. States the office's records, and proves that the office is alive."""

    challenge: Short
    """The challenge of the gate's newest status."""
    number: Seq = field(name="beat")
    """Counts up, separately for every gate."""
    at: Time
    """The time on the office's clock. With a valid challenge it ends a doubt about the gate's clock. It sets no clock.
    """
    version: Seq
    digest: Hash
    verifiers: Hash = ""
    """SHA-256, in hex, of `VerifierKeys.card` followed by `VerifierKeys.pin`, as the office has them. Empty if the
    office has none and waits for them."""
    understands: Annotated[list[Short], Meta(max_length=32)] = field(default_factory=list)
    """Functions of this office beyond the first version: "sealed"."""
    withheld: Annotated[list[Short], Meta(max_length=16)] = field(default_factory=list)
    """Data of the gate that has not arrived for ten minutes. Names as in `Status.withheld`."""

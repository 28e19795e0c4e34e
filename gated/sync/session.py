"""The gate's half of the exchange with the office. Has no socket, no event loop and no clock of its own.

`link` carries the messages; a simulation may carry them as well. Several components behind this module have disks of
their own. One that fails rests and is tried again, and the others continue.
"""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from msgspec.structs import replace

from gated.config import SyncSettings
from gated.errors import WireError
from gated.events import Event
from gated.journal.entry import parse_time, stamp
from gated.journal.journal import Journal
from gated.protocol.command_messages import Command, Confirmation, ConfirmationRequest, Offer, Progress, Reply
from gated.protocol.envelope import Outgoing, Peer
from gated.protocol.event_messages import Ack, EventBatch
from gated.protocol.face_messages import SharedFace, Vouching
from gated.protocol.flood import Repetitions
from gated.protocol.key_messages import CertificateRequest, IssuedCertificate, RecoveryNotice, VerifierKeys
from gated.protocol.limits import MAX_RECORDS
from gated.protocol.record_messages import (
    Delta,
    QuarantinedRecord,
    QuarantineList,
    RecordRequest,
    RemovalReceipt,
    SnapshotPart,
)
from gated.protocol.status_messages import (
    BATCH,
    HANDOVER,
    LIVE,
    QUARANTINE,
    SEALED,
    VERIFIERS,
    GuessingLimits,
    Heartbeat,
    RecordMark,
    Status,
)
from gated.protocol.topics import Topics
from gated.protocol.wire_types import Message
from gated.sync.command_desk import CommandDesk, CommandOutcome
from gated.sync.command_handling import CommandExchange
from gated.sync.freshness import Freshness
from gated.sync.isolation import IsolatedPart
from gated.sync.lost_functions import LostFunctions
from gated.sync.renewal import Certificates
from gated.sync.replica import Replica
from gated.sync.upload import JournalUpload
from gated.sync.withheld_records import WithheldData

log = logging.getLogger(__name__)

CERTIFICATE_CHECK_S = 60.0
"""Interval between two looks at the certificates, in seconds."""
PROOF_ROUNDS = 3
"""The office answers each status. If it has answered none within this many `status_s`, the gate does not request a
certificate.
"""
INVALID_LOG_S = 60.0
"""Invalid messages at most this many seconds apart cause a single log line."""
REMEMBERED_MESSAGES = 4096
"""Most messages that are recognised when they come again."""
LONGEST_PART = 64
"""Longest name of a part in `degraded`, in characters."""

ACK_KINDS: tuple[type[Ack | Heartbeat | IssuedCertificate | RecoveryNotice], ...] = (
    Ack,
    Heartbeat,
    IssuedCertificate,
    RecoveryNotice,
)
RECORD_KINDS: tuple[type[Delta | SnapshotPart], ...] = (Delta, SnapshotPart)
COMMAND_KINDS: tuple[type[Command | Offer | Confirmation], ...] = (Command, Offer, Confirmation)
FUNCTIONS = [LIVE, BATCH, QUARANTINE, HANDOVER, VERIFIERS, SEALED]
"""The functions that this gate announces in `Status.can`."""

OUTDATED = ["office_outdated"]
"""Added to `degraded` while the office sends readable card numbers or PINs. The gate takes none of them."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """The state of the gate that the event loop knows. Holds no personal data."""

    version: str
    degraded: Sequence[str]
    door: str
    people: int
    templates: int
    models: str
    calls: int = 0
    """Number of calls since the start. At each call the office must prove that it hears the gate."""
    guessing: GuessingLimits | None = None


@dataclass(frozen=True, slots=True)
class Handled:
    """The consequences of a message."""

    outgoing: Sequence[Outgoing] = ()
    command: Command | None = None
    """A command to carry out once."""
    confirmation: Confirmation | None = None
    """An answer about a command in progress."""
    is_invalid: bool = False
    """Whether the message was forged, invalid or replayed."""


class GateSide:
    """The gate's half of the exchange with the office. Used from one thread; `now` is monotonic seconds."""

    def __init__(
        self,
        peer: Peer,
        topics: Topics,
        settings: SyncSettings,
        *,
        open_journal: Callable[[], Journal],
        replica: Replica,
        desk: CommandDesk,
        report: Callable[[Event], None],
        now: float,
        certificates: Certificates | None = None,
        proved: Callable[[float], None] = lambda _: None,
        learn: Callable[[RecoveryNotice], str] = lambda _: "",
        recovery: str = "",
        timed: Callable[[datetime, float], None] = lambda _, __: None,
        lost: Callable[[str, str | None], None] = lambda _, __: None,
    ) -> None:
        """Take the parts and callbacks of this gate. Every callback runs on the thread that uses this object.

        `report` receives events for the journal. `certificates` are the certificates of the link, if the gate renews
        them. `proved` receives the time at which the newest echoed challenge was sent. `timed` receives the office's
        time in that echo, and the same send time. `lost` receives a part of `degraded` and the reason why it is lost,
        or None when it is back. `recovery` is the known recovery key. `learn` keeps the first recovery key, and returns
        the one known afterwards.
        """
        self._keep_recovery, self._recovery = learn, recovery
        self.certificates, self._looked_at = certificates, -math.inf
        self.topics, self.replica = topics, replica
        self._peer, self._settings, self._report = peer, settings, report
        self.client_id = peer.client_id
        self._drain = JournalUpload(open_journal, settings.ack_timeout_s)
        self._log, self._records = IsolatedPart("the log for the server"), IsolatedPart("records")
        self._renewal = IsolatedPart("the gate's certificate")
        self._freshness, self._proved, self._timed = Freshness(settings.silent_h, now), proved, timed
        self._withheld = WithheldData(now)
        self._watch = LostFunctions(self._withheld, lost)
        self._orders = CommandExchange(desk, topics, replica, self._withheld, report)
        self._repetitions = Repetitions(REMEMBERED_MESSAGES)
        self._told: tuple[RecordMark | None, list[str], int] | None = None
        self._told_at = 0.0
        self._mark: RecordMark | None = None
        self._listed, self._listed_at = RecordMark(0, ""), 0.0
        """The records' state when the list of quarantined records was last sent."""
        self._junk_at: float | None = None

    def close(self) -> None:
        """Close all files. May be called twice."""
        self._drain.close()
        self.replica.close()
        self._orders.close()

    def start_connection(self, now: float) -> None:
        """Start a new connection: forget the exchanges on the old one, and send the status at once."""
        self._told, self._listed_at = None, -math.inf
        self._withheld.start_connection(now)
        self._orders.start_connection(now)
        self._drain.restart()
        self._records.attempt(self.replica.restart, now, None)

    def last_will(self, wall_utc: datetime, vitals: Vitals) -> Outgoing:
        """Return the last will: the status `offline` that the broker publishes when the connection is lost.

        The gate also sends it itself when it leaves.
        """
        return self._outgoing(replace(self._status(vitals), state="offline", at=stamp(wall_utc)))

    def due(self, now: float, wall_utc: datetime, vitals: Vitals) -> list[Outgoing]:
        """Return the messages to send now, in this order. `wall_utc` is for people to read, and need not be trusted."""
        turn = self._freshness.silence_event(now)
        if turn is not None:
            self._report(turn)
        self._look_what_is_withheld(now)
        is_beat = self._told is None or now >= self._told_at + self._settings.status_s
        batches = self._log.attempt(lambda: self._drain.due_batches(now, is_beat=is_beat), now, list[EventBatch]())
        requests = self._records.attempt(lambda: self.replica.due(now), now, list[Message]())
        orders = self._orders.due(now)
        said = [*self._news(now, wall_utc, vitals), *self._held_back(now), *orders, *batches, *requests]
        return self._written([*said, *self._renewals(now, wall_utc)])

    def check_certificates(self, broker_ends: datetime | None, wall_utc: datetime) -> None:
        """Check which certificates end soon. Call it before and after each try to connect."""
        if self.certificates is not None:
            self.certificates.note_connection(broker_ends, wall_utc)

    @property
    def is_stale(self) -> bool:
        """Return whether the link uses certificates that were renewed, as far as a gate can know."""
        return self.certificates is not None and self.certificates.is_stale

    def handle_message(self, topic: str, payload: bytes, now: float, wall: datetime | None) -> Handled:
        """Handle a message. `wall` is the time of day (aware), None while the clock is not trusted."""
        is_known = self._repetitions.has(payload)
        self._repetitions.note(payload)
        try:
            heard = self._hear(topic, payload, now, wall, is_known=is_known)
        except WireError as error:
            if self._junk_at is None or now > self._junk_at + INVALID_LOG_S:
                log.warning("what the server is said to have sent is ignored: %s", error)
            self._junk_at = now
            return Handled(is_invalid=True)
        if not is_known and topic != self.topics.ack:
            self._withheld.note_new_message(now)
        return Handled(heard.outgoing, heard.command, heard.confirmation, is_invalid=is_known)

    def encode(self, messages: Sequence[Message]) -> list[Outgoing]:
        """Return the messages to publish about a command in progress."""
        return self._written(messages)

    def queue(self, message: Message) -> None:
        """Queue a message that a command produced, to send with its reply. Thread-safe."""
        self._orders.queue(message)

    def finish_command(self, command: Command, outcome: CommandOutcome, now: float) -> list[Outgoing]:
        """Report that a command was carried out, and return the messages to publish."""
        return self._written(self._orders.finish(command, outcome, now))

    def _hear(self, topic: str, payload: bytes, now: float, wall: datetime | None, *, is_known: bool) -> Handled:
        self.replica.wall = wall
        if topic == self.topics.ack:
            said = self._peer.read(payload, *ACK_KINDS)
            match said:
                case Ack():
                    return self._heard_ack(said, now)
                case Heartbeat():
                    return self._heard_word(said, now)
                case IssuedCertificate():
                    return self._heard_certificate(said, now)
                case RecoveryNotice():
                    self._renewal.attempt(lambda: self._learn(said), now, None)
                    return Handled()
        if topic == self.topics.record:
            records = self._peer.read(payload, *RECORD_KINDS)
            return self._recorded(records, now, is_known=is_known)
        if topic == self.topics.command:
            return self._heard_order(self._peer.read(payload, *COMMAND_KINDS), now, wall)
        raise WireError("a message on a topic where nobody speaks to us")

    def _heard_ack(self, ack: Ack, now: float) -> Handled:
        before = self._drain.acked
        self._log.attempt(lambda: self._drain.apply_ack(ack, now), now, None)
        if self._drain.acked > before:
            self._withheld.note_new_message(now)
        return Handled()

    def _learn(self, said: RecoveryNotice) -> None:
        self._recovery = self._keep_recovery(said)

    def _heard_certificate(self, said: IssuedCertificate, now: float) -> Handled:
        if (mine := self.certificates) is not None:
            self._renewal.attempt(lambda: mine.store(said, datetime.now(UTC)), now, None)
        return Handled()

    def _renewals(self, now: float, wall_utc: datetime) -> list[CertificateRequest]:
        if (mine := self.certificates) is None:
            return []
        if now >= self._looked_at + CERTIFICATE_CHECK_S:
            self._looked_at = now
            mine.check(wall_utc)
        if not self._freshness.is_proved(now, PROOF_ROUNDS * self._settings.status_s):
            return []  # the office would miss it, and a request is sent only once a day
        return self._renewal.attempt(lambda: mine.due_requests(now, wall_utc), now, list[CertificateRequest]())

    def _heard_word(self, word: Heartbeat, now: float) -> Handled:
        before = self._freshness.proved_at
        if not self._freshness.accept(word):
            return Handled()
        proved_at = self._freshness.proved_at
        self._watch.apply_heartbeat(word, has_opened=proved_at is not None)
        if proved_at is not None and proved_at != before:
            self._proved(proved_at)
            if (said := parse_time(word.at)) is not None:
                self._timed(said, proved_at)
        return self._answers(lambda: self.replica.handle_heartbeat(word, now), now)

    def _recorded(self, records: Delta | SnapshotPart, now: float, *, is_known: bool) -> Handled:
        """Handle records. Records that reduce access count even while nothing can be stored."""
        said = self._records.attempt(lambda: self.replica.handle_records(records, now), now, None)
        if said is None:
            self.replica.deny_unstored(records)
        if not is_known:
            for receipt in (message for message in said or [] if isinstance(message, RemovalReceipt)):
                self._withheld.note_receipt(receipt.subject, now)
        return Handled(self._written(said or []))

    def _answers(self, work: Callable[[], list[Message]], now: float) -> Handled:
        return Handled(self._written(self._records.attempt(work, now, list[Message]())))

    def _heard_order(self, said: Command | Offer | Confirmation, now: float, wall: datetime | None) -> Handled:
        match said:
            case Command():
                judged = self._orders.judge(said, now, wall)
                return Handled(self._written([judged])) if isinstance(judged, Reply) else Handled(command=judged)
            case Offer():
                return Handled(self._written(self._orders.answer_offer(said.command, now)))
            case Confirmation():
                self._withheld.close_question(said.command)
                return Handled(confirmation=said)

    def _look_what_is_withheld(self, now: float) -> None:
        """Update what is withheld, and report a change once."""
        if (mark := self._mark) is not None:
            target, is_other = self.replica.office_version
            self._withheld.note_records(mark.version, target, now, is_other=is_other)
        self._withheld.note_rows(self._drain.sent, self._drain.acked, now)
        self._watch.refresh(now, self._freshness.proved_at)

    def _news(self, now: float, wall_utc: datetime, vitals: Vitals) -> Iterator[Status]:
        """Yield the status with a fresh challenge if it is due.

        It is due every `status_s`, at a call, and when the records or the withheld data changed. Other changes wait for
        the heartbeat. An observer of the network must not see when the door moves or a part fails.
        """
        self._mark = self._records.attempt(lambda: self.replica.mark, now, self._mark)
        news = (self._mark, self._watch.missing, vitals.calls)
        if news == self._told and now < self._told_at + self._settings.status_s:
            return
        status = self._status(vitals)
        self._told, self._told_at = news, now
        silent_s = self._freshness.silent_s(now)
        yield replace(status, at=stamp(wall_utc), challenge=self._freshness.challenge(now), silent_s=silent_s)

    def _held_back(self, now: float) -> list[Message]:
        """Return the list of quarantined records if it is due: after a change, and every `status_s` while any exist."""
        mark = self._mark
        if mark is None or self._told is None or not (mark.quarantined or self._listed.quarantined):
            return []
        is_same = (mark.quarantined, mark.digest) == (self._listed.quarantined, self._listed.digest)
        if is_same and now < self._listed_at + self._settings.status_s:
            return []
        held = self._records.attempt(self.replica.quarantined, now, list[QuarantinedRecord]())
        self._listed, self._listed_at = mark, now
        pages = [held[at : at + MAX_RECORDS] for at in range(0, len(held), MAX_RECORDS)] or [[]]
        site, gate = self.topics.site, self.topics.gate
        return [
            QuarantineList(
                site=site, gate=gate, heard=self._freshness.heartbeat, part=part, parts=len(pages), records=page
            )
            for part, page in enumerate(pages)
        ]

    def _status(self, vitals: Vitals) -> Status:
        return Status(
            site=self.topics.site,
            gate=self.topics.gate,
            version=vitals.version,
            degraded=[part[:LONGEST_PART] for part in vitals.degraded] + OUTDATED * self.replica.is_office_outdated,
            door=vitals.door,
            people=vitals.people,
            templates=vitals.templates,
            models=vitals.models,
            journal=self._drain.mark,
            records=self._mark,
            heard=self._freshness.heartbeat,
            certificate_ends=self._certificate_ends(),
            recovery=self._recovery,
            can=FUNCTIONS,
            guessing=vitals.guessing,
            withheld=self._watch.missing,
        )

    def _certificate_ends(self) -> str:
        ends = self.certificates.ends.get("gate") if self.certificates is not None else None
        return "" if ends is None else stamp(ends)

    def _written(self, messages: Sequence[Message]) -> list[Outgoing]:
        """Return the messages signed, and sealed where required. Logs and drops a message that is too long."""
        written = []
        for message in messages:
            try:
                written.append(self._outgoing(message))
            except WireError as error:
                log.error("a message cannot be sent: %s", error)
        return written

    def _outgoing(self, message: Message) -> Outgoing:
        match message:
            case Status():
                topic = self.topics.status
            case EventBatch():
                topic = self.topics.event
            case (
                Reply()
                | RemovalReceipt()
                | SharedFace()
                | Vouching()
                | ConfirmationRequest()
                | Progress()
                | QuarantineList()
                | VerifierKeys()
            ):
                topic = self.topics.reply
            case RecordRequest() | CertificateRequest():
                topic = self.topics.request
            case _:
                raise WireError(f"{type(message).__name__}: is nothing that a gate says")
        return Outgoing(topic, self._peer.write(message), retain=isinstance(message, Status))

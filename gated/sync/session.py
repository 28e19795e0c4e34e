"""The gate's half of the exchange with the office. Has no socket, no event loop and no clock of its own.

`link` carries the messages; a simulation may carry them as well. Several components behind this module have disks of
their own. A failed component pauses and tries again; all other components continue.
"""

import logging
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from gated.config import SyncSettings
from gated.errors import WireError
from gated.events import Event
from gated.journal.entry import parse_time, stamp
from gated.journal.journal import Journal
from gated.protocol.command_messages import Command, Confirmation, Offer, Reply
from gated.protocol.envelope import Outgoing, Peer
from gated.protocol.event_messages import Ack, EventBatch
from gated.protocol.flood import Repetitions
from gated.protocol.key_messages import CertificateRequest, IssuedCertificate, RecoveryNotice
from gated.protocol.record_messages import (
    Delta,
    RemovalReceipt,
    SnapshotPart,
)
from gated.protocol.status_messages import (
    Heartbeat,
)
from gated.protocol.topics import Topics
from gated.protocol.wire_types import Message
from gated.sync.command_desk import CommandDesk, CommandOutcome
from gated.sync.command_handling import CommandExchange
from gated.sync.freshness import Freshness
from gated.sync.isolation import IsolatedPart
from gated.sync.lost_functions import LostFunctions
from gated.sync.message_writer import MessageWriter
from gated.sync.renewal import Certificates
from gated.sync.replica import Replica
from gated.sync.status_reports import StatusReports, StatusSources, Vitals
from gated.sync.upload import JournalUpload
from gated.sync.withheld_records import WithheldData

log = logging.getLogger(__name__)

CERTIFICATE_CHECK_S = 60.0
"""Interval between two checks of the certificates, in seconds."""
PROOF_ROUNDS = 3
"""The office answers each status. If it has answered none within this many `status_s`, the gate does not request a
certificate.
"""
INVALID_LOG_S = 60.0
"""Invalid messages at most this many seconds apart cause a single log line."""
REMEMBERED_MESSAGES = 4096
"""Largest number of remembered messages."""
ACK_KINDS: tuple[type[Ack | Heartbeat | IssuedCertificate | RecoveryNotice], ...] = (
    Ack,
    Heartbeat,
    IssuedCertificate,
    RecoveryNotice,
)
RECORD_KINDS: tuple[type[Delta | SnapshotPart], ...] = (Delta, SnapshotPart)
COMMAND_KINDS: tuple[type[Command | Offer | Confirmation], ...] = (Command, Offer, Confirmation)


class Handled(Struct, frozen=True):
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
        self._store_recovery_key = learn
        self.certificates, self._checked_at = certificates, -math.inf
        self.topics, self.replica = topics, replica
        self._peer, self._settings, self._report = peer, settings, report
        self.client_id = peer.client_id
        self._writer = MessageWriter(peer, topics)
        self._upload = JournalUpload(open_journal, settings.ack_timeout_s)
        self._journal, self._records = IsolatedPart("the journal for the office"), IsolatedPart("records")
        self._renewal = IsolatedPart("the gate's certificate")
        self._freshness, self._proved, self._timed = Freshness(settings.silent_h, now), proved, timed
        self._withheld = WithheldData(now)
        self._lost = LostFunctions(self._withheld, lost)
        sources = StatusSources(replica, self._records, self._upload, self._freshness, self._lost, certificates)
        self._reports = StatusReports(topics, settings.status_s, sources, recovery)
        self._commands = CommandExchange(desk, topics, replica, self._withheld, report)
        self._repetitions = Repetitions(REMEMBERED_MESSAGES)
        self._invalid_at: float | None = None

    def close(self) -> None:
        """Close all files. May be called twice."""
        self._upload.close()
        self.replica.close()
        self._commands.close()

    def start_connection(self, now: float) -> None:
        """Start a new connection: forget the exchanges on the old one, and send the status at once."""
        self._reports.restart()
        self._withheld.start_connection(now)
        self._commands.start_connection(now)
        self._upload.restart()
        self._records.attempt(self.replica.restart, now, None)

    def last_will(self, wall_utc: datetime, vitals: Vitals) -> Outgoing:
        """Return the last will: the status `offline` that the broker publishes when the connection is lost.

        The gate also sends it itself when it leaves.
        """
        status = self._reports.status(vitals)
        return self._writer.write(replace(status, state="offline", at=stamp(wall_utc)))

    def due(self, now: float, wall_utc: datetime, vitals: Vitals) -> list[Outgoing]:
        """Return the messages to send now, in this order. `wall_utc` is for people to read, and need not be trusted."""
        silence = self._freshness.silence_event(now)
        if silence is not None:
            self._report(silence)
        self._update_withheld(now)
        is_heartbeat = self._reports.is_regular(now)
        batches = self._journal.attempt(
            lambda: self._upload.due_batches(now, is_heartbeat=is_heartbeat), now, list[EventBatch]()
        )
        requests = self._records.attempt(lambda: self.replica.due(now), now, list[Message]())
        commands = self._commands.due(now)
        reports = [*self._reports.due_status(now, wall_utc, vitals), *self._reports.due_quarantine(now)]
        messages = [*reports, *commands, *batches, *requests, *self._certificate_requests(now, wall_utc)]
        return self._writer.write_all(messages)

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
            handled = self._dispatch(topic, payload, now, wall, is_known=is_known)
        except WireError as error:
            if self._invalid_at is None or now > self._invalid_at + INVALID_LOG_S:
                log.warning("ignored an invalid message with the office's name: %s", error)
            self._invalid_at = now
            return Handled(is_invalid=True)
        if not is_known and topic != self.topics.ack:
            self._withheld.note_new_message(now)
        return Handled(handled.outgoing, handled.command, handled.confirmation, is_invalid=is_known)

    def encode(self, messages: Sequence[Message]) -> list[Outgoing]:
        """Return the messages to publish about a command in progress."""
        return self._writer.write_all(messages)

    def queue(self, message: Message) -> None:
        """Queue a message that a command produced, to send with its reply. Thread-safe."""
        self._commands.queue(message)

    def finish_command(self, command: Command, outcome: CommandOutcome, now: float) -> list[Outgoing]:
        """Report that a command was carried out, and return the messages to publish."""
        return self._writer.write_all(self._commands.finish(command, outcome, now))

    def _dispatch(self, topic: str, payload: bytes, now: float, wall: datetime | None, *, is_known: bool) -> Handled:
        self.replica.wall = wall
        if topic == self.topics.ack:
            message = self._peer.read(payload, *ACK_KINDS)
            match message:
                case Ack():
                    return self._apply_ack(message, now)
                case Heartbeat():
                    return self._apply_heartbeat(message, now)
                case IssuedCertificate():
                    return self._store_certificate(message, now)
                case RecoveryNotice():
                    self._renewal.attempt(lambda: self._store_recovery(message), now, None)
                    return Handled()
        if topic == self.topics.record:
            records = self._peer.read(payload, *RECORD_KINDS)
            return self._apply_records(records, now, is_known=is_known)
        if topic == self.topics.command:
            return self._handle_command(self._peer.read(payload, *COMMAND_KINDS), now, wall)
        raise WireError("a message on a topic that the office never uses")

    def _apply_ack(self, ack: Ack, now: float) -> Handled:
        before = self._upload.acked
        self._journal.attempt(lambda: self._upload.apply_ack(ack, now), now, None)
        if self._upload.acked > before:
            self._withheld.note_new_message(now)
        return Handled()

    def _store_recovery(self, notice: RecoveryNotice) -> None:
        self._reports.recovery = self._store_recovery_key(notice)

    def _store_certificate(self, issued: IssuedCertificate, now: float) -> Handled:
        if (certificates := self.certificates) is not None:
            self._renewal.attempt(lambda: certificates.store(issued, datetime.now(UTC)), now, None)
        return Handled()

    def _certificate_requests(self, now: float, wall_utc: datetime) -> list[CertificateRequest]:
        if (certificates := self.certificates) is None:
            return []
        if now >= self._checked_at + CERTIFICATE_CHECK_S:
            self._checked_at = now
            certificates.check(wall_utc)
        if not self._freshness.is_proved(now, PROOF_ROUNDS * self._settings.status_s):
            return []  # the office would miss it, and a request is sent only once a day
        return self._renewal.attempt(lambda: certificates.due_requests(now, wall_utc), now, list[CertificateRequest]())

    def _apply_heartbeat(self, heartbeat: Heartbeat, now: float) -> Handled:
        before = self._freshness.proved_at
        if not self._freshness.accept(heartbeat):
            return Handled()
        proved_at = self._freshness.proved_at
        self._lost.apply_heartbeat(heartbeat, has_opened=proved_at is not None)
        if proved_at is not None and proved_at != before:
            self._proved(proved_at)
            if (office_time := parse_time(heartbeat.at)) is not None:
                self._timed(office_time, proved_at)
        return self._answers(lambda: self.replica.handle_heartbeat(heartbeat, now), now)

    def _apply_records(self, records: Delta | SnapshotPart, now: float, *, is_known: bool) -> Handled:
        """Handle records. Records that reduce access count even while nothing can be stored."""
        answers = self._records.attempt(lambda: self.replica.handle_records(records, now), now, None)
        if answers is None:
            self.replica.deny_unstored(records)
        if not is_known:
            for receipt in (message for message in answers or [] if isinstance(message, RemovalReceipt)):
                self._withheld.note_receipt(receipt.subject, now)
        return Handled(self._writer.write_all(answers or []))

    def _answers(self, work: Callable[[], list[Message]], now: float) -> Handled:
        return Handled(self._writer.write_all(self._records.attempt(work, now, list[Message]())))

    def _handle_command(self, message: Command | Offer | Confirmation, now: float, wall: datetime | None) -> Handled:
        match message:
            case Command():
                judged = self._commands.judge(message, now, wall)
                if isinstance(judged, Reply):
                    return Handled(self._writer.write_all([judged]))
                return Handled(command=judged)
            case Offer():
                return Handled(self._writer.write_all(self._commands.answer_offer(message.command, now)))
            case Confirmation():
                self._withheld.close_question(message.command)
                return Handled(confirmation=message)

    def _update_withheld(self, now: float) -> None:
        """Update what is withheld, and report a change once."""
        if (mark := self._reports.mark) is not None:
            target, is_other = self.replica.office_version
            self._withheld.note_records(mark.version, target, now, is_other=is_other)
        self._withheld.note_rows(self._upload.sent, self._upload.acked, now)
        self._lost.refresh(now, self._freshness.proved_at)

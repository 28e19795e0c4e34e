"""The office's protocol logic: returns the messages that answer the messages received. Has no socket, loop or clock.

`handle_message` returns the answers to a message. `due` returns the messages to publish unasked. Use it from one
thread, and from one process per gate at a time (`owns`). Other processes change people in the same database.
"""

import logging
import math
from collections.abc import Callable, Iterator
from datetime import datetime

from gated.errors import WireError
from gated.journal.entry import stamp
from gated.office.command_sending import CommandSender
from gated.office.disclosure import may_receive_people, report_outdated
from gated.office.event_effects import (
    ACCEPTING,
    apply_events,
    apply_receipt,
    apply_vouching,
    end_lost_calls,
    store_held_list,
    store_shared_face,
)
from gated.office.face_sharing import FaceRequests
from gated.office.face_store import FaceRequest
from gated.office.gate_records import DigestKeys
from gated.office.gate_session import GateSession
from gated.office.old_gates import update_mark_alarm
from gated.office.record_sending import RecordSender
from gated.office.renewals import Renewals
from gated.office.statuses import handle_status, update_withheld_alarms
from gated.office.store import Store
from gated.protocol.command_messages import ConfirmationRequest, Progress, Reply
from gated.protocol.envelope import Outgoing, Peer
from gated.protocol.event_messages import EventBatch
from gated.protocol.face_messages import SharedFace, Vouching
from gated.protocol.jose import Party
from gated.protocol.key_messages import CertificateRequest, RecoveryNotice, VerifierKeys
from gated.protocol.lag import PATIENCE_S
from gated.protocol.record_messages import QuarantineList, RecordRequest, RemovalReceipt
from gated.protocol.status_messages import HANDOVER, SEALED, Status
from gated.protocol.topics import Topics
from gated.protocol.wire_types import Message

log = logging.getLogger(__name__)

CERTIFICATES_S = 10.0
"""Interval in seconds between checks for certificates that end soon."""
SILENT_S = PATIENCE_S
"""Seconds without a fresh status after which a gate counts as silent."""
RECONNECT_S = 180.0
"""Seconds after the office's start until all gates should have connected again."""
UNMARKED_S = 180.0
"""Seconds without a signed journal head after which an online gate opens an alarm."""

KINDS: tuple[tuple[type[Message], ...], ...] = (
    (Status,),
    (EventBatch,),
    (Reply, ConfirmationRequest, Progress, QuarantineList, RemovalReceipt, SharedFace, Vouching, VerifierKeys),
    (RecordRequest, CertificateRequest),
)
"""The message types expected on each topic that a gate writes, in the order of the topics."""


class Exchange:
    """The office's end of all gate sessions. Every method may raise `BusyError` and `StateError`."""

    def __init__(
        self,
        store: Store,
        owns: Callable[[str], bool] = lambda _: True,
        waits: Callable[[str], bool] = lambda _: False,
        renewals: Renewals | None = None,
        port: int = 0,
    ) -> None:
        """Store the callbacks.

        `owns` returns whether this process serves a gate; other processes may serve other gates. `waits` returns
        whether the operator of a command waits for it at this moment. `renewals` issues new certificates to gates.
        `port`: the pairing port, where gates ask for hand-overs.
        """
        self._port = port
        self._renewals, self._certificates_checked_at = renewals, -math.inf
        self._store, self._owns = store, owns
        self._sessions: dict[str, GateSession] = {}
        self._topics: dict[str, tuple[GateSession, tuple[type[Message], ...]]] = {}
        self._records, self._face_requests = RecordSender(store), FaceRequests(store)
        self._commands = CommandSender(store, waits, self._face_requests)
        self._version, self._has_changes = -1, True
        self._rejected = 0

    @property
    def topics(self) -> set[str]:
        """Return the topics to subscribe to. `due` adds those of a new gate."""
        return set(self._topics)

    def changed(self) -> bool:
        """Return whether to call `due` before its regular time. Cheap enough to call all the time."""
        return self._has_changes or self._store.file.version() != self._version

    def handle_message(self, topic: str, payload: bytes, now: float, wall: datetime) -> list[Outgoing]:
        """Process a message and return the answers. An invalid message changes nothing."""
        if topic not in self._topics:
            return []
        session, kinds = self._topics[topic]
        if self._store.gate_table.keys_of(session.gate) != session.keys:  # retired or paired again a moment ago
            return []
        if not session.rate_limit.spend_token(now):
            return []
        try:
            message = session.peer.read(payload, *kinds)
        except WireError as error:
            self._rejected += 1
            if self._rejected == 1:
                log.warning(
                    "ignored an invalid message of %s (further ones are not logged for a while): %s",
                    session.gate,
                    error,
                )
            return []
        self._rejected, self._has_changes = 0, True
        if isinstance(message, RecordRequest):  # building a snapshot is slow; hold no write lock meanwhile
            return list(self._records.answer_request(session, message, now, wall))
        with self._store.file.writing():
            return list(self._answer(session, message, now, wall))

    def due(self, now: float, wall: datetime) -> list[Outgoing]:
        """Return the messages due now: changed records, commands and repeats. Call it every second."""
        self._version, self._has_changes = self._store.file.version(), False
        self._match_sessions(now, wall)
        self._records.drop_old_snapshots(now)
        self._store.file.erase()
        messages = [out for session in self._sessions.values() for out in self._push(session, now)]
        messages += self._commands.due(self._sessions, now, wall)
        end_lost_calls(self._store, wall)
        if self._renewals is not None and now >= self._certificates_checked_at + CERTIFICATES_S:
            self._certificates_checked_at = now
            self._renewals.watch([gate for gate in self._store.gates() if gate.gate in self._sessions], wall)
        for session in self._sessions.values():
            self._check_silence(session, now, wall)
        return messages

    # -- receiving ----------------------------------------------------------------------------------------------------

    def _answer(self, session: GateSession, message: Message, now: float, wall: datetime) -> Iterator[Outgoing]:
        match message:
            case Status():
                yield from self._handle_status(session, message, now, wall)
            case EventBatch():
                yield from self._handle_events(session, message, wall)
            case Reply():
                yield from self._commands.handle_reply(session, message, wall)
            case ConfirmationRequest():
                yield from self._commands.handle_ask(session, message, now, wall)
            case Progress():
                self._commands.handle_progress(session, message)
            case QuarantineList() | RemovalReceipt() | Vouching():
                self._store_report(session, message, wall)
            case CertificateRequest() if self._renewals is not None:
                given = self._renewals.answer(session.gate, message, wall)
                if given is not None:
                    yield session.ack(given)
            case VerifierKeys():
                yield from self._handle_verifiers(session, message, now, wall)
            case SharedFace() if self._face_requests.accept_answer(
                FaceRequest(session.gate, message.subject, message.to)
            ):
                store_shared_face(self._store, message, stamp(wall))

    def _store_report(
        self, session: GateSession, message: QuarantineList | RemovalReceipt | Vouching, wall: datetime
    ) -> None:
        match message:
            case QuarantineList():
                store_held_list(self._store, message, stamp(wall))
            case RemovalReceipt():
                apply_receipt(self._store, session.gate, message)
            case Vouching():
                apply_vouching(self._store, message)

    def _handle_status(self, session: GateSession, status: Status, now: float, wall: datetime) -> Iterator[Outgoing]:
        heartbeat, ack = handle_status(self._store, session, status, now, wall)
        if heartbeat is not None:
            yield session.heartbeat(heartbeat, status)
        if (command := report_outdated(self._store, session, status, wall)) is not None:
            yield session.command(command)
        update_mark_alarm(self._store, session, status, wall)
        if ack is not None:
            yield session.ack(ack)
        yield from self._send_recovery(session, status, wall)
        if heartbeat is not None:
            yield from self._commands.probe(session, status, now)
        if heartbeat is None or status.records is None:
            return
        yield from self._records.repeat_removals(session, status)
        yield from self._commands.repeat(session, wall)

    def _send_recovery(self, session: GateSession, status: Status, wall: datetime) -> Iterator[Outgoing]:
        """Send a gate the recovery key if it has none. Open an alarm if it has a different one."""
        known = self._store.handovers
        if HANDOVER not in status.can or not known.key or not self._port:
            return
        if not status.recovery:
            yield session.ack(
                RecoveryNotice(
                    site=session.peer.site, gate=session.gate, key=known.key, number=known.number, port=self._port
                )
            )
        elif status.recovery != known.key:
            self._store.alarms.open(session.gate, "recovery_differs", "", stamp(wall))

    def _handle_events(self, session: GateSession, batch: EventBatch, wall: datetime) -> Iterator[Outgoing]:
        change = self._store.journals.store_batch(batch)
        apply_events(self._store, session.gate, change.new, wall)
        for kind, detail in change.alarms:
            self._store.alarms.open(session.gate, kind, detail, stamp(wall))
        kinds = {event.kind for event in change.new}
        if "person_enrolled" in kinds:
            self._face_requests.rescan()
        if kinds & ACCEPTING:
            self._face_requests.retry_gate(session.gate)
        if change.ack is not None:
            yield session.ack(change.ack)

    def _handle_verifiers(
        self, session: GateSession, verifiers: VerifierKeys, now: float, wall: datetime
    ) -> Iterator[Outgoing]:
        """Store a gate's keys for card and PIN digests, and answer the request that was waiting for them."""
        if not self._store.store_digest_keys(session.gate, DigestKeys.of(verifiers)):
            self._store.alarms.open(session.gate, "verifiers_changed", "", stamp(wall))
        request, session.pending_request = session.pending_request, None
        if request is not None:
            yield from self._records.answer_request(session, request, now, wall)

    # -- sending ------------------------------------------------------------------------------------------------------

    def _match_sessions(self, now: float, wall: datetime) -> None:
        """Open and close gate sessions to match the gates and keys in the database."""
        keys = {gate: text for gate, text in self._store.gate_table.keys().items() if self._owns(gate)}
        if keys == {gate: session.keys for gate, session in self._sessions.items()}:
            return
        sessions = {}
        for gate, text in keys.items():
            known = self._sessions.get(gate)
            sessions[gate] = known if known and known.keys == text else self._open_session(gate, text, now, wall)
        self._sessions = sessions
        self._topics = {}
        for session in sessions.values():
            self._topics |= {topic: (session, kind) for topic, kind in zip(session.topics.up, KINDS, strict=True)}

    def _open_session(self, name: str, keys: str, now: float, wall: datetime) -> GateSession:
        gate, store = self._store.gate(name), self._store
        silent_s = 0.0
        if gate.seen_at is not None:
            silent_s = max(0.0, (wall - datetime.fromisoformat(gate.seen_at)).total_seconds())
        peer = Peer(store.identity, Party.parse(keys), store.site, name)
        session = GateSession(keys, peer, Topics(store.site, name), store.book.version(name), now - silent_s, now, now)
        if gate.status is not None:
            session.is_online, session.is_sealing = gate.status.state == "online", SEALED in gate.status.can
            session.has_status = True
            session.deliveries.note_applied(gate.status.records.version if gate.status.records is not None else 0)
            if may_receive_people(store, name):
                session.deliveries.note_published(session.sent_version, now)
        return session

    def _push(self, session: GateSession, now: float) -> Iterator[Outgoing]:
        """Send changed records at once."""
        version = self._store.book.version(session.gate)
        if version > session.sent_version:
            self._face_requests.rescan()
            is_listening = session.is_online or now <= session.seen_at + UNMARKED_S
            yield from self._records.push(session, version, is_listening=is_listening, now=now)

    def _check_silence(self, session: GateSession, now: float, wall: datetime) -> None:
        update_withheld_alarms(self._store, session, now, stamp(wall))
        is_unmarked = session.is_online and now > session.marked_at + UNMARKED_S
        is_silent = now > session.seen_at + SILENT_S and now > session.begun_at + RECONNECT_S
        for kind, is_present in (("silent", is_silent), ("unmarked", is_unmarked)):
            if is_present and not session.open_alarms.get(kind):
                self._store.alarms.open(session.gate, kind, "", stamp(wall))
                session.open_alarms[kind] = True

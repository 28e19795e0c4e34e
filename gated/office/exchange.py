"""The office's protocol logic: returns the messages that answer the messages received. Has no socket, loop or clock.

`hear` takes a message and returns the answers to publish. `due` returns the messages to publish unasked. Use it from
one thread, and from one process per gate at a time (`owns`). Other processes change people in the same database.
"""

import logging
import math
from collections.abc import Callable, Iterator
from datetime import datetime

from gated.errors import WireError
from gated.journal.entry import stamp
from gated.office.command_sending import CommandSender
from gated.office.disclosure import asks_anew, is_accepted, may_be_told, tell_outdated
from gated.office.event_effects import ACCEPTED, lapse, note, note_held, note_receipt, note_shared, note_vouching
from gated.office.face_sharing import FaceRequests
from gated.office.face_store import FaceRequest
from gated.office.gate_records import DigestKeys
from gated.office.gate_session import GateSession
from gated.office.record_pages import deltas, parts, urgent
from gated.office.renewals import Renewals
from gated.office.snapshots import Snapshots
from gated.office.statuses import hear_status, watch_withheld
from gated.office.store import Store
from gated.protocol.envelope import Outgoing, Peer
from gated.protocol.jose import Party
from gated.protocol.lag import PATIENCE_S
from gated.protocol.messages import (
    HANDOVER,
    SEALED,
    Ask,
    Delta,
    EventBatch,
    Gone,
    Held,
    Message,
    Progress,
    Receipt,
    Recovery,
    Renew,
    Reply,
    Request,
    Shared,
    Status,
    Verifiers,
    Vouching,
)
from gated.protocol.topics import Topics

log = logging.getLogger(__name__)

LAG = 2_000
"""A gate that misses more records than this gets a snapshot of all of them."""
REMINDERS = 20
"""Limit for removals without receipt that are repeated after each of a gate's statuses."""
WATCH_S = 10.0
"""Interval in seconds between checks for certificates that end soon."""
SILENT_S = PATIENCE_S
"""Seconds without a fresh status after which a gate counts as silent."""
SETTLES_S = 180.0
"""Seconds after the office's start until all gates should have connected again."""
UNMARKED_S = 180.0
"""Seconds without a signed journal head after which an online gate raises an alarm."""

KINDS: tuple[tuple[type[Message], ...], ...] = (
    (Status,),
    (EventBatch,),
    (Reply, Ask, Progress, Held, Receipt, Shared, Vouching, Verifiers),
    (Request, Renew),
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
        """Take the store and the callbacks.

        `owns` returns whether this process serves a gate; another may serve the others. `waits` returns whether the
        operator who placed a command waits for it at this moment. `renewals` issues new certificates to gates. `port`:
        the pairing port, where gates ask for hand-overs.
        """
        self._port = port
        self._renewals, self._ending_at = renewals, -math.inf
        self._store, self._owns = store, owns
        self._lines: dict[str, GateSession] = {}
        self._listens: dict[str, tuple[GateSession, tuple[type[Message], ...]]] = {}
        self._snapshots, self._sharing = Snapshots(), FaceRequests(store)
        self._ordering = CommandSender(store, waits, self._sharing)
        self._version, self._has_news = -1, True
        self._refused = 0

    @property
    def topics(self) -> set[str]:
        """Return the topics to subscribe to. `due` adds those of a new gate."""
        return set(self._listens)

    def changed(self) -> bool:
        """Return whether to call `due` before its regular time. Cheap enough to call all the time."""
        return self._has_news or self._store.file.version() != self._version

    def hear(self, topic: str, payload: bytes, now: float, wall: datetime) -> list[Outgoing]:
        """Process a message and return the answers. An invalid message changes nothing."""
        if topic not in self._listens:
            return []
        line, kinds = self._listens[topic]
        if self._store.gate_table.keys_of(line.gate) != line.keys:  # retired or paired again a moment ago
            return []
        if not line.heard.take(now):
            return []
        try:
            message = line.peer.read(payload, *kinds)
        except WireError as error:
            self._refused += 1
            if self._refused == 1:
                log.warning("what came from %s is passed over: %s", line.gate, error)
            return []
        self._refused, self._has_news = 0, True
        if isinstance(message, Request):  # building a snapshot is slow; hold no write lock meanwhile
            return list(self._hear_request(line, message, now, wall))
        with self._store.file.writing():
            return list(self._answer(line, message, now, wall))

    def due(self, now: float, wall: datetime) -> list[Outgoing]:
        """Return the messages due now: changed records, commands and repeats. Call it every second."""
        self._version, self._has_news = self._store.file.version(), False
        self._meet(now, wall)
        self._snapshots.forget(now)
        self._store.file.erase()
        said = [out for line in self._lines.values() for out in self._push(line, now)]
        said += self._ordering.due(self._lines, now, wall)
        lapse(self._store, wall)
        if self._renewals is not None and now >= self._ending_at + WATCH_S:
            self._ending_at = now
            self._renewals.watch([gate for gate in self._store.gates() if gate.gate in self._lines], wall)
        for line in self._lines.values():
            self._watch(line, now, wall)
        return said

    # -- receiving ----------------------------------------------------------------------------------------------------

    def _answer(self, line: GateSession, message: Message, now: float, wall: datetime) -> Iterator[Outgoing]:
        match message:
            case Status():
                yield from self._hear_status(line, message, now, wall)
            case EventBatch():
                yield from self._hear_events(line, message, wall)
            case Reply():
                yield from self._ordering.hear_reply(line, message, wall)
            case Ask():
                yield from self._ordering.hear_ask(line, message, now, wall)
            case Progress():
                self._ordering.hear_progress(line, message)
            case Held() | Receipt() | Vouching():
                self._note(line, message, wall)
            case Renew() if self._renewals is not None:
                given = self._renewals.answer(line.gate, message, wall)
                if given is not None:
                    yield line.ack(given)
            case Verifiers():
                yield from self._hear_verifiers(line, message, now, wall)
            case Shared() if self._sharing.answered(FaceRequest(line.gate, message.subject, message.to)):
                note_shared(self._store, message, stamp(wall))

    def _note(self, line: GateSession, message: Held | Receipt | Vouching, wall: datetime) -> None:
        match message:
            case Held():
                note_held(self._store, message, stamp(wall))
            case Receipt():
                note_receipt(self._store, line.gate, message)
            case Vouching():
                note_vouching(self._store, message)

    def _hear_status(self, line: GateSession, status: Status, now: float, wall: datetime) -> Iterator[Outgoing]:
        word, ack = hear_status(self._store, line, status, now, wall)
        if word is not None:
            yield line.answer(word, status)
        if (told := tell_outdated(self._store, line, status, wall)) is not None:
            yield line.command(told)
        if ack is not None:
            yield line.ack(ack)
        yield from self._tell_recovery(line, status, wall)
        if word is not None:
            yield from self._ordering.probe(line, status, now)
        if word is None or status.records is None:
            return
        since = self._store.gate(line.gate).since
        for gone in self._store.book.removals_without_receipt(line.gate, since, status.records.version, REMINDERS):
            said = Delta(site=line.peer.site, gate=line.gate, after=gone.n - 1, upto=gone.n, records=[gone])
            yield line.record(said)
        yield from self._ordering.repeat(line, wall)

    def _tell_recovery(self, line: GateSession, status: Status, wall: datetime) -> Iterator[Outgoing]:
        """Send a gate the recovery key if it has none. Raise an alarm if it has a different one."""
        known = self._store.handovers
        if HANDOVER not in status.can or not known.key or not self._port:
            return
        if not status.recovery:
            said = Recovery(site=line.peer.site, gate=line.gate, key=known.key, number=known.number, port=self._port)
            yield line.ack(said)
        elif status.recovery != known.key:
            self._store.alarms.sound(line.gate, "recovery_differs", "", stamp(wall))

    def _hear_events(self, line: GateSession, batch: EventBatch, wall: datetime) -> Iterator[Outgoing]:
        taken = self._store.journals.take(batch)
        note(self._store, line.gate, taken.new, wall)
        for kind, detail in taken.alarms:
            self._store.alarms.sound(line.gate, kind, detail, stamp(wall))
        if any(event.kind == "person_enrolled" for event in taken.new):
            self._sharing.look()
        if any(event.kind in ACCEPTED for event in taken.new):
            self._sharing.accepted(line.gate)
        if taken.ack is not None:
            yield line.ack(taken.ack)

    def _hear_verifiers(self, line: GateSession, said: Verifiers, now: float, wall: datetime) -> Iterator[Outgoing]:
        """Store a gate's keys for card and PIN digests, and answer the request that was waiting for them."""
        if not self._store.store_digest_keys(line.gate, DigestKeys.of(said)):
            self._store.alarms.sound(line.gate, "verifiers_changed", "", stamp(wall))
        asked, line.asked = line.asked, None
        if asked is not None:
            yield from self._hear_request(line, asked, now, wall)

    def _hear_request(self, line: GateSession, request: Request, now: float, wall: datetime) -> Iterator[Outgoing]:
        book, gate = self._store.book, line.gate
        if not may_be_told(self._store, gate):
            line.asked = request
            yield from self._take_away(line, request.after)
            return
        version = line.sent = book.version(gate)
        is_going_on = request.is_snapshot and self._snapshots.has(gate, request.snapshot)
        if not is_going_on and asks_anew(self._store, gate, request, LAG) and not is_accepted(line, wall):
            self._store.alarms.sound(gate, "asked_for_all", "", stamp(wall))
        if request.after and not request.is_snapshot:
            missing = book.after(gate, request.after)
            if len(missing) <= LAG:
                said = deltas(line.peer.site, gate, request.after, max(request.after, version), missing)
                yield from map(line.record, said)
                return

        def build() -> list[bytes]:
            there = [record for record in book.after(gate, 0) if not isinstance(record, Gone)]
            said = parts(line.peer.site, gate, version, book.digest(gate), there)
            return [line.peer.write(part) for part in said]

        for payload in self._snapshots.parts(gate, request, now, version, build):
            yield Outgoing(line.topics.record, payload)

    def _take_away(self, line: GateSession, after: int) -> Iterator[Outgoing]:
        """Send only removals and suspensions, to a gate that may not be told more."""
        missing = self._store.book.after(line.gate, after)
        yield from map(line.record, urgent(line.peer.site, line.gate, missing))

    # -- sending ------------------------------------------------------------------------------------------------------

    def _meet(self, now: float, wall: datetime) -> None:
        """Open and close gate sessions to match the gates and keys in the database."""
        keys = {gate: text for gate, text in self._store.gate_table.keys().items() if self._owns(gate)}
        if keys == {gate: line.keys for gate, line in self._lines.items()}:
            return
        lines = {}
        for gate, text in keys.items():
            known = self._lines.get(gate)
            lines[gate] = known if known and known.keys == text else self._line(gate, text, now, wall)
        self._lines = lines
        self._listens = {}
        for line in lines.values():
            self._listens |= {topic: (line, kind) for topic, kind in zip(line.topics.up, KINDS, strict=True)}

    def _line(self, name: str, keys: str, now: float, wall: datetime) -> GateSession:
        gate, store = self._store.gate(name), self._store
        silent_s = 0.0
        if gate.seen_at is not None:
            silent_s = max(0.0, (wall - datetime.fromisoformat(gate.seen_at)).total_seconds())
        peer = Peer(store.identity, Party.parse(keys), store.site, name)
        line = GateSession(keys, peer, Topics(store.site, name), store.book.version(name), now - silent_s, now, now)
        if gate.status is not None:
            line.is_online, line.is_sealing = gate.status.state == "online", SEALED in gate.status.can
            line.is_heard = True
            line.withholding.has(gate.status.records.version if gate.status.records is not None else 0)
            if may_be_told(store, name):
                line.withholding.given(line.sent, now)
        return line

    def _push(self, line: GateSession, now: float) -> Iterator[Outgoing]:
        """Send changed records at once. A gate that misses them asks after the next heartbeat."""
        book, gate, sent = self._store.book, line.gate, line.sent
        version = line.sent = book.version(gate)
        if version <= sent:
            return
        self._sharing.look()
        is_to_be_told = may_be_told(self._store, gate)
        if line.is_heard and is_to_be_told:
            line.withholding.given(version, now)
        if not line.is_online and now > line.seen_at + UNMARKED_S:
            return
        if not is_to_be_told:
            yield from self._take_away(line, sent)
            return
        missing = book.after(gate, sent)
        said = deltas(line.peer.site, gate, sent, version, missing)
        if len(said) > 1:  # removals must not wait behind other records
            said = urgent(line.peer.site, gate, missing) + (said if len(missing) <= LAG else [])
        yield from map(line.record, said)

    def _watch(self, line: GateSession, now: float, wall: datetime) -> None:
        watch_withheld(self._store, line, now, stamp(wall))
        is_unmarked = line.is_online and now > line.marked_at + UNMARKED_S
        is_silent = now > line.seen_at + SILENT_S and now > line.begun_at + SETTLES_S
        for kind, stands in (("silent", is_silent), ("unmarked", is_unmarked)):
            if stands and not line.alarmed.get(kind):
                self._store.alarms.sound(line.gate, kind, "", stamp(wall))
                line.alarmed[kind] = True

"""The office's side of every conversation: what it says to what it hears. No socket, no loop, no clock of its own.

`hear` is given what arrives and gives what is to be published; `due` gives what is to be published of itself. One
thread, and one process for a gate at a time (`owns`); people are changed by other processes, on the same database.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime

from gated.errors import WireError
from gated.journal.entry import stamp
from gated.office.faces import Wanted
from gated.office.facts import note, note_receipt, note_shared
from gated.office.line import Line
from gated.office.orders import OTHER_S, Placed, age_s
from gated.office.pages import deltas, parts, urgent
from gated.office.sharing import Sharing
from gated.office.snapshots import Snapshots
from gated.office.statuses import SKIPPED, hear_status
from gated.office.store import Store
from gated.sync.jose import Party
from gated.sync.messages import (
    Delta,
    EventBatch,
    Gone,
    Message,
    Receipt,
    Release,
    Reply,
    Request,
    Share,
    Shared,
    Status,
)
from gated.sync.topics import Topics
from gated.sync.wire import Outgoing, Peer

log = logging.getLogger(__name__)

OFFICE = "office"
"""Who orders what nobody ordered."""
LAG = 2_000
"""A gate that misses more records than this gets all of them, in a snapshot."""
REMINDERS = 20
"""So many removals that a gate has not answered are said again with each of its statuses."""
AGAIN_S = 5.0
"""A command that was not answered for so long is said again."""
CHALLENGED_S = 30.0
"""So long after a command its gate may still ask for it anew."""
SILENT_S = 24 * 3600.0
UNMARKED_S = 180.0

KINDS: tuple[tuple[type[Message], ...], ...] = ((Status,), (EventBatch,), (Reply, Receipt, Shared), (Request,))
"""What is expected on each of the topics that a gate writes, in their order."""


class OfficeSide:
    """Everything the office says and does. Every method may raise `BusyError` and `StateError`."""

    def __init__(self, store: Store, owns: Callable[[str], bool] = lambda _: True) -> None:
        """`owns` says for which gates it speaks; another process may speak for the others."""
        self._store, self._owns = store, owns
        self._lines: dict[str, Line] = {}
        self._listens: dict[str, tuple[Line, tuple[type[Message], ...]]] = {}
        self._snapshots, self._sharing = Snapshots(), Sharing(store)
        self._version, self._has_news = -1, True
        self._refused = 0

    @property
    def topics(self) -> set[str]:
        """What it listens to; more of them when a gate joins, after the next `due`."""
        return set(self._listens)

    def changed(self) -> bool:
        """Whether there is a reason to ask what is `due` before its time; cheap enough to ask all the time."""
        return self._has_news or self._store.file.version() != self._version

    def hear(self, topic: str, payload: bytes, now: float, wall: datetime) -> list[Outgoing]:
        """Something arrived; what is to be said to it. Whatever is not what was agreed changes nothing."""
        if topic not in self._listens:
            return []
        line, kinds = self._listens[topic]
        try:
            message = line.peer.read(payload, *kinds)
        except WireError as error:
            self._refused += 1
            if self._refused == 1:
                log.warning("what came from %s is passed over: %s", line.gate, error)
            return []
        self._refused, self._has_news = 0, True
        if isinstance(message, Request):  # a snapshot takes a while to make, and nobody need wait for it
            return list(self._hear_request(line, message, now))
        with self._store.file.writing():
            return list(self._answer(line, message, now, wall))

    def due(self, now: float, wall: datetime) -> list[Outgoing]:
        """What is to be said of itself: records that have changed, orders, what nobody answered. Ask every second."""
        self._version, self._has_news = self._store.file.version(), False
        self._meet(now, wall)
        self._snapshots.forget(now)
        self._store.file.erase()
        said = [out for line in self._lines.values() for out in self._push(line, now)]
        said += self._order(now, wall)
        for line in self._lines.values():
            self._watch(line, now, wall)
        return said

    # -- hearing ------------------------------------------------------------------------------------------------------

    def _answer(self, line: Line, message: Message, now: float, wall: datetime) -> Iterator[Outgoing]:
        match message:
            case Status():
                yield from self._hear_status(line, message, now, wall)
            case EventBatch():
                yield from self._hear_events(line, message, wall)
            case Reply():
                yield from self._hear_reply(line, message, wall)
            case Receipt():
                note_receipt(self._store, line.gate, message)
            case Shared() if self._sharing.answered(Wanted(line.gate, message.subject, message.to)):
                note_shared(self._store, message, stamp(wall))

    def _hear_status(self, line: Line, status: Status, now: float, wall: datetime) -> Iterator[Outgoing]:
        word, ack = hear_status(self._store, line, status, now, wall)
        if word is not None:
            yield line.ack(word)
        if ack is not None:
            yield line.ack(ack)
        if word is None or status.records is None:
            return
        since = self._store.gate(line.gate).since
        for gone in self._store.book.unanswered(line.gate, since, status.records.version, REMINDERS):
            said = Delta(site=line.peer.site, gate=line.gate, after=gone.n - 1, upto=gone.n, records=[gone])
            yield line.record(said)
        for placed in self._store.orders.open():
            if placed.gate == line.gate and _is_to_be_repeated(placed, wall):
                yield line.command(self._store.orders.command(line.peer.site, placed))

    def _hear_events(self, line: Line, batch: EventBatch, wall: datetime) -> Iterator[Outgoing]:
        taken = self._store.journals.take(batch)
        note(self._store, line.gate, taken.new)
        for kind, detail in taken.alarms:
            self._store.alarms.sound(line.gate, kind, detail, stamp(wall))
        if any(event.kind == "person_enrolled" for event in taken.new):
            self._sharing.look()
        if taken.ack is not None:
            yield line.ack(taken.ack)

    def _hear_request(self, line: Line, request: Request, now: float) -> Iterator[Outgoing]:
        book, gate = self._store.book, line.gate
        version = line.sent = book.version(gate)
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

    def _hear_reply(self, line: Line, reply: Reply, wall: datetime) -> Iterator[Outgoing]:
        orders = self._store.orders
        placed = orders.of(reply.command)
        if placed is None or placed.gate != line.gate or placed.state not in ("sent", "unanswered"):
            return
        if reply.outcome == "spent":
            self._store.roll.number(line.gate, SKIPPED)
            if placed.is_open and age_s(placed, wall) <= placed.good_s:
                yield line.command(orders.send(line.peer.site, placed, wall))
        elif reply.outcome != "challenge":
            orders.settle(placed, reply.outcome, reply.why, reply.findings)
            if reply.outcome == "done" and isinstance(placed.order.action, Share):
                self._sharing.lost(Wanted(line.gate, placed.order.action.subject, placed.order.action.to))
        elif placed.challenge or not reply.challenge:
            orders.settle(placed, "failed", "its clock is not trusted, and the way to it too slow to do without")
        elif placed.is_open and age_s(placed, wall) <= CHALLENGED_S:
            yield line.command(orders.send(line.peer.site, placed, wall, reply.challenge))

    # -- of itself ----------------------------------------------------------------------------------------------------

    def _meet(self, now: float, wall: datetime) -> None:
        """Follow which gates there are, and which keys they have."""
        keys = {gate: text for gate, text in self._store.roll.keys().items() if self._owns(gate)}
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

    def _line(self, name: str, keys: str, now: float, wall: datetime) -> Line:
        gate, store = self._store.gate(name), self._store
        silent_s = 0.0
        if gate.seen_at is not None:
            silent_s = max(0.0, (wall - datetime.fromisoformat(gate.seen_at)).total_seconds())
        peer = Peer(store.identity, Party.parse(keys), store.site, name)
        is_online = gate.status is not None and gate.status.state == "online"
        return Line(keys, peer, Topics(store.site, name), store.book.version(name), now - silent_s, now, is_online)

    def _push(self, line: Line, now: float) -> Iterator[Outgoing]:
        """Tell what has changed, at once; a gate that misses it asks when it has heard the next word."""
        book, gate, sent = self._store.book, line.gate, line.sent
        version = line.sent = book.version(gate)
        if version <= sent:
            return
        self._sharing.look()
        if not line.is_online and now > line.seen_at + UNMARKED_S:
            return
        missing = book.after(gate, sent)
        said = deltas(line.peer.site, gate, sent, version, missing)
        if len(said) > 1:  # what takes away must not wait behind what gives
            said = urgent(line.peer.site, gate, missing) + (said if len(missing) <= LAG else [])
        yield from map(line.record, said)

    def _order(self, now: float, wall: datetime) -> Iterator[Outgoing]:
        orders = self._store.orders
        orders.expire(wall)
        for wanted in self._sharing.due([gate for gate, line in self._lines.items() if line.is_online], now):
            orders.place(wanted.gate, Share(wanted.subject, wanted.to), OFFICE, "", wall)
        for placed in orders.open():
            if placed.state == "new" and placed.gate in self._lines:
                line = self._lines[placed.gate]
                yield line.command(orders.send(line.peer.site, placed, wall))

    def _watch(self, line: Line, now: float, wall: datetime) -> None:
        is_unmarked = line.is_online and now > line.marked_at + UNMARKED_S
        for kind, stands in (("silent", now > line.seen_at + SILENT_S), ("unmarked", is_unmarked)):
            if stands and not line.alarmed.get(kind):
                self._store.alarms.sound(line.gate, kind, "", stamp(wall))
                line.alarmed[kind] = True


def _is_to_be_repeated(placed: Placed, wall: datetime) -> bool:
    """A release is said once: whoever stands there has gone on. A challenge is good for 5 s."""
    if placed.state != "sent" or placed.challenge or isinstance(placed.order.action, Release):
        return False
    return AGAIN_S <= age_s(placed, wall) < OTHER_S

"""All that a gate says to its office, and does about what it hears: no socket, no event loop, no clock of its own.

`link` carries it over the wire; a simulation may as well. The parts behind it have disks of their own: one that fails
rests and is tried again, and the others go on.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from msgspec.structs import replace

from gated.config import SyncSettings
from gated.errors import BusyError, StateError, WireError
from gated.events import Event
from gated.journal.entry import stamp
from gated.journal.journal import Journal
from gated.sync.commands import CommandDesk, Outcome, commanded
from gated.sync.drain import Drain
from gated.sync.flood import Repetitions
from gated.sync.freshness import Freshness
from gated.sync.messages import (
    Ack,
    Command,
    Delta,
    EventBatch,
    Message,
    Receipt,
    RecordMark,
    Reply,
    Request,
    Shared,
    SnapshotPart,
    Status,
    Word,
)
from gated.sync.replica import Replica
from gated.sync.topics import Topics
from gated.sync.wire import Outgoing, Peer

log = logging.getLogger(__name__)

T = TypeVar("T")

REST_S = 2.0
"""A part whose disk fails is left alone for so long."""
JUNK_ROW_S = 60.0
"""Junk that comes within so long of the last is of the same row, and not worth another line."""
REMEMBERED = 4096
"""So many messages are recognised when they come again."""
LONGEST_PART = 64

ACKS: tuple[type[Ack | Word], ...] = (Ack, Word)
RECORDS: tuple[type[Delta | SnapshotPart], ...] = (Delta, SnapshotPart)


@dataclass(frozen=True, slots=True)
class Vitals:
    """What the event loop knows of the gate, about nobody."""

    version: str
    degraded: Sequence[str]
    door: str
    people: int
    templates: int
    models: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What is to be done because of a message."""

    out: Sequence[Outgoing] = ()
    act: Command | None = None
    """To be carried out, once."""
    is_junk: bool = False
    """It said nothing: forged, garbage, or a replay."""


class GateSide:
    """A gate's half of the conversation. Used from one thread; `now` is monotonic seconds."""

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
    ) -> None:
        """`report` is given facts for the journal, on the thread that this is used from."""
        self.topics, self.replica = topics, replica
        self._peer, self._settings, self._report = peer, settings, report
        self._drain, self._desk = Drain(open_journal, settings.ack_timeout_s), desk
        self._log, self._records, self._orders = _Part("the log for the server"), _Part("records"), _Part("commands")
        self._freshness = Freshness(settings.silent_h, now)
        self._repetitions, self._judged = Repetitions(REMEMBERED), Repetitions(REMEMBERED)
        self._posted: deque[Message] = deque()
        self._told: Status | None = None
        self._told_at = 0.0
        self._mark: RecordMark | None = None
        self._junk_at: float | None = None

    def close(self) -> None:
        """Give all files back. May be called twice."""
        self._drain.close()
        self.replica.close()
        self._desk.close()

    def connected(self, now: float) -> None:
        """A new connection: what was under way on the old one is forgotten, and the status is told at once."""
        self._told = None
        self._drain.restart()
        self._records.attempt(self.replica.restart, now, None)

    def will(self, wall_utc: datetime, vitals: Vitals) -> Outgoing:
        """What the broker is to say when we are gone without a word; also our own last one."""
        return self._outgoing(replace(self._status(vitals), state="offline", at=stamp(wall_utc)))

    goodbye = will

    def due(self, now: float, wall_utc: datetime, vitals: Vitals) -> list[Outgoing]:
        """All that is to be said now, in this order. `wall_utc` is for people to read, and need not be trusted."""
        turn = self._freshness.turn(now)
        if turn is not None:
            self._report(turn)
        batches = self._log.attempt(lambda: self._drain.due(now), now, list[EventBatch]())
        requests = self._records.attempt(lambda: self.replica.due(now), now, list[Message]())
        return self._written([*self._news(now, wall_utc, vitals), *batches, *requests])

    def hear(self, topic: str, payload: bytes, now: float, wall: datetime | None) -> Heard:
        """Deal with what has arrived. `wall` is the time of day (aware), None while it is not trusted."""
        is_known = self._repetitions.has(payload)
        try:
            heard = self._hear(topic, payload, now, wall)
        except WireError as error:
            if self._junk_at is None or now > self._junk_at + JUNK_ROW_S:
                log.warning("what the server is said to have sent is ignored: %s", error)
            self._junk_at = now
            return Heard(is_junk=True)
        return Heard(heard.out, heard.act, is_junk=is_known)

    def post(self, message: Message) -> None:
        """What an order brought forth, to be said with its answer. From any thread."""
        self._posted.append(message)

    def settle(self, command: Command, outcome: Outcome, now: float) -> list[Outgoing]:
        """A command was carried out: what is to be said, and it is written down."""
        self._judged.has(command.id.encode())
        self._report(commanded(command, outcome))
        posted = [self._posted.popleft() for _ in range(len(self._posted))]
        reply = self._orders.attempt(lambda: self._desk.settle(command, outcome), now, None)
        return self._written([*posted, *([reply] if reply is not None else [])])

    def _hear(self, topic: str, payload: bytes, now: float, wall: datetime | None) -> Heard:
        if topic == self.topics.ack:
            said = self._peer.read(payload, *ACKS)
            return self._heard_ack(said, now) if isinstance(said, Ack) else self._heard_word(said, now)
        if topic == self.topics.record:
            records = self._peer.read(payload, *RECORDS)
            return self._answers(lambda: self.replica.hear(records, now), now)
        if topic == self.topics.command:
            return self._ordered(self._peer.read(payload, Command), now, wall)
        raise WireError("a message on a topic where nobody speaks to us")

    def _heard_ack(self, ack: Ack, now: float) -> Heard:
        self._log.attempt(lambda: self._drain.settle(ack, now), now, None)
        return Heard()

    def _heard_word(self, word: Word, now: float) -> Heard:
        if not self._freshness.hear(word):
            return Heard()
        return self._answers(lambda: self.replica.hear_word(word, now), now)

    def _answers(self, work: Callable[[], list[Message]], now: float) -> Heard:
        return Heard(self._written(self._records.attempt(work, now, list[Message]())))

    def _ordered(self, command: Command, now: float, wall: datetime | None) -> Heard:
        """Have the desk judge a command; what it refuses is written down as well, once."""
        answer = self._orders.attempt(lambda: self._desk.hear(command, now, wall), now, None)
        if isinstance(answer, Command):
            return Heard(act=answer)
        if answer is None:
            return Heard()
        if answer.outcome in ("refused", "failed") and not self._judged.has(command.id.encode()):
            self._report(commanded(command, answer))
        return Heard(self._written([answer]))

    def _news(self, now: float, wall_utc: datetime, vitals: Vitals) -> Iterator[Status]:
        """The status, when it says something new or nothing was said for `status_s`: each time with a challenge."""
        self._mark = self._records.attempt(lambda: self.replica.mark, now, self._mark)
        status = self._status(vitals)
        if self._told is not None and _is_same(status, self._told) and now < self._told_at + self._settings.status_s:
            return
        self._told, self._told_at = status, now
        silent_s = self._freshness.silent_s(now)
        yield replace(status, at=stamp(wall_utc), challenge=self._freshness.challenge(now), silent_s=silent_s)

    def _status(self, vitals: Vitals) -> Status:
        return Status(
            site=self.topics.site,
            gate=self.topics.gate,
            version=vitals.version,
            degraded=[part[:LONGEST_PART] for part in vitals.degraded],
            door=vitals.door,
            people=vitals.people,
            templates=vitals.templates,
            models=vitals.models,
            journal=self._drain.mark,
            records=self._mark,
            heard=self._freshness.beat,
        )

    def _written(self, messages: Sequence[Message]) -> list[Outgoing]:
        """Signed, and sealed where they must be. One that is too long for the wire is not sent, and said so."""
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
            case Reply() | Receipt() | Shared():
                topic = self.topics.reply
            case Request():
                topic = self.topics.request
            case _:
                raise WireError(f"{type(message).__name__}: is nothing that a gate says")
        return Outgoing(topic, self._peer.write(message), retain=isinstance(message, Status))


class _Part:
    """Something with a disk of its own: while that fails it rests, which is said once, and is tried again."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rests_until: float | None = None

    def attempt(self, work: Callable[[], T], now: float, otherwise: T) -> T:
        """What `work` gives, or `otherwise` while it cannot be done."""
        if self._rests_until is not None and now < self._rests_until:
            return otherwise
        try:
            done = work()
        except (StateError, BusyError) as error:
            if self._rests_until is None:
                log.error("%s cannot go on, trying again and again: %s", self._name, error)
            self._rests_until = now + REST_S
            return otherwise
        if self._rests_until is not None:
            log.info("%s: it goes on", self._name)
        self._rests_until = None
        return done


def _is_same(status: Status, told: Status) -> bool:
    """Whether it says nothing new: how far the journal is, and what was heard, is told when its time comes."""
    return replace(status, journal=told.journal, heard=told.heard) == told

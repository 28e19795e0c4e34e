"""A fake office for one gate: the state that it holds, and its connection to a real broker."""

import asyncio
import contextlib
from datetime import UTC, datetime

from gated.errors import WireError
from gated.journal.chain import genesis
from gated.office.mqtt_client import MqttError
from gated.protocol.command_messages import Command, Confirmation, ConfirmationRequest, Offer, Progress, Reply
from gated.protocol.event_messages import Ack, EventBatch, first_altered
from gated.protocol.face_messages import SharedFace
from gated.protocol.record_keys import digest_of
from gated.protocol.record_messages import QuarantineList, RecordRequest, RemovalReceipt
from gated.protocol.status_messages import Heartbeat, Status
from tests.fakes.link_keys import GATE, SITE, TOPICS, until


class FakeOffice:
    """The office's state for one gate, as gated/protocol/README.md requires: the rows it holds, and its heartbeat."""

    def __init__(self):
        self.beat, self.version, self.digest = 0, 0, digest_of([])
        self.forget()

    def forget(self, held=0):
        """Forget all rows after row `held`, as after a restored backup."""
        self.events = {seq: e for seq, e in getattr(self, "events", {}).items() if seq <= held}
        self.journal = self.journal if self.events else None
        self.lost = {seq for seq in getattr(self, "lost", ()) if seq < max(self.events, default=0)}
        self.altered, self.news = [], {}

    @property
    def last(self):
        return next(reversed(self.events), 0)

    def ack(self):
        """Return the ack of the rows held; None if the office knows no journal."""
        if self.journal is None:
            return None
        last = self.events[self.last].hash if self.events else genesis(SITE, GATE, self.journal)
        return Ack(site=SITE, gate=GATE, journal=self.journal, seq=self.last, hash=last)

    def take(self, batch):
        """Store the new rows of a batch and return an ack.

        Keep a batch sent ahead of its turn apart, and return None.
        """
        if batch.journal != self.journal:
            self.events, self.lost, self.news, self.journal = {}, set(), {}, batch.journal
        if batch.is_ahead:
            self.news |= {e.seq: e for e in batch.events}
            return None
        if batch.after <= self.last:
            self.altered += [seq for seq in [first_altered(batch, batch.prev)] if seq is not None]
            self.lost |= set(range(self.last + 1, batch.first))
            self.events |= {e.seq: e for e in batch.events if e.seq > self.last}
        return self.ack()

    def see(self, status):
        """Answer a status with a heartbeat; add an ack if the gate believes that the office holds more than it does."""
        mark = status.journal
        if mark is not None and self.journal != mark.id:
            self.events, self.lost, self.journal = {}, set(), mark.id
        lost = mark is not None and mark.acked > self.last
        return [self.word(status.challenge), *([self.ack()] if lost else [])]

    def word(self, challenge):
        """Return the next heartbeat (`Heartbeat`), with a higher beat number."""
        self.beat += 1
        at = "2027-01-15T12:00:00Z"
        about = {"version": self.version, "digest": self.digest}
        return Heartbeat(site=SITE, gate=GATE, challenge=challenge, number=self.beat, at=at, **about)


class Receiver:
    """An office that subscribes, stores, and answers each batch and status. It reconnects forever."""

    def __init__(self, broker, server, peer):
        self.broker, self.server, self.peer = broker, server, peer
        self.statuses, self.batches, self.replies, self.requests, self.refused = [], 0, [], [], 0
        self.waiting, self.asked, self.told = {}, [], []
        self.gives_up_at = None
        self.is_up = asyncio.Event()
        self.is_acking = True
        self.client = None

    async def run(self):
        while True:
            with contextlib.suppress(MqttError):
                async with self.broker.client("office") as self.client:
                    await self.client.subscribe([(topic, 1) for topic in TOPICS.up])
                    self.is_up.set()
                    async for message in self.client.messages:
                        await self._take(message.topic.value, message.payload)
            self.is_up.clear()
            await asyncio.sleep(0.05)

    async def _take(self, topic, payload):
        try:
            answers = self._answers(topic, payload)
        except WireError:
            self.refused += 1
            return
        for answer in answers:
            if answer is not None and self.is_acking:
                await self.publish(answer)

    def _answers(self, topic, payload):
        if topic == TOPICS.status:
            self.statuses.append(self.peer.read(payload, Status))
            return self.server.see(self.statuses[-1])
        if topic == TOPICS.event:
            batch = self.peer.read(payload, EventBatch)
            self.batches += not batch.is_ahead
            return [self.server.take(batch)]
        if topic == TOPICS.request:
            self.requests.append(self.peer.read(payload, RecordRequest))
        else:
            said = self.peer.read(
                payload, Reply, ConfirmationRequest, Progress, QuarantineList, RemovalReceipt, SharedFace
            )
            if isinstance(said, ConfirmationRequest):
                return self._asked(said)
            (self.replies if isinstance(said, Reply | RemovalReceipt | SharedFace) else self.told).append(said)
        return []

    async def order(self, number, action):
        """Offer a command. An operator waits for it as long as `waiting` contains it."""
        order = f"{number:032x}"
        self.waiting[order] = (number, action)
        await self.publish(Offer(site=SITE, gate=GATE, command=order))

    def _asked(self, ask):
        about = {"site": SITE, "gate": GATE}
        self.asked.append(ask)
        if ask.step == self.gives_up_at:
            self.waiting.clear()
        if ask.command not in self.waiting:
            return [Confirmation(**about, command=ask.command, nonce=ask.nonce)]
        if ask.step == "commit":
            return [Confirmation(**about, command=ask.command, nonce=ask.nonce, is_wanted=True)]
        number, action = self.waiting[ask.command]
        who = {"operator": "li", "reason": "a drill", "at": datetime.now(UTC).isoformat()}
        return [
            Command(**about, id=ask.command, number=number, challenge=ask.nonce, is_live=True, action=action, **who)
        ]

    async def publish(self, message):
        """Publish a message of the office on its topic."""
        topics = dict.fromkeys((Command, Offer, Confirmation), TOPICS.command) | {
            Ack: TOPICS.ack,
            Heartbeat: TOPICS.ack,
        }
        topic = topics.get(type(message), TOPICS.record)
        await self.client.publish(topic, self.peer.write(message), qos=1)

    until = staticmethod(until)

    @property
    def states(self):
        return [status.state for status in self.statuses]

"""A fake gate at its end of the link: real journal and link, fake records."""

import asyncio
import contextlib
import functools
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from gated.events import DoorReleased
from gated.journal.journal import Journal
from gated.protocol.record_keys import digest_of
from gated.protocol.status_messages import RecordMark
from gated.sync.command_desk import CommandDesk, CommandOutcome
from gated.sync.office_link import run_link
from gated.sync.session import GateSide
from gated.sync.status_reports import Vitals
from tests.fakes.link_keys import GATE, GATE_PEER, SITE, TOPICS


class Records:
    """Fake records of a gate, with only what the link needs: a mark, and a list of received messages."""

    def __init__(self):
        self.mark = RecordMark(0, digest_of([]))
        self.heard, self.words, self.restarts, self.is_closed = [], [], 0, False
        self.answers, self.requests, self.held, self.revoked = [], [], [], []
        self.trouble, self.office_version = None, (0, False)
        self.is_office_outdated = False

    def close(self):
        self.is_closed = True

    def restart(self):
        self.restarts += 1

    def handle_records(self, message, now):
        if self.trouble:
            raise self.trouble
        self.heard.append(message)
        return self.answers

    def deny_unstored(self, message):
        self.held.append(message)

    def revoke(self, subject, n):
        self.revoked.append((subject, n))

    def handle_heartbeat(self, word, now):
        self.words.append(word)
        return []

    def quarantined(self):
        return []

    def due(self, now):
        due, self.requests = self.requests, []
        return due


class Gate:
    """A gate's journal and link, connected in the same way as in `app.py`."""

    def __init__(self, state, settings):
        self.state, self.settings, self.opener = state, settings, functools.partial(Journal.open, state, SITE, GATE)
        self.journal = self.opener()
        self.records, self.facts, self.orders = None, [], []
        self.wake = asyncio.Event()
        self.degraded, self.count, self.task = [], 0, None
        self.links = []
        """For each attempt: the reason why no link came up, or None if the link came up."""

    def vitals(self):
        return Vitals("0.1.0", self.degraded, "secured", 72, 216, "site")

    async def perform(self, command, talk):
        self.orders.append(command)
        return CommandOutcome("done")

    def side(self):
        self.records = Records()
        return GateSide(
            GATE_PEER,
            TOPICS,
            self.settings,
            open_journal=self.opener,
            replica=self.records,
            desk=CommandDesk(self.state, SITE, GATE),
            report=self.facts.append,
            now=time.monotonic(),
        )

    def start(self):
        thread = ThreadPoolExecutor(1)
        link = run_link(
            self.settings,
            self.side(),
            self.vitals,
            lambda: datetime.now(UTC),
            self.perform,
            wake=self.wake,
            thread=thread,
            on_link=self.links.append,
        )
        self.task = asyncio.create_task(link)

    async def stop(self):
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    def happen(self, count=1):
        """Write `count` events to the gate's journal."""
        visits = range(self.count, self.count + count)
        events = [DoorReleased(cause="grant", lease_s=8.0, visit=f"v{n}") for n in visits]
        self.count += count
        now = datetime.now(UTC)
        for start in range(0, count, 500):
            self.journal.extend([(event, now) for event in events[start : start + 500]])
        self.wake.set()

    @property
    def acked(self):
        return self.journal.position().acked

"""The office on a real Mosquitto with certificates, as `init` makes it; and the whole command."""

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from datetime import UTC, datetime

import aiomqtt
import pytest

from gated.errors import OfficeError
from gated.office.broker import Place, tls_context, write_acl
from gated.office.certificates import Authority
from gated.office.founding import found
from gated.office.link import run_link
from gated.office.serve import owner, share_of
from gated.office.side import OfficeSide
from gated.office.store import Store
from gated.simulator.network import free_port
from gated.sync.jose import Identity
from gated.sync.messages import Ack, Command, Delta, Reply, Request, SnapshotPart, Status, Word
from gated.sync.topics import Topics
from gated.sync.wire import Peer

SITE, GATE = "market-south", "gate-1"
TOPICS = Topics(SITE, GATE)
PATIENCE_S = 60.0


class Site:
    """An office's folder, its broker, and one gate's keys."""

    def __init__(self, folder):
        self.folder, self.place = folder, Place("localhost", free_port(), free_port())
        found(folder, SITE, self.place, datetime.now(UTC))
        self.store = Store.open(folder)
        self.me = Identity.make()
        self.peer = Peer(self.me, self.store.identity.party, SITE, GATE)
        Authority.load(folder).write_client(folder, GATE, GATE, datetime.now(UTC))
        self.broker = None

    def join(self):
        self.store.add_gate(GATE, self.me.party.dump(), "0a0b")
        write_acl(self.folder, SITE, [GATE])

    def start(self):
        program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
        assert program, "mosquitto is not installed: these tests need the real broker (apt install mosquitto)"
        self.broker = subprocess.Popen([program, "-c", str(self.folder / "mosquitto.conf")])
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.place.port), 1):
                return
            time.sleep(0.02)
        raise AssertionError("mosquitto does not listen")

    def stop(self):
        if self.broker is not None:
            self.broker.kill()
            self.broker.wait()
            self.broker = None

    def client(self):
        context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        context.load_cert_chain(self.folder / f"{GATE}.pem", self.folder / f"{GATE}.key")
        return aiomqtt.Client("localhost", self.place.port, tls_context=context)

    def run(self, *arguments):
        """Start a command of this office."""
        command = [sys.executable, "-m", "gated", "office", "--dir", str(self.folder), *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def status(self, **values):
        return self.peer.write(Status(site=SITE, gate=GATE, version="0.1.0", **values))


@pytest.fixture
def site(tmp_path):
    site = Site(tmp_path / "office")
    site.start()
    yield site
    site.stop()
    site.store.close()


@contextlib.asynccontextmanager
async def serving(site):
    store = Store.open(site.folder)
    link = run_link(OfficeSide(store), "localhost", site.place.port, tls_context(site.folder))
    task = asyncio.create_task(link)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        store.close()


@contextlib.asynccontextmanager
async def gate_on(site):
    """The gate's connection: `expect(kind)` waits for the next message of that kind."""
    async with site.client() as client:
        await client.subscribe([(topic, 1) for topic in TOPICS.down])

        async def expect(kind, repeat=None):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    if repeat is not None:  # the office may not listen yet
                        await client.publish(*repeat, qos=1)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(1.0 if repeat else PATIENCE_S):
                            async for message in client.messages:
                                kinds = {TOPICS.ack: (Ack, Word), TOPICS.record: (Delta, SnapshotPart)}
                                heard = site.peer.read(message.payload, *kinds.get(message.topic.value, (Command,)))
                                if isinstance(heard, kind):
                                    return heard

        yield client, expect


async def test_a_change_by_another_process_is_at_the_gate_at_once(site, person):
    site.join()
    async with serving(site), gate_on(site) as (client, expect):
        word = await expect(Word, (TOPICS.status, site.status(challenge="c")))
        assert word.challenge == "c"
        site.store.book.put(person(1))
        delta = await expect(Delta)
        assert delta.records[0].name == "Wang Fang"
        await client.publish(TOPICS.request, site.peer.write(Request(site=SITE, gate=GATE)), qos=1)
        assert len((await expect(SnapshotPart)).records) == 2


async def test_a_gate_that_joins_while_the_office_works_is_heard(site):
    async with serving(site):
        await asyncio.sleep(0.3)
        site.join()
        async with gate_on(site) as (_, expect):
            await expect(Word, (TOPICS.status, site.status()))


async def test_the_office_comes_back_to_a_broker_that_was_gone(site):
    site.join()
    async with serving(site) as task:
        async with gate_on(site) as (_, expect):
            await expect(Word, (TOPICS.status, site.status()))
        site.stop()
        await asyncio.sleep(0.3)
        site.start()
        async with gate_on(site) as (_, expect):
            await expect(Word, (TOPICS.status, site.status()))
        assert not task.done()


async def test_the_link_ends_when_it_is_cancelled_whatever_the_broker_does(site):
    site.stop()
    async with serving(site) as task:
        await asyncio.sleep(0.2)
        assert not task.done()
    assert task.cancelled()


async def test_the_command_serves_until_it_is_asked_to_stop(site):
    site.join()
    office = site.run("serve")
    try:
        async with gate_on(site) as (client, expect):
            await expect(Word, (TOPICS.status, site.status()))
            release = site.run("release", GATE, "--operator", "li", "--reason", "a delivery", "--wait", "60", "--json")
            heard = await expect(Command)
            reply = Reply(site=SITE, gate=GATE, command=heard.id, outcome="done", why="it is open")
            await client.publish(TOPICS.reply, site.peer.write(reply), qos=1)
            said, _ = await asyncio.to_thread(release.communicate, timeout=PATIENCE_S)
        assert (release.returncode, json.loads(said)[0]["state"]) == (0, "done")
        second = site.run("serve")
        _, said = await asyncio.to_thread(second.communicate, timeout=PATIENCE_S)
        assert (second.returncode, "runs already" in said) == (3, True)
    finally:
        office.send_signal(signal.SIGTERM)
        _, log = office.communicate(timeout=PATIENCE_S)
    assert office.returncode == 0, log
    assert "Traceback" not in log


def test_every_gate_has_exactly_one_owner():
    for count in (1, 2, 4, 7):
        for gate in (f"gate-{number}" for number in range(50)):
            assert sum(owner(number, count)(gate) for number in range(count)) == 1


def test_a_share_is_a_number_of_how_many():
    assert share_of("1/1") == (0, 1)
    assert share_of("2/4") == (1, 4)
    for wrong in ("0/4", "5/4", "1", "a/b", "1/0", "1/65", "1/2\n", ""):
        with pytest.raises(OfficeError, match="2/4"):
            share_of(wrong)

"""The office on a real Mosquitto with the certificates that `init` makes, and the complete command."""

import asyncio
import contextlib
import gc
import json
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import trustme

from gated.errors import OfficeError
from gated.office.authority import Authority
from gated.office.broker_link import run_link
from gated.office.exchange import Exchange
from gated.office.gate_records import DigestKeys
from gated.office.mosquitto import Place, tls_context, write_acl
from gated.office.mqtt_client import Client
from gated.office.office_creation import create_office
from gated.office.running_processes import owner_check
from gated.office.serve import share_of
from gated.office.store import Store
from gated.protocol.command_messages import Command, Confirmation, ConfirmationRequest, Offer, Reply
from gated.protocol.envelope import Peer
from gated.protocol.event_messages import Ack
from gated.protocol.jose import Identity
from gated.protocol.record_messages import Delta, RecordRequest, SnapshotPart
from gated.protocol.status_messages import LIVE, VERIFIERS, Heartbeat, Status
from gated.protocol.topics import Topics
from gated.simulator.network import free_port

SITE, GATE = "market-south", "gate-1"
TOPICS = Topics(SITE, GATE)
PATIENCE_S = 60.0


class Site:
    """An office's folder, its broker, and one gate's keys."""

    def __init__(self, folder):
        self.folder, self.place = folder, Place("localhost", free_port(), free_port())
        create_office(folder, SITE, self.place, datetime.now(UTC))
        self.store = Store.open(folder)
        self.me = Identity.make()
        self.peer = Peer(self.me, self.store.identity.party, SITE, GATE)
        Authority.load(folder).write_client(folder, GATE, GATE, datetime.now(UTC))
        self.broker = None

    def join(self):
        self.store.add_gate(GATE, self.me.party.dump(), "0a0b")
        self.store.store_digest_keys(GATE, DigestKeys(card=bytes(32), pin=bytes(31) + b"1"))
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
        return Client("localhost", self.place.port, tls_context=context)

    def run(self, *arguments):
        """Start an office command. Return its process."""
        command = [sys.executable, "-m", "gated", "office", "--dir", str(self.folder), *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def status(self, **values):
        return self.peer.write(Status(site=SITE, gate=GATE, version="0.1.0", can=[LIVE, VERIFIERS], **values))


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
    link = run_link(Exchange(store), "localhost", site.place.port, tls_context(site.folder))
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
    """Connect as the gate. `expect(kind)` waits for the next message of that kind."""
    async with site.client() as client:
        await client.subscribe([(topic, 1) for topic in TOPICS.down])

        async def expect(kind, repeat=None):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    if repeat is not None:  # the office may not have subscribed yet
                        await client.publish(*repeat, qos=1)
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(1.0 if repeat else PATIENCE_S):
                            async for message in client.messages:
                                kinds = {TOPICS.ack: (Ack, Heartbeat), TOPICS.record: (Delta, SnapshotPart)}
                                orders = (Command, Offer, Confirmation)
                                heard = site.peer.read(message.payload, *kinds.get(message.topic.value, orders))
                                if isinstance(heard, kind):
                                    return heard

        yield client, expect


async def test_a_change_by_another_process_reaches_the_gate_at_once(site, person):
    site.join()
    async with serving(site), gate_on(site) as (client, expect):
        word = await expect(Heartbeat, (TOPICS.status, site.status(challenge="c")))
        assert word.challenge == "c"
        site.store.book.put(person(1))
        delta = await expect(Delta)
        assert delta.records[0].subject == person(1).subject
        await client.publish(TOPICS.request, site.peer.write(RecordRequest(site=SITE, gate=GATE)), qos=1)
        assert len((await expect(SnapshotPart)).records) == 2


async def test_a_gate_that_joins_a_running_office_is_served(site):
    async with serving(site):
        await asyncio.sleep(0.3)
        site.join()
        async with gate_on(site) as (_, expect):
            await expect(Heartbeat, (TOPICS.status, site.status()))


async def test_the_office_reconnects_to_a_returned_broker(site):
    site.join()
    async with serving(site) as task:
        async with gate_on(site) as (_, expect):
            await expect(Heartbeat, (TOPICS.status, site.status()))
        site.stop()
        await asyncio.sleep(0.3)
        site.start()
        async with gate_on(site) as (_, expect):
            await expect(Heartbeat, (TOPICS.status, site.status()))
        assert not task.done()


async def test_a_cancelled_link_ends_whatever_the_broker_does(site):
    site.stop()
    async with serving(site) as task:
        await asyncio.sleep(0.2)
        assert not task.done()
    assert task.cancelled()


async def test_the_command_serves_until_it_is_stopped(site):
    site.join()
    office = site.run("serve")
    try:
        async with gate_on(site) as (client, expect):
            await expect(Heartbeat, (TOPICS.status, site.status()))
            release = site.run("release", GATE, "--operator", "li", "--reason", "a delivery", "--wait", "60", "--json")
            offer = await expect(Offer)
            ask = ConfirmationRequest(site=SITE, gate=GATE, command=offer.command, nonce="once")
            await client.publish(TOPICS.reply, site.peer.write(ask), qos=1)
            heard = await expect(Command)
            assert (heard.challenge, heard.is_live) == ("once", True)
            reply = Reply(site=SITE, gate=GATE, command=heard.id, outcome="done", why="it is open")
            await client.publish(TOPICS.reply, site.peer.write(reply), qos=1)
            said, _ = await asyncio.to_thread(release.communicate, timeout=PATIENCE_S)
        assert (release.returncode, json.loads(said)[0]["state"]) == (0, "done")
        assert list((site.folder / "waiting").iterdir()) == []
        second = site.run("serve")
        _, said = await asyncio.to_thread(second.communicate, timeout=PATIENCE_S)
        assert (second.returncode, "runs already" in said) == (3, True)
    finally:
        office.send_signal(signal.SIGTERM)
        _, log = office.communicate(timeout=PATIENCE_S)
    assert office.returncode == 0, log
    assert "Traceback" not in log


STOPS = {"ctrl-c": signal.SIGINT, "asked to stop": signal.SIGTERM, "a closed terminal": signal.SIGHUP}


@pytest.mark.parametrize("action", [("release", "--reason", "x"), ("lockdown", "on"), ("restart",), ("diagnose",)])
def test_without_a_serving_office_no_command_is_sent_and_the_error_is_immediate(site, action):
    site.join()
    name, *more = action
    began = time.monotonic()
    process = site.run(name, GATE, *more, "--operator", "li")
    _, said = process.communicate(timeout=PATIENCE_S)
    print(f"{time.monotonic() - began:.1f} s")
    assert process.returncode == 1
    assert "no `gated office serve`" in said
    assert "Nothing was sent" in said
    assert site.store.commands.open() == []


async def asked(site, client, offer, nonce):
    ask = ConfirmationRequest(site=SITE, gate=GATE, command=offer.command, nonce=nonce)
    await client.publish(TOPICS.reply, site.peer.write(ask), qos=1)


async def test_an_ended_operator_process_cancels_the_command_and_a_later_gate_learns_it(site):
    """The endings: Ctrl-C, SIGTERM, a closed terminal, a timeout, kill -9, and an office that stops serving."""
    site.join()
    office = site.run("serve")
    order = ("release", GATE, "--operator", "li", "--reason", "x")
    try:
        async with gate_on(site) as (client, expect):
            await expect(Heartbeat, (TOPICS.status, site.status()))
            for name, number in (STOPS | {"killed": signal.SIGKILL, "its time is up": None}).items():
                process = site.run(*order, "--wait", "60" if number else "0.5")
                offer = await expect(Offer)
                while number and site.store.commands.get(offer.command).state != "sent":
                    await asyncio.sleep(0.02)
                if number:
                    process.send_signal(number)
                _, said = await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
                if name != "killed":
                    assert "will not carry it out later" in said, name
                    assert process.returncode == 1
                    assert site.store.commands.get(offer.command).state == "cancelled", "on disk before it is told"
                await asked(site, client, offer, name)
                answer = await expect(Confirmation)
                assert (answer.command, answer.nonce, answer.is_wanted) == (offer.command, name, False)
                assert site.store.commands.get(offer.command).state == "cancelled"
            process = site.run(*order, "--wait", "60")
            offer = await expect(Offer)
            office.kill()
            _, said = await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
            assert "`gated office serve` ended" in said
            assert site.store.commands.get(offer.command).state == "cancelled"
    finally:
        office.kill()
        office.communicate(timeout=PATIENCE_S)


async def test_an_operator_interrupted_after_the_last_message_gets_an_unknown_result(site):
    site.join()
    office = site.run("serve")
    try:
        async with gate_on(site) as (client, expect):
            await expect(Heartbeat, (TOPICS.status, site.status()))
            process = site.run("release", GATE, "--operator", "li", "--reason", "x", "--wait", "60")
            offer = await expect(Offer)
            await asked(site, client, offer, "once")
            await expect(Command)
            process.send_signal(signal.SIGINT)
            _, said = await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
            assert process.returncode == 1
            assert "may have carried out the command" in said
            assert site.store.commands.get(offer.command).state == "unknown"
    finally:
        office.kill()
        office.communicate(timeout=PATIENCE_S)


def test_a_link_cancelled_while_connecting_uses_no_closed_loop(monkeypatch, tmp_path):
    """The broker continues the TLS handshake after the cancellation. The loop ends before Python
    collects the client.
    """
    authority, complaints, is_cancelled = trustme.CA(), [], threading.Event()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    create_office(tmp_path / "office", SITE, Place("localhost", free_port(), free_port()), datetime.now(UTC))
    monkeypatch.setattr(sys, "unraisablehook", lambda odd: complaints.append(odd.exc_value))
    with (
        contextlib.closing(Store.open(tmp_path / "office")) as store,
        socket.create_server(("127.0.0.1", 0)) as listener,
        ThreadPoolExecutor() as threads,
    ):

        async def break_off():
            broker = asyncio.get_running_loop().run_in_executor(threads, listener.accept)
            link = asyncio.create_task(run_link(Exchange(store), "localhost", listener.getsockname()[1], client))
            threads.submit(finish, await broker)
            link.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await link
            is_cancelled.set()

        def finish(accepted):
            assert is_cancelled.wait(PATIENCE_S)
            with server.wrap_socket(accepted[0], server_side=True) as secured:
                secured.recv(1000)

        for _ in range(12):  # each round cancels at another moment of the handshake
            is_cancelled.clear()
            asyncio.run(break_off())
        gc.collect()
    assert complaints == []


def test_every_gate_has_exactly_one_owner():
    for count in (1, 2, 4, 7):
        for gate in (f"gate-{number}" for number in range(50)):
            assert sum(owner_check(number, count)(gate) for number in range(count)) == 1


def test_a_share_is_a_number_and_a_total():
    assert share_of("1/1") == (0, 1)
    assert share_of("2/4") == (1, 4)
    for wrong in ("0/4", "5/4", "1", "a/b", "1/0", "1/65", "1/2\n", ""):
        with pytest.raises(OfficeError, match="2/4"):
            share_of(wrong)

"""Tests the messages to systemd."""

import asyncio
import contextlib
import os
import socket
import threading

import pytest

from gated.service.systemd_notify import Notifier


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(5)
        yield sock


def test_each_notification_is_one_datagram(manager, tmp_path):
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    for notify, datagram in (
        (notifier.ready, b"READY=1"),
        (notifier.alive, b"WATCHDOG=1"),
        (notifier.stopping, b"STOPPING=1"),
    ):
        notify()
        assert manager.recv(100) == datagram


@pytest.fixture
def full(manager, tmp_path):
    """The manager's socket with a full queue: another message would wait."""
    other = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    with other, contextlib.suppress(BlockingIOError):
        while True:
            other.sendto(b"other", str(tmp_path / "notify"))
    return manager


def received(manager):
    """Return every message in the queue, without those of another sender."""
    manager.setblocking(False)
    messages = []
    with contextlib.suppress(BlockingIOError):
        while True:
            messages.append(manager.recv(100))
    return [each for each in messages if each != b"other"]


def test_a_manager_that_reads_nothing_does_not_stop_the_gate(full, tmp_path):
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})

    def send():
        notifier.ready()
        notifier.alive()
        notifier.stopping()

    sending = threading.Thread(target=send, daemon=True)
    sending.start()
    sending.join(20)
    assert not sending.is_alive(), "a message waits for the manager"
    assert received(full) == []


def test_a_full_socket_loses_only_heartbeats(full, tmp_path):
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    notifier.ready()
    notifier.alive()
    notifier.watch(30.0)
    assert received(full) == []
    notifier.alive()
    notifier.alive()
    assert received(full) == [b"READY=1\nWATCHDOG_USEC=30000000\nWATCHDOG=1", b"WATCHDOG=1"]


def test_an_abstract_address_is_understood():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0gated-test-{os.getpid()}")
        sock.settimeout(5)
        Notifier({"NOTIFY_SOCKET": f"@gated-test-{os.getpid()}"}).ready()
        assert sock.recv(100) == b"READY=1"


def test_without_a_manager_nothing_happens():
    Notifier({}).ready()
    Notifier({"NOTIFY_SOCKET": "/nowhere/at/all"}).ready()


@pytest.mark.parametrize(
    ("environment", "every_s"),
    [
        ({"WATCHDOG_USEC": "10000000"}, 5.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())}, 5.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_bites(environment, every_s):
    assert Notifier(environment).watchdog_s == every_s


async def test_the_watchdog_gets_a_signal_at_each_interval_and_none_without_a_request(manager, tmp_path):
    address = str(tmp_path / "notify")
    await Notifier({"NOTIFY_SOCKET": address}).keep_alive()
    task = asyncio.create_task(Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000"}).keep_alive())
    assert [await asyncio.to_thread(manager.recv, 100) for _ in range(2)] == [b"WATCHDOG=1"] * 2
    task.cancel()
    await asyncio.wait([task])

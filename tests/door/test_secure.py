"""`gated latch --secure`: no lock keeps its power when a latch was killed; what systemd hears of one that lives."""

import os
import signal
import socket
import time

import pytest


def coil(gate, line="lock"):
    return [change["on"] for change in gate.trace() if change["line"] == line]


async def test_a_lock_that_a_killed_latch_left_on_is_taken_off(gate, latch, link, until):
    async with link() as brain:
        brain.release(lease_s=20.0)
        await until(gate.lock_is_on)
        latch.kill()
        latch.wait(10)
    assert coil(gate)[-1] is True  # as copper would be: nobody was left to take it off
    gate.run("latch", "--secure", check=0)
    assert coil(gate)[-1] is False


def test_both_doors_are_taken_off(gate):
    gate.write(second_door={"lock_pin": 11, "rex_waiver": "a test"})
    gate.run("latch", "--secure", check=0)
    assert coil(gate) == [False, False]  # claimed so, and given back so
    assert coil(gate, "second.lock") == [False, False]


def test_an_active_low_relay_is_never_driven_by_it(gate):
    gate.write(door={"lock_active_high": False})
    gate.run("latch", "--secure", check=0)
    assert True not in coil(gate)


def test_a_latch_that_serves_is_left_alone(gate, latch):
    before = gate.trace()
    done = gate.run("latch", "--secure", check=3)
    assert "runs already" in done.stderr
    assert gate.trace() == before
    assert latch.poll() is None


@pytest.fixture
def manager(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(30)
        yield sock


def test_systemd_hears_that_the_latch_is_ready_and_then_that_it_lives(gate, manager, tmp_path):
    gate.start("latch", env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    heard = [manager.recv(100) for _ in range(3)]
    assert heard == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]


def test_a_latch_that_is_stopped_says_no_longer_that_it_lives(gate, manager, tmp_path):
    latch = gate.start("latch", env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    while manager.recv(100) != b"WATCHDOG=1":
        pass
    os.kill(latch.pid, signal.SIGSTOP)
    time.sleep(0.2)
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        while manager.recv(100):
            pass
    manager.settimeout(1.5)  # it beats every half second
    with pytest.raises(TimeoutError):
        manager.recv(100)
    os.kill(latch.pid, signal.SIGCONT)
    manager.settimeout(30)
    assert manager.recv(100) == b"WATCHDOG=1"

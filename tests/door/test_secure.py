"""`gated latch --secure` takes the power off the locks of a killed latch. A running latch reports to systemd."""

import os
import signal
import socket
import time

import pytest


def coil(gate, line="lock"):
    return [change["on"] for change in gate.trace() if change["line"] == line]


async def test_secure_takes_the_power_off_a_lock_of_a_killed_latch(gate, latch, link, until):
    async with link() as brain:
        brain.release(lease_s=20.0)
        await until(gate.lock_is_on)
        latch.kill()
        latch.wait(10)
    assert coil(gate)[-1] is True  # as a real pin: no process was left to switch it off
    gate.run("latch", "--secure", check=0)
    assert coil(gate)[-1] is False


def test_secure_takes_the_power_off_both_locks(gate):
    gate.write(second_door={"lock_pin": 11, "rex_waiver": "a test"})
    gate.run("latch", "--secure", check=0)
    assert coil(gate) == [False, False]  # once when claimed, once when given back
    assert coil(gate, "second.lock") == [False, False]


def test_secure_never_drives_an_active_low_relay(gate):
    gate.write(door={"lock_active_high": False})
    gate.run("latch", "--secure", check=0)
    assert True not in coil(gate)


def test_secure_does_nothing_while_a_latch_runs(gate, latch):
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


def test_systemd_gets_ready_and_then_watchdog_messages(gate, manager, tmp_path):
    gate.start("latch", env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    received = [manager.recv(100) for _ in range(3)]
    assert received == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]


def test_a_stopped_latch_sends_no_watchdog_messages(gate, manager, tmp_path):
    latch = gate.start("latch", env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
    while manager.recv(100) != b"WATCHDOG=1":
        pass
    os.kill(latch.pid, signal.SIGSTOP)
    time.sleep(0.2)
    manager.setblocking(False)
    with pytest.raises(BlockingIOError):
        while manager.recv(100):
            pass
    manager.settimeout(1.5)  # a running latch reports every half second
    with pytest.raises(TimeoutError):
        manager.recv(100)
    os.kill(latch.pid, signal.SIGCONT)
    manager.settimeout(30)
    assert manager.recv(100) == b"WATCHDOG=1"

"""The kernel proves that an operator's process waits. The proof ends with the process, and while the process is
stopped.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest

from gated.errors import OfficeError
from gated.office import running_processes
from gated.office.running_processes import Waiting, is_served, is_waiting, mark_serving, owner_check, require_served

ORDER = "0a" * 16
WAITER = """
import sys, time
from pathlib import Path
from gated.office.running_processes import Waiting
waiting = Waiting(Path(sys.argv[1]), [sys.argv[2]])
print("waits", flush=True)
while True:
    waiting.heartbeat()
    time.sleep(0.05)
"""


@pytest.fixture
def waiter(tmp_path):
    """Start a process that waits for the order."""
    process = subprocess.Popen([sys.executable, "-c", WAITER, str(tmp_path), ORDER], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "waits\n"
    yield process
    process.kill()
    process.communicate()


def test_a_process_counts_as_waiting_until_it_withdraws(tmp_path):
    assert not is_waiting(tmp_path, ORDER)
    with closing(Waiting(tmp_path, [ORDER, "0b" * 16])):
        assert is_waiting(tmp_path, ORDER)
        assert is_waiting(tmp_path, "0b" * 16)
        assert not is_waiting(tmp_path, "0c" * 16)
    assert not is_waiting(tmp_path, ORDER)
    assert list((tmp_path / "waiting").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_an_ended_process_does_not_count_as_waiting(tmp_path, waiter, number):
    assert is_waiting(tmp_path, ORDER)
    waiter.send_signal(number)
    waiter.wait(60)
    assert not is_waiting(tmp_path, ORDER)


def test_a_stopped_process_keeps_its_lock_and_does_not_count_as_waiting(tmp_path, waiter, monkeypatch):
    monkeypatch.setattr(running_processes, "HEARTBEAT_S", 0.3)
    waiter.send_signal(signal.SIGSTOP)
    end = time.monotonic() + 30
    while is_waiting(tmp_path, ORDER):
        assert time.monotonic() < end
        time.sleep(0.05)
    waiter.send_signal(signal.SIGCONT)
    while not is_waiting(tmp_path, ORDER):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_unlocked_or_damaged_file_names_no_process(tmp_path):
    (tmp_path / "waiting").mkdir()
    (tmp_path / "waiting" / ORDER).write_bytes(b"x")
    assert not is_waiting(tmp_path, ORDER)
    with closing(Waiting(tmp_path, [ORDER])):
        os.truncate(tmp_path / "waiting" / ORDER, 3)
        assert not is_waiting(tmp_path, ORDER)


def test_an_office_process_serves_its_share_of_the_gates_while_it_runs(tmp_path):
    gates = [f"gate-{number}" for number in range(20)]
    with pytest.raises(OfficeError, match="Nothing was sent"):
        require_served(tmp_path, gates[:1])
    with closing(mark_serving(tmp_path, 1, 3)):
        assert [gate for gate in gates if is_served(tmp_path, gate)] == [
            gate for gate in gates if owner_check(1, 3)(gate)
        ]
        with closing(mark_serving(tmp_path, 0, 3)), closing(mark_serving(tmp_path, 2, 3)):
            require_served(tmp_path, gates)
    assert not any(is_served(tmp_path, gate) for gate in gates)

"""A disk that is broken when the gate starts. Residents still get in, and no acknowledged data is lost."""

import json
import shutil
import socket
import sqlite3
import time

import pytest

from gated.door.latch_messages import DriveLine, FromLatch, Hello, LatchHeartbeat, Welcome
from gated.runtime.channel import BlockingChannel

from .conftest import bits_of

pytestmark = pytest.mark.slow

ANN, GUEST, STRANGER = 1001, 1002, 1003


class Street:
    """A gate on its own disk with a latch beside it, and cards shown to its reader."""

    def __init__(self, gate, disk):
        self.gate, self.disk, self.socket = gate, disk, gate.folder / "latch.sock"
        (gate.folder / "frames").mkdir()
        gate.write(models={"dir": "nowhere"}, door={"socket": str(self.socket), "wiegand_pins": [5, 6]})
        self.brain = None

    def move_in(self, home):
        """Copy a state folder that has a resident. Create it first if it does not exist."""
        if home.exists():
            shutil.copytree(home, self.gate.state, dirs_exist_ok=True)
            (self.ann,) = (each["subject"] for each in self.gate.json("people", "list"))
            return
        self.ann = self.office("add", "--name", "ann", "--household", "12").stdout.split()[-1]
        self.office("card", "add", self.ann, "--number", f"w26:12-{ANN}")
        self.office("card", "add", self.ann, "--number", f"w26:12-{GUEST}", "--uses", "2")
        shutil.copytree(self.gate.state, home)

    def office(self, *words, check=0):
        return self.gate.run("people", *words, check=check)

    def start(self):
        self.gate.start("latch")
        self.gate.wait_for(self.socket.exists)
        self.brain = self.gate.start("run", "--service")
        self.gate.wait_for(lambda: "on duty" in self.gate.log())

    def play(self, line, is_active=True):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(str(self.socket))
            channel = BlockingChannel[FromLatch](sock, FromLatch)
            channel.send(Hello(observer=True))
            assert channel.receive() == Welcome()
            channel.send(DriveLine(line, is_active, "main"))
            channel.send(LatchHeartbeat())
            return channel.receive()

    def opens(self, number):
        """Return whether a card opens the lock within about a second."""
        before = len(self.gate.trace())
        self.play(f"wiegand:{bits_of(number)}")
        for _ in range(20):
            if len(self.gate.trace()) > before:
                self.gate.wait_for(lambda: not self.gate.lock_is_on())
                return True
            time.sleep(0.05)
        return False

    def leaves(self):
        """Return whether the exit button releases the lock."""
        self.play("rex")
        is_open = bool(self.gate.wait_for(self.gate.lock_is_on))
        self.play("rex", False)
        self.gate.wait_for(lambda: not self.gate.lock_is_on())
        return is_open

    def lost(self):
        """Return the parts the brain reports lost. Only the log can tell, because the gate can write nothing else."""
        said = [line.partition("degraded: ")[2] for line in self.gate.log().splitlines() if "degraded: " in line]
        return said[-1].removeprefix("lost ").split(", ") if said else []

    def close(self):
        if self.brain is not None:
            self.brain.terminate()
            assert self.brain.wait(20) == 0


@pytest.fixture
def street(gate, disk, home):
    gate.write(door={"release_s": 0.5})
    street = Street(gate, disk)
    street.move_in(home)
    return street


@pytest.mark.parametrize("how", ["freeze", "fill"])
def test_residents_get_in_on_a_read_only_disk_and_writing_resumes_when_it_works(street, how):
    gate, disk = street.gate, street.disk
    if how == "freeze":
        disk.freeze()
    else:
        disk.fill()
    street.start()
    assert (street.opens(ANN), street.opens(GUEST), street.opens(STRANGER)) == (True, False, False)
    assert street.leaves()
    assert "runs already" in gate.run("run", check=3).stderr
    gate.wait_for(lambda: {"disk", "journal"} <= set(street.lost()))
    if how == "freeze":
        disk.thaw()
    else:
        disk.make_room()
    gate.wait_for(lambda: street.lost() == ["vision"], 40)
    assert street.opens(GUEST)
    street.close()
    gate.run("events", "verify", check=0)
    events, kinds = gate.events(), ("started", "way_granted", "way_denied", "stopped")
    assert [(e["kind"], e.get("reason")) for e in events if e["kind"] in kinds] == [
        ("started", None), ("way_granted", None), ("way_denied", "undecided"), ("way_denied", "unknown"),
        ("way_granted", None), ("stopped", None),
    ]  # fmt: skip
    lost = [set(e["lost"]) for e in events if e["kind"] == "degraded"]
    assert any({"disk", "journal"} <= each for each in lost)
    assert lost[-1] == {"vision"}


def test_each_command_reports_the_disk_error_in_one_line_and_changes_nothing(street):
    gate, disk = street.gate, street.disk
    disk.freeze()
    before = {path.name: path.stat().st_mtime_ns for path in gate.state.rglob("*")}
    listed = gate.run("people", "list", check=0)
    assert "ann" in listed.stdout
    assert len(listed.stderr.splitlines()) == 1
    status = gate.run("status", check=1)
    assert "trouble" in status.stdout
    assert json.loads(gate.run("status", "--json", check=1).stdout)["people"] == 1
    suspended = gate.run("people", "suspend", street.ann, check=3)
    output = [listed.stderr, suspended.stderr, gate.run("doctor").stdout, gate.run("check").stdout]
    assert gate.run("events", "verify", check=0)
    for words in output:
        assert any(problem in words for problem in ("read-only", "cannot be used", "cannot be written"))
    assert not any("Traceback" in words for words in [*output, status.stderr])
    assert len(suspended.stderr.splitlines()) == 1
    assert {path.name: path.stat().st_mtime_ns for path in gate.state.rglob("*")} == before


@pytest.mark.parametrize("file", ["journal.db", "people.db"])
def test_with_any_damaged_file_the_brain_starts_and_leaving_works(street, file):
    gate, path = street.gate, street.gate.state / file
    content = path.read_bytes()
    path.write_bytes(b"\xa5" * 8192 + content[8192:])
    (gate.state / "run.lock").mkdir()
    street.start()
    assert street.opens(ANN) == (file != "people.db")
    assert not street.opens(STRANGER)
    assert street.leaves()
    street.close()
    (kept,) = (each for each in gate.state.glob(f"{file}.torn-*") if each.suffix not in ("-wal", "-shm"))
    assert kept.read_bytes() == b"\xa5" * 8192 + content[8192:]
    (repaired,) = gate.events("database_mended")
    assert (repaired["file"], repaired["kept_as"]) == (file, kept.name)
    assert "kept aside" in gate.run("doctor").stdout
    gate.run("events", "verify", check=0)


def test_rows_in_an_unwritable_write_ahead_log_are_not_lost(street):
    """A power failure left a suspension in the write-ahead log. It still applies on an SD card that is
    now read-only.
    """
    state = street.gate.state
    with sqlite3.connect(state / "people.db", isolation_level=None) as connection:
        connection.execute("UPDATE people SET status = 'suspended'")
        left = {name: (state / name).read_bytes() for name in ("people.db", "people.db-wal")}
        assert left["people.db-wal"]
    connection.close()
    for name, content in left.items():
        (state / name).write_bytes(content)
    street.disk.freeze()
    street.start()
    assert not street.opens(ANN)
    street.close()

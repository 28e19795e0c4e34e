"""Tests the table "When a part is lost" of systemd/README.md, row by row: what still works, and who is told."""

import contextlib
import resource
import signal
import socket
import sqlite3
import subprocess
from datetime import UTC, datetime

import pytest

from gated.cli.demo import BESIDE, own_set
from gated.events import (
    ClockDoubted,
    CredentialDenied,
    CredentialGranted,
    Degraded,
    DoorReleased,
    DoorSecured,
    FireRelease,
    ScheduledUnlock,
    Started,
    WorkerLost,
)
from gated.office.mosquitto import Place
from gated.office.office_creation import create_office
from gated.simulator.network import join

pytestmark = pytest.mark.slow

ANN, CARA, EMIL = 1001, 1003, 1005
ANNS_PIN = "25804613"


@pytest.fixture
def day(new_day):
    """Create a gate that is not started, and a resident with a card and a PIN."""
    with new_day() as day:
        day.move_in("ann", ANN, ANNS_PIN)
        yield day


def opens_by_card_and_pin(day):
    """Return whether the card and the PIN both open, by the journal and by the lock."""
    before = len(day.lock())
    assert day.show_card(ANN).subject == day.people["ann"]
    day.wait_for_event(DoorReleased, cause="grant")
    day.walk_through()
    assert day.answered_pin(ANNS_PIN).subject == day.people["ann"]
    day.wait_for_event(DoorReleased, cause="grant")
    day.walk_through()
    return day.lock()[before:] == [True, False, True, False]


def test_models_missing(day):
    day.start()
    lost = day.wait_for_event(WorkerLost)
    assert lost.worker == "vision"
    assert day.wait_for_event(Degraded).lost == ["vision"]
    said = "Faces do not work. Please use a card or a code, or press call."
    assert ["en", said] in day.shows("fault")["sentences"]
    day.begin()
    assert opens_by_card_and_pin(day)


def test_camera_missing(day):
    if not BESIDE.exists() and own_set() == "evaluation":
        pytest.skip("needs the real models beside the project")
    (day.gate.folder / "frames").mkdir()
    day.gate.write(models={"dir": str(BESIDE), "set": own_set()})
    day.start()
    lost = day.wait_for_event(WorkerLost)
    assert (lost.worker, lost.why.split(":")[0]) == ("vision", "camera")
    assert day.wait_for_event(Degraded).lost == ["vision"]
    assert day.shows("fault")
    day.begin()
    assert opens_by_card_and_pin(day)


def test_network_missing(day):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        office = day.gate.folder / "office"
        create_office(office, "courtyard-2", Place("localhost", port, port - 1), datetime.now(UTC))
        day.gate.write(sync=join(office, day.gate.state, "front").settings())
        day.start()
        day.begin()
        assert opens_by_card_and_pin(day)
    assert "network" in day.gate.events("degraded")[-1]["lost"]
    position = day.journal.position()
    assert (position.acked, position.head) == (0, len(day.journal.entries(limit=10_000)))


class Disk:
    """The disk under a state folder: a small tmpfs, or a limit on the brain where mounting is not allowed."""

    BYTES = 8_000_000

    def __init__(self, folder) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={self.BYTES},mode=700", "tmpfs", folder]
        self.is_its_own = subprocess.run(mount, capture_output=True, check=False).returncode == 0

    def fill(self, brain) -> None:
        if not self.is_its_own:
            resource.prlimit(brain.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
            return
        with contextlib.suppress(OSError), (self.folder / "ballast").open("wb", buffering=0) as ballast:
            for size in (65_536, 1):
                with contextlib.suppress(OSError):
                    while ballast.write(bytes(size)):
                        pass

    def make_room(self, brain) -> None:
        resource.prlimit(brain.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        (self.folder / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        if self.is_its_own:
            subprocess.run(["umount", "--lazy", self.folder], check=True)


@pytest.fixture
def full_disk_day(new_day):
    with new_day() as day, contextlib.closing(Disk(day.gate.state)) as day.disk:
        day.move_in("ann", ANN, ANNS_PIN)
        day.move_in("emil")
        day.office("card", "add", day.people["emil"], "--number", f"w26:12-{EMIL}", "--uses", "1")
        yield day


def test_disk_full(full_disk_day):
    day = full_disk_day
    print("a disk of its own" if day.disk.is_its_own else "a limit")
    day.start()
    day.begin()
    day.disk.fill(day.brain)
    for number, show in enumerate((lambda: day.raw_card(ANN), lambda: day.type_pin(ANNS_PIN)), 1):
        show()
        day.wait_for(lambda n=number: day.lock() == [True, False] * n, 30)
    day.raw_card(EMIL)  # the gate cannot count its single use
    day.wait_for(lambda: day.screen.now == "refused")
    assert day.lock() == [True, False] * 2
    assert day.recorded(CredentialGranted) == []
    day.disk.make_room(day.brain)
    assert [day.wait_for_event(CredentialGranted).way for _ in range(2)] == ["card", "pin"]
    assert day.wait_for_event(CredentialDenied, reason="undecided").subject == day.people["emil"]
    has_lost(day, "journal")
    day.wait_for_event(Degraded, lost=["vision"])
    day.gate.run("events", "verify", check=0)
    assert day.show_card(ANN).way == "card"


def test_clock_wrong(day):
    day.move_in("cara", CARA)
    day.office("rights", day.people["cara"], "--schedule", "work")
    day.at("05:30")
    day.start()
    day.wait_for_event(DoorReleased, cause="schedule", door="second")
    day.days_later(-40)
    assert "earlier than the newest event" in day.wait_for_event(ClockDoubted).why
    assert day.wait_for_event(Degraded, lost=["clock", "vision"])
    day.wait_for_event(ScheduledUnlock, is_over=True)
    assert opens_by_card_and_pin(day)
    assert day.show_card(CARA).reason == "clock"
    day.at("12:00")
    assert day.wait_for_event(ClockDoubted).is_over
    assert day.wait_for_event(Degraded, lost=["vision"])
    assert day.show_card(CARA).subject == day.people["cara"]


def test_the_peoples_database_broken(day):
    """Cards and PINs are unreadable on the disk, as after a bad block. The gate continues with those in memory."""
    day.start()
    day.begin()
    break_table(day.gate.state / "people.db", "credentials")
    day.office("add", "--name", "gina", "--household", "7")
    has_lost(day, "credentials")
    assert opens_by_card_and_pin(day)


def has_lost(day, part):
    """Wait for the event that this part is lost. Other parts may have been lost just before."""
    day.wait_for(lambda: any(part in fact.lost for fact in day.recorded(Degraded)), 60)


def break_table(path, table):
    """Overwrite the first page of a table while no process writes and the write-ahead log holds no newer page."""
    with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as database:
        size = database.execute("PRAGMA page_size").fetchone()[0]
        page = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
        for _ in range(100):
            is_busy = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            database.execute("BEGIN IMMEDIATE")
            if not is_busy and path.with_name(f"{path.name}-wal").stat().st_size == 0:
                with path.open("r+b") as file:
                    file.seek((page - 1) * size)
                    file.write(b"\xa5" * size)
                return
            database.execute("ROLLBACK")
    raise AssertionError(f"{path} is written to without end")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["dead", "stopped"])
def test_brain_lost(day, how):
    """Exit and fire need only the latch. The next brain learns of every event in between."""
    day.office("prefer", day.people["ann"], "--release-s", "30")
    day.start()
    day.begin()
    day.show_card(ANN)
    day.wait_for_event(DoorReleased)
    day.brain.send_signal(how)
    day.wait_for(lambda: day.is_on("fault") and not day.is_on())
    if how == signal.SIGKILL:  # a brain that is only stopped leaves the page, which shows by itself that it is silent
        day.wait_for(lambda: day.screen.now == "gone")
    day.play("rex")
    day.wait_for(day.is_on)
    day.play("rex", False)
    day.wait_for(lambda: not day.is_on())
    day.play("fire")
    day.wait_for(lambda: day.is_on("lock") and day.is_on("second.lock"))
    day.play("fire", False)
    day.play("fire_reset")
    day.wait_for(lambda: not day.is_on("lock") and not day.is_on("second.lock"))
    day.play("fire_reset", False)
    day.brain.kill()
    day.brain.wait()
    day.start_brain()
    day.wait_for_event(Started)
    day.wait_for_event(DoorSecured, cause="disconnect")
    day.wait_for_event(DoorReleased, cause="rex")
    for door in ("main", "second"):
        day.wait_for_event(FireRelease, door=door)
        day.wait_for_event(DoorSecured, cause="fire_reset", door=door)
    assert isinstance(day.show_card(ANN), CredentialGranted)

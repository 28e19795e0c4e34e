"""Tests `gated doctor --door --lights --sound` with an installer who sits at a terminal and answers."""

import asyncio
import os
import pty
import subprocess
import sys
import threading

import pytest

from gated.door.latch_messages import DriveLine, FromLatch, Hello, LatchHeartbeat
from gated.runtime.channel import Channel

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(gate, wait_for):
    """Return a gate with a serving latch and two lights, and no brain."""
    (gate.folder / "frames").mkdir()
    gate.write(models={"dir": "nowhere"}, door={"release_s": 20.0}, cues={"ready_pin": 16, "open_pin": 20})
    gate.start("latch")
    wait_for((gate.state / "latch.sock").exists)
    return gate


class Terminal:
    """The doctor on its own terminal, and a person who answers it."""

    def __init__(self, gate, *arguments):
        self._ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "gated", "--config", str(gate.config), "doctor", *arguments]
        self._process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.printed = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def answer(self, word):
        os.write(self._ours, f"{word}\n".encode())

    def ends(self):
        code = self._process.wait(60)
        self._reader.join(10)
        os.close(self._ours)
        return code

    def _read(self):
        try:
            while data := os.read(self._ours, 4096):
                self.printed += data.decode(errors="replace")
        except OSError:  # the other end is closed
            return


async def leaf(gate, *, is_open):
    channel = Channel[FromLatch](*await asyncio.open_unix_connection(gate.state / "latch.sock"), FromLatch)
    for message in (Hello(observer=True), DriveLine("contact", is_open), LatchHeartbeat()):
        channel.send(message)
    await channel.receive(10)
    await channel.receive(10)
    await channel.close()


@pytest.mark.parametrize(("holds", "light"), [("y", "✓ green"), ("n", "✗ red")])
def test_a_door_trial_opens_once_and_uses_the_observers_answer(desk, wait_for, holds, light):
    terminal = Terminal(desk, "--door", "--by", "Liu")
    wait_for(lambda: "A person must stand at it" in terminal.printed)
    assert not desk.lock_is_on()  # the person has not said yes yet
    terminal.answer("y")
    wait_for(desk.lock_is_on)
    asyncio.run(leaf(desk, is_open=True))
    wait_for(lambda: "reports an open door" in terminal.printed)
    asyncio.run(leaf(desk, is_open=False))
    wait_for(lambda: "Pull at it" in terminal.printed)
    terminal.answer(holds)
    terminal.ends()
    assert "released: open the door" in terminal.printed
    opening = next(line for line in terminal.printed.splitlines() if "main: opening:" in line)
    assert light in opening.replace("\x1b[32m", "").replace("\x1b[31m", "")
    assert not desk.lock_is_on()


def test_without_an_observer_at_the_door_it_is_not_opened(desk, wait_for):
    terminal = Terminal(desk, "--door", "--by", "Liu")
    wait_for(lambda: "A person must stand at it" in terminal.printed)
    terminal.answer("n")
    terminal.ends()
    assert "not tested" in terminal.printed
    assert not any(change["on"] for change in desk.trace() if change["line"] == "lock")


def test_each_lamp_is_switched_on_in_turn_and_a_dark_one_is_red(desk, wait_for):
    terminal = Terminal(desk, "--lights", "--sound")
    wait_for(lambda: "each of the 2" in terminal.printed)
    terminal.answer("n")
    assert terminal.ends() == 1
    assert "not all correct: ready, open" in terminal.printed
    assert "no loudspeaker is set" in terminal.printed
    assert desk.json("doctor", check=1)["ok"] is False  # models are missing; past trials do not count
    desk.run("doctor", "--report", desk.folder / "page.html", "--language", "en")
    page = (desk.folder / "page.html").read_text()
    assert "✗ lights" in page  # a later page shows the trial with its date
    assert "ready, open (20" in page


@pytest.mark.parametrize("what", [("--door", "--by", "Liu"), ("--lights",), ("--sound",)])
def test_without_a_terminal_no_trial_runs(desk, what):
    printed = desk.run("doctor", *what, check=2).stderr
    assert "need a person at a terminal" in printed
    assert not any(change["on"] for change in desk.trace() if change["line"] == "lock")


def test_opening_a_door_needs_the_operators_name(desk):
    assert "write a name" in desk.run("doctor", "--door", check=2).stderr


def test_beside_a_running_gate_the_trial_names_the_service_to_stop(desk, wait_for):
    desk.start("run")
    wait_for(lambda: "on duty" in desk.log())
    terminal = Terminal(desk, "--door", "--by", "Liu")
    wait_for(lambda: "A person must stand at it" in terminal.printed)
    terminal.answer("y")
    assert terminal.ends() == 3
    assert "stop it first" in terminal.printed

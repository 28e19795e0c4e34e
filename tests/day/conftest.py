"""A complete gate: real processes on mock pins, all connected devices, and the people and events around it."""

import contextlib
import http.client
import json
import os
import socket
import struct
import threading
import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.door.latch_messages import DriveLine, FromLatch, Hello, LatchHeartbeat, LatchState, Welcome
from gated.events import CredentialDenied, CredentialGranted, DoorClosed, DoorOpened, DoorReleased, DoorSecured
from gated.journal.journal import Journal
from gated.runtime.channel import BlockingChannel
from gated.simulator.network import free_port

SITE, GATE = "courtyard-2", "front"
ZONE = ZoneInfo("Asia/Shanghai")

AGAIN_S = 0.3
"""Seconds until the reader accepts the same card again. The product waits three seconds; 0.3 s keeps
the tests short.
"""

CLOCK = '''
"""The time of day as a test has it: the brain's clocks, moved by the seconds that stand in a file, as if they had
passed. A test may go back by some days, as no gate may. A card that was away for a moment is shown anew.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from gated.access.readers.presentations import RecentCards
from gated.service import clock
from gated.service.clock_chip import steady
from gated.service.clock import WallClock

MOVED = Path(__file__).with_name("moved")
WallClock.__init__.__defaults__ = (
    lambda: datetime.now(UTC) + timedelta(seconds=float(MOVED.read_text())),
    lambda: steady() + float(MOVED.read_text()),
)
clock.SLACK = timedelta(days=20)
RecentCards.__init__.__defaults__ = (AGAIN_S,)
'''.replace("AGAIN_S", str(AGAIN_S))

TABLES = {
    "models": {"dir": "nowhere"},
    "door": {
        "release_s": 3.0,
        "lock_pin": 17,
        "feedback_pin": 4,
        "contact_pin": 22,
        "rex_pin": 23,
        "fire_pin": 24,
        "fire_reset_pin": 25,
        "tamper_pin": 26,
        "call_pin": 27,
        "wiegand_pins": [5, 6],
        "held_open_s": 5,
        "held_open_alarm_s": 10,
    },
    "second_door": {
        "release_s": 3.0,
        "lock_pin": 7,
        "contact_pin": 8,
        "rex_pin": 9,
        "tamper_pin": 10,
        "call_pin": 11,
        "wiegand_pins": [12, 13],
        "rex_grace_s": 0.5,
        "free_passage": "market",
    },
    "readers": {
        "keypad_rows": [14, 15, 16, 18],
        "keypad_columns": [19, 20, 21],
        "attempts": 3,
        "attempts_s": 3600.0,
        "rest_s": 2.0,
    },
    "cues": {"phone": "0371-6555 1234", "ready_pin": 0, "open_pin": 1, "refused_pin": 2, "fault_pin": 3},
    "schedules": {"work": {"start": "08:00", "end": "18:00"}, "market": {"start": "05:00", "end": "06:00"}},
}
"""Settings of a gate with two doors and every device, but without models: vision is lost and uses no resources."""


def bits_of(number: int, facility: int = 12) -> str:
    """Return the bits of a 26-bit card: even parity, 8 bits of facility, 16 bits of number, odd parity."""
    body = f"{facility:08b}{number:016b}"
    return f"{body[:12].count('1') % 2}{body}{1 - body[12:].count('1') % 2}"


DIGIT_CODES, ENTER_CODE = dict(zip("1234567890", range(2, 12), strict=True)), 28
"""Key codes from linux/input-event-codes.h."""


def _stroke(code: int) -> bytes:
    """Return the events of one USB reader key going down and up now, in the layout of linux/input.h."""
    at = time.monotonic()
    when = int(at), round(at % 1 * 1e6) % 1_000_000
    return b"".join(struct.pack("@llHHi", *when, *what) for what in ((1, code, 1), (0, 0, 0), (1, code, 0), (0, 0, 0)))


def _opened(pipe) -> int | None:
    """Open a pipe that stands in for a device. Return its file descriptor, or None while no process reads it."""
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


class Screen:
    """A viewer of the gate screen. It keeps every page in order."""

    def __init__(self, port: int) -> None:
        self._port, self._is_over = port, False
        self.pages: list[dict] = []
        self.seen_at: list[float] = []
        """The time each page arrived, in monotonic seconds."""
        threading.Thread(target=self._look, daemon=True).start()

    @property
    def situations(self) -> list[str]:
        return [page["situation"] for page in self.pages]

    @property
    def now(self) -> str:
        """Return the current situation on the screen, or "gone" without a connection."""
        return self.situations[-1] if self.pages else "gone"

    def forget(self) -> None:
        """Forget all pages except the current one."""
        del self.pages[:-1], self.seen_at[:-1]

    def close(self) -> None:
        self._is_over = True

    def _look(self) -> None:
        while not self._is_over:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self._read()
            del self.pages[:], self.seen_at[:]
            time.sleep(0.1)

    def _read(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", "/updates")
            stream = connection.getresponse()
            while (line := stream.readline()) and not self._is_over:
                if line.startswith(b"data: "):
                    page = json.loads(line[6:])
                    del page["left_s"]  # changes with every update
                    if self.pages[-1:] != [page]:
                        self.seen_at.append(time.monotonic())
                        self.pages.append(page)
        finally:
            connection.close()


class Day:
    """One gate and its surroundings: people, door leaves, cards, a clock and a fire alarm. It reads the gate's
    response.
    """

    def __init__(self, gate, wait_for) -> None:
        self.gate, self.wait_for = gate, wait_for
        self._clock = gate.folder / "clock"
        self._clock.mkdir()
        (self._clock / "sitecustomize.py").write_text(CLOCK)
        self.at("12:00")  # independent of the machine's time: at other hours the door is on its unlock schedule
        port = free_port()
        self._shown: dict[tuple[str, int], float] = {}
        self._usb = gate.folder / "usb"
        os.mkfifo(self._usb)
        readers = {**TABLES["readers"], "devices": [str(self._usb)]}
        gate.write(**{**TABLES, "readers": readers, "cues": {**TABLES["cues"], "screen_port": port}})
        self._env = {"PYTHONPATH": os.pathsep.join([str(self._clock), *filter(None, [os.environ.get("PYTHONPATH")])])}
        self.screen = Screen(port)
        self.people: dict[str, str] = {}
        self.flats: dict[str, str] = {}
        self.latch = self.brain = None
        self._journal: Journal | None = None
        self._since, self._heard, self._trace_since = 0, set(), 0

    # The gate's processes

    def start(self) -> None:
        """Start the latch as its own service, then the brain. Wait until the gate is on duty."""
        self.start_latch()
        self.start_brain()

    def start_latch(self) -> None:
        self.latch = self.gate.start("latch")
        self.wait_for((self.gate.state / "latch.sock").exists)

    def start_brain(self) -> None:
        said = self.gate.log().count("on duty") if self.brain else 0
        self.brain = self.gate.start("run", "--service", env=self._env)
        self.wait_for(lambda: self.gate.log().count("on duty") > said)

    def stop_brain(self) -> None:
        self.brain.terminate()
        assert self.brain.wait(20) == 0

    def close(self) -> None:
        self.screen.close()
        if self._journal is not None:
            self._journal.close()

    # The office

    def office(self, *words: str, typed: str | None = None) -> str:
        """Run `gated people`. Return its output."""
        return self._command("people", *words, typed=typed)

    def lockdown(self, word: str) -> None:
        """Run `gated lockdown on` or `gated lockdown off`."""
        self._command("lockdown", word, "--by", "the office")

    def move_in(self, name: str, card: int | None = None, pin: str = "") -> str:
        """Add a resident, with a card for the wired reader or a PIN. Return the subject id."""
        flat = self.flats[name] = f"{601 + len(self.people)}"
        household = f"flat-of-{name}-{flat}"
        subject = self.people[name] = self.office("add", "--name", name, "--household", household).split()[-1]
        if card is not None:
            self.office("card", "add", subject, "--number", f"w26:12-{card}")
        if pin:
            self.office("pin", "set", subject, typed=f"{pin}\n")
        return subject

    # The street

    def play(self, line: str, is_active: bool = True, door: str = "main") -> LatchState:
        """Set an input from outside. Return the state of the doors after it."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(str(self.gate.state / "latch.sock"))
            channel = BlockingChannel[FromLatch](sock, FromLatch)
            channel.send(Hello(observer=True))
            assert channel.receive() == Welcome()
            channel.send(DriveLine(line, is_active, door))
            channel.send(LatchHeartbeat())
            state = channel.receive()
        assert isinstance(state, LatchState), state
        return state

    def raw_card(self, number: int, door: str = "main") -> None:
        """Show a card to the wired reader without waiting for the answer. Wait first until the reader accepts the card
        again.
        """
        away_s = time.monotonic() - self._shown.get((door, number), float("-inf"))
        time.sleep(max(0.0, AGAIN_S + 0.2 - away_s))
        self.play(f"wiegand:{bits_of(number)}", door=door)
        self._shown[door, number] = time.monotonic()

    def show_card(self, number: int, door: str = "main") -> CredentialGranted | CredentialDenied:
        """Show a card to the wired reader. Return the gate's answer."""
        self.raw_card(number, door)
        return self.wait_for_event(CredentialGranted | CredentialDenied, way="card", door=door)

    def swipe(self, digits: str) -> CredentialGranted | CredentialDenied:
        """Show a card to the USB reader, which types the digits and Enter. Return the gate's answer."""
        strokes = b"".join(_stroke(DIGIT_CODES[digit]) for digit in digits) + _stroke(ENTER_CODE)
        device = self.wait_for(lambda: _opened(self._usb))
        try:
            os.write(device, strokes)
            return self.wait_for_event(CredentialGranted | CredentialDenied, way="card")
        finally:
            os.close(device)

    def type_pin(self, digits: str) -> None:
        """Type the digits and # at the keypad of the main door."""
        for key in f"{digits}#":
            self.play(f"key:{key}")

    def answered_pin(self, digits: str) -> CredentialGranted | CredentialDenied:
        self.type_pin(digits)
        return self.wait_for_event(CredentialGranted | CredentialDenied, way="pin")

    def show_card_until(self, kind: type, number: int) -> CredentialGranted | CredentialDenied:
        """Show a card to the wired reader repeatedly until the gate gives this answer, because the gate applies
        changes later.
        """
        known = len(self.recorded(kind, way="card"))

        def answered():
            self.raw_card(number)
            time.sleep(1)
            return self.recorded(kind, way="card")[known:]

        return self.wait_for(answered, 60)[0]

    def walk_through(self, door: str = "main") -> DoorOpened:
        """Open the leaf of a released door and close it again."""
        self.play("contact", True, door)
        opened = self.wait_for_event(DoorOpened, door=door)
        self.play("contact", False, door)
        self.wait_for_event(DoorClosed, door=door)
        self.wait_for_event(DoorSecured, door=door)
        return opened

    def leave(self, door: str = "main") -> DoorOpened:
        """Leave through the door by the exit button."""
        self.play("rex", True, door)
        self.wait_for_event(DoorReleased, door=door, cause="rex")
        self.play("rex", False, door)
        return self.walk_through(door)

    def calm_down(self) -> None:
        """Reset all inputs, the fire alarm and the lockdown, then leave through the main door."""
        self.lockdown("off")
        state = self.play("rex", False)
        for name in (name for name, is_active in state.lines.items() if is_active and not name.endswith("feedback")):
            door, line = name.split(".")
            self.play(line, False, door)
        if state.is_on_fire:
            self.play("fire_reset")
            self.play("fire_reset", False)
        self._forget()
        self.leave()

    def at(self, clock: str) -> None:
        """Set the time of day to the next HH:MM in the site's time zone."""
        now = datetime.now(ZONE)
        hour, minute = map(int, clock.split(":"))
        then = now.replace(hour=hour, minute=minute, second=0)
        self._move(((then - now) % timedelta(days=1)).total_seconds())

    def days_later(self, days: float) -> None:
        """Set the time to this many days after the machine's time. 0 is the machine's time. Commands see it too."""
        self._move(days * 86_400)

    # Results

    def begin(self) -> None:
        """Wait until no visitor is at the gate, then forget all earlier events."""
        self.wait_for(lambda: self.screen.now in ("fault", "idle"), 60)
        self._forget()

    @property
    def journal(self) -> Journal:
        """The gate's journal, opened at the first use."""
        if self._journal is None:
            self._journal = Journal.open(self.gate.state, SITE, GATE)
        return self._journal

    def recorded(self, kind: object = object, **fields: object) -> list:
        """Return the events of a kind since the beginning, in order. Each one has all the given values."""
        return [event for _, event in self._facts(kind, fields)]

    def wait_for_event(self, kind: object, timeout_s: float = 30.0, **fields: object):
        """Wait for an event this method has not returned before. Return it."""
        fresh = lambda: [(s, e) for s, e in self._facts(kind, fields) if s not in self._heard]  # noqa: E731
        try:
            (number, event), *_ = self.wait_for(fresh, timeout_s)
        except AssertionError:
            raise AssertionError(f"no event {kind} with {fields}; recorded: {self.recorded()}") from None
        self._heard.add(number)
        return event

    def shows(self, situation: str) -> dict:
        """Wait until the gate screen has shown this situation since the beginning. Return the page."""
        pages = lambda: [page for page in self.screen.pages if page["situation"] == situation]  # noqa: E731
        try:
            return self.wait_for(pages, 30)[-1]
        except AssertionError:
            raise AssertionError(f"never shown {situation}; but {self.screen.situations}") from None

    def lock(self, line: str = "lock") -> list[bool]:
        """Return the changes of a relay or lamp since the beginning, True for on."""
        return [step["on"] for step in self.gate.trace()[self._trace_since :] if step["line"] == line]

    def is_on(self, line: str = "lock") -> bool:
        """Return whether the line has power now."""
        return ([step["on"] for step in self.gate.trace() if step["line"] == line] or [False])[-1]

    def _forget(self) -> None:
        self._since, self._trace_since = self.journal.position().head, len(self.gate.trace())
        self._heard.clear()
        self.screen.forget()

    def _command(self, *words: str, typed: str | None = None) -> str:
        done = CliRunner().invoke(main, ["--config", str(self.gate.config), *words], input=typed)
        assert done.exit_code == 0, done.output
        return done.output

    def _facts(self, kind: object, fields: dict) -> list:
        entries = self.journal.entries(after=self._since, limit=10_000)
        return [
            (entry.seq, entry.event)
            for entry in entries
            if isinstance(entry.event, kind)
            and all(getattr(entry.event, name, None) == value for name, value in fields.items())
        ]

    def _move(self, seconds: float) -> None:
        fresh = self._clock / "moved.new"
        fresh.write_text(str(seconds))
        fresh.replace(self._clock / "moved")


@pytest.fixture(scope="module")
def new_day(gate_at, wait_for, tmp_path_factory):
    """Return a context manager that makes a gate and its street. The gate is not started."""

    @contextlib.contextmanager
    def new():
        with gate_at(tmp_path_factory.mktemp("day")) as gate, contextlib.closing(Day(gate, wait_for)) as day:
            yield day

    return new


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """Return the path where the first test with a broken disk leaves its state folder for the other tests."""
    return tmp_path_factory.mktemp("home") / "state"

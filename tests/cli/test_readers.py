"""Tests an installer's work with a reader: what it sends and how it types."""

import json
import os
import socket
import struct
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from gated.access.readers.observing import READINGS_SOCKET, ReaderReading, ReadingSender, is_borrowed
from gated.cli import main
from gated.config import UsbSettings, load
from gated.door.latch_messages import DriveLine, FromLatch, Hello, LatchHeartbeat, Welcome
from gated.runtime.channel import BlockingChannel

DIGITS = dict(zip("1234567890", range(2, 12), strict=True))
ENTER, TAB = 28, 15
MODELS = Path(__file__).parents[2] / "models"


def strokes(text, end, gap_s):
    codes = [DIGITS[digit] for digit in text] + end
    return b"".join(
        struct.pack("@llHHi", 100 + int(i * gap_s), round(i * gap_s % 1 * 1e6), 1, code, value)
        for i, code in enumerate(codes)
        for value in (1, 0)
    )


@pytest.fixture
def run(gate):
    def run(*arguments, check=0):
        done = CliRunner().invoke(main, ["--config", str(gate.config), "readers", *arguments])
        assert done.exit_code == check, done.output
        assert "Traceback" not in done.output
        return done.output

    return run


@pytest.fixture
def device(tmp_path):
    """Return a function that makes a pipe act as a reader, which types this stream once it is opened."""
    path, holders = tmp_path / "event7", []
    os.mkfifo(path)

    def hold(stream):
        def write():
            with path.open("wb", buffering=0) as pipe:
                pipe.write(stream)
                time.sleep(2.5)

        holders.append(threading.Thread(target=write, daemon=True))
        holders[-1].start()
        return str(path)

    yield hold
    for holder in holders:
        holder.join(10)


def test_a_reader_is_learnt_from_one_card_and_written_to_the_settings(gate, run, device):
    path = device(strokes("0006729715", [TAB], 0.06))
    output = run("learn", "--device", path)
    assert "10 keys, at most 60 ms apart, then Tab" in output
    assert "decimal: 0006729715" in output
    assert "systemctl restart gated" in output
    readers = load(gate.config).readers
    assert readers.devices == (path,)
    assert readers.usb == {path: UsbSettings("card", "tab", 120)}
    assert not is_borrowed(gate.state)


def test_a_keypad_is_learnt_as_a_keypad(gate, run, device):
    path = device(strokes("1234", [ENTER], 0.3))
    run("learn", "--device", path, "--keypad")
    assert load(gate.config).readers.usb == {path: UsbSettings("keypad")}


def test_a_dry_run_prints_the_lines_and_writes_nothing(gate, run, device):
    before = gate.config.read_text()
    path = device(strokes("0006729715", [ENTER], 0.01))
    assert f'[readers.usb."{path}"]' in run("learn", "--device", path, "--dry-run")
    assert gate.config.read_text() == before


def test_typing_by_hand_is_refused_with_the_next_step(gate, run, device):
    before = gate.config.read_text()
    path = device(strokes("13579246", [ENTER], 0.9))
    assert "--keypad" in run("learn", "--device", path, check=2)
    assert gate.config.read_text() == before


def test_a_silent_reader_and_a_missing_reader_give_an_error(run, tmp_path):
    os.mkfifo(tmp_path / "silent")
    assert "nothing was typed" in run("learn", "--device", str(tmp_path / "silent"), "--seconds", "1", check=3)
    assert "plug one in" in run("learn", "--device", str(tmp_path / "none"), check=3)


def test_an_output_is_shown_with_every_reading_and_its_card(gate, run, device):
    path = device(strokes("0006729715", [TAB], 0.06))
    config = gate.config.read_text()
    gate.config.write_text(f'{config}\n[readers]\ndevices = ["{path}"]\n')
    output = run("show", "--seconds", "3")
    assert f"reader {path}: a card, 10 keys" in output
    assert "w26:102-45043, printed 102,45043" in output
    assert "w34:102-45043" in output


def test_reports_of_the_brain_are_shown(gate, run):
    said = [
        ReaderReading("wiegand of the main door", "main", "card", "w26:12-3456", "a card, 26 bits"),
        ReaderReading("wiegand of the main door", "main", "odd", detail="35 bits, parity wrong: D0 and D1 swapped?"),
        ReaderReading("keypad of the main door", "main", "pin"),
    ]

    gate.state.mkdir(mode=0o700)

    def tell():
        until = time.monotonic() + 20
        while not (gate.state / READINGS_SOCKET).exists() and time.monotonic() < until:
            time.sleep(0.02)
        for each in said:
            ReadingSender(gate.state).send(each)

    telling = threading.Thread(target=tell)
    telling.start()
    output = run("show", "--seconds", "2", "--json")
    telling.join()
    decoder, at, found = json.JSONDecoder(), 0, []
    while (at := output.find("{", at)) >= 0:
        value, at = decoder.raw_decode(output, at)
        found.append(value)
    assert [each["said"]["kind"] for each in found] == ["card", "odd", "pin"]
    assert {"kind": "26 bits", "reading": "w26:12-3456, printed 012,03456"} in found[0]["readings"]
    assert found[1]["said"]["what"] == "35 bits, parity wrong: D0 and D1 swapped?"
    assert found[2]["readings"] == []
    assert not (gate.state / READINGS_SOCKET).exists()


class TestWithAGateThatRuns:
    """The brain owns the readers. It shows their data, lends them to `learn`, and takes them back."""

    @pytest.fixture
    def usb(self, tmp_path):
        path = tmp_path / "usb"
        os.mkfifo(path)
        return path

    @pytest.fixture
    def running(self, gate, usb, wait_for):
        (gate.folder / "frames").mkdir()
        gate.write(
            models={"set": "courtyard", "dir": str(MODELS)},
            camera={"kind": "replay", "path": str(gate.folder / "frames")},
            door={"wiegand_pins": [12, 13]},
            readers={"devices": [str(usb)]},
        )
        gate.start("run")
        wait_for(lambda: "on duty" in gate.log("run"))
        return gate

    def swipe(self, usb, text):
        """Hold a card to the reader, once a process reads it. During a hand-over the pipe has no reader."""
        until = time.monotonic() + 20
        while True:
            try:
                fd = os.open(usb, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:
                assert time.monotonic() < until, "nobody reads the device"
                time.sleep(0.05)
            else:
                break
        os.write(fd, strokes(text, [TAB], 0.06))
        time.sleep(0.3)
        os.close(fd)

    def test_results_of_show_and_learn_are_shown_to_people_and_programs(self, running, usb, wait_for):
        showing = running.start("readers", "show", "--seconds", "60")
        wait_for((running.state / READINGS_SOCKET).exists)
        channel_play(running.state / "latch.sock", "wiegand:" + turned(framed(f"{102:08b}{45043:016b}")))
        wait_for(lambda: "26 bits, parity wrong: D0 and D1 swapped?" in running.log("readers"))
        channel_play(running.state / "latch.sock", "wiegand:" + framed(f"{102:08b}{45043:016b}"))
        wait_for(lambda: "decimal" in running.log("readers") or "26 bits: w26:102-45043" in running.log("readers"))
        self.swipe(usb, "0006729715")
        wait_for(lambda: f"reader {usb}: a card, 10 keys" in running.log("readers"))
        showing.terminate()
        showing.wait(10)
        learning = running.start("readers", "learn", "--device", str(usb), "--dry-run")
        wait_for(lambda: "hold a card to the reader" in running.log("readers"))
        wait_for(lambda: any(f"reader {usb}" in event["lost"] for event in running.events("degraded")), every_s=0.3)
        self.swipe(usb, "0007654321")
        assert learning.wait(30) == 0, running.log("readers")
        assert "10 keys, at most 60 ms apart, then Tab" in running.log("readers")
        self.swipe(usb, "0001112223")
        wait_for(lambda: len(running.events("way_denied")) >= 3, every_s=0.3)
        assert [event["reason"] for event in running.events("way_denied")] == ["unknown"] * 3, "a card is no PIN"
        assert {event["way"] for event in running.events("way_denied")} == {"card"}
        (misread,) = running.events("reader_misread")
        assert misread["what"] == "26 bits, parity wrong: D0 and D1 swapped?"
        for number in ("6729715", "45043", "7654321", "1112223"):
            assert number not in running.log("run")


def framed(body):
    first, last = body[:12], body[12:]
    return str(first.count("1") % 2) + body + str(1 - last.count("1") % 2)


def turned(bits):
    return bits.translate(str.maketrans("01", "10"))


def channel_play(path, line):
    """Drive one line of a latch with mock pins, as the outside world does."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(str(path))
        channel = BlockingChannel[FromLatch](sock, FromLatch)
        channel.send(Hello(observer=True))
        assert channel.receive() == Welcome()
        channel.send(DriveLine(line, True, "main"))
        channel.send(LatchHeartbeat())
        channel.receive()

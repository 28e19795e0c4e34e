"""The gate's screen shows the page, or its log says why not and what to do."""

import os
import subprocess
import time
from pathlib import Path

import pytest

SCREEN = Path(__file__).parents[2] / "systemd" / "screen"
UNIT = SCREEN.with_name("gated-kiosk.service")


class Machine:
    """A machine with stand-in programs, a display and a page, each of which can be missing."""

    def __init__(self, folder):
        self.folder, self.bin, self.cards = folder, folder / "bin", folder / "drm"
        self.bin.mkdir()
        for name in ("sh", "bash", "grep", "sleep", "timeout", "printf", "cat"):
            (self.bin / name).symlink_to(f"/usr/bin/{name}")
        for name in ("cage", "chromium"):
            self.program(name, f'echo "{name} $*"')
        self.program("fc-list", "echo 'Noto Sans CJK SC'")
        self.display("connected")

    def program(self, name, body):
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.bin / name).chmod(0o755)

    def display(self, status):
        (self.cards / "card0-HDMI-A-1").mkdir(parents=True, exist_ok=True)
        (self.cards / "card0-HDMI-A-1/status").write_text(f"{status}\n")

    def start(self, page):
        env = {"PATH": str(self.bin), "GATED_CARDS": str(self.cards), "GATED_WAIT_S": "0.1"}
        pipe = subprocess.PIPE
        command = ["/bin/sh", str(SCREEN), page]
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=env)

    def run(self, page):
        process = self.start(page)
        said, problem = process.communicate(timeout=30)
        return process.returncode, said, problem


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def page():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def test_where_everything_is_there_the_page_is_shown(machine, page):
    code, output, problem = machine.run(page)
    assert (code, problem) == (0, "")
    assert output.startswith("cage -- chromium --kiosk")  # -s would allow the keyboard to leave the screen
    assert output.rstrip().endswith(page)


@pytest.mark.parametrize(
    ("lacks", "package"), [("cage", "cage"), ("chromium", "chromium"), ("fc-list", "fonts-noto-cjk")]
)
def test_a_missing_program_is_named_with_the_command_and_not_tried_again(machine, page, lacks, package):
    (machine.bin / lacks).unlink()
    code, _, problem = machine.run(page)
    assert code == 78
    assert f"not installed: {package}; run 'sudo apt-get install {package}'" in problem
    assert "RestartPreventExitStatus=78" in UNIT.read_text()


def test_all_that_is_missing_is_named_at_once(machine, page):
    (machine.bin / "cage").unlink()
    machine.program("fc-list", "exit 0")
    assert "sudo apt-get install cage fonts-noto-cjk" in machine.run(page)[2]


def read_until(process, words):
    for line in process.stderr:
        if words in line:
            return line
    raise AssertionError(f"never said: {words}")


def test_the_screen_waits_for_a_later_display_and_logs_it_once(machine, page):
    machine.display("disconnected")
    process = machine.start(page)
    read_until(process, "no display is connected; waiting for one")
    time.sleep(0.3)
    machine.display("connected")
    said, problem = process.communicate(timeout=30)
    assert said.startswith("cage")
    assert problem == ""


def test_a_page_that_nobody_serves_is_waited_for_with_what_to_do(machine):
    process = machine.start("http://127.0.0.1:9/")
    line = read_until(process, "nobody serves http://127.0.0.1:9/")
    assert "set [cues] screen_port = 9" in line
    process.kill()
    process.communicate()


def test_the_unit_is_never_skipped_in_silence():
    text = UNIT.read_text()
    assert "Condition" not in text
    assert "StandardError=journal" in text
    assert os.access(SCREEN, os.X_OK)

"""Runs the commands of the first page as they stand: a gate in five commands, and an office in five."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from gated.simulator.desk import portrait
from gated.simulator.morning import residents
from gated.simulator.network import find_mosquitto, free_port
from gated.simulator.script import Script, write_script
from gated.simulator.view import View

PAGE = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
PATIENCE_S = 300.0
"""The longest wait for one command, on a busy machine."""
A_DESK = {
    '# pins = "gpio"': 'pins = "mock"',
    '# set = "evaluation"': 'set = "courtyard"',
    '# state_dir = "/var/lib/gated"': 'state_dir = "state"',
    '# kind = "picamera2"': 'kind = "simulated"',
    '# path = ""': 'path = "scene.json"',
    '# clock = "auto"': 'clock = "trusted"',
    '# rex_waiver = ""': 'rex_waiver = "a test"',
}
"""What a user without hardware changes in the example settings."""


def commands(title):
    """Return the five commands of a section of the page."""
    block = re.search(rf"## {title}\n.*?```sh\n(.*?)```", PAGE, re.DOTALL)[1]
    return [re.sub(r"\s+#.*", "", line) for line in block.splitlines()]


class Shell:
    """A folder with the program `gated`, in which the commands of the page run."""

    def __init__(self, folder):
        self.folder, self.started = folder, []
        self.program = folder / "bin/gated"
        self.program.parent.mkdir()
        self.program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m gated "$@"\n')
        self.program.chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{self.program.parent}:{os.environ['PATH']}:/usr/sbin"}

    def run(self, line, typed="y\n"):
        """Run a command to its end and return its output. It must succeed."""
        done = self._done(line, typed)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def _done(self, line, typed=""):
        return subprocess.run(
            ["sh", "-c", line], cwd=self.folder, env=self.environment, input=typed, capture_output=True, text=True,
            timeout=PATIENCE_S, check=False,
        )  # fmt: skip

    def start(self, line):
        """Start a command in the background."""
        log = (self.folder / f"{len(self.started)}.log").open("wb")
        self.started.append(
            subprocess.Popen(["sh", "-c", f"exec {line.rstrip(' &')}"], cwd=self.folder, env=self.environment,
                             stdout=log, stderr=log)
        )  # fmt: skip

    def until(self, line, wanted=""):
        """Repeat a command until it succeeds and its output contains `wanted`."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            done = self._done(line)
            if done.returncode == 0 and wanted in done.stdout:
                return done.stdout
            time.sleep(0.3)
        raise AssertionError(f"{line}\n{done.stdout}{done.stderr}\n{self.logs()}")

    def logs(self):
        return "\n".join(path.read_text("utf-8", "replace") for path in sorted(self.folder.glob("*.log")))

    def settings(self, **changed):
        """Change lines of the example settings."""
        path = self.folder / "gated.toml"
        text = path.read_text("utf-8")
        for old, new in {**A_DESK, **changed}.items():
            assert old in text, old
            text = text.replace(old, new, 1)
        path.write_text(text, "utf-8")

    def close(self):
        for process in reversed(self.started):
            process.send_signal(signal.SIGTERM)
        for process in self.started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def shell(tmp_path):
    shell = Shell(tmp_path)
    write_script(Script(), tmp_path / "scene.json")
    yield shell
    shell.close()


@pytest.mark.slow
def test_five_commands_make_a_working_gate(shell):
    write, check, enrol, run, status = commands("Your own gate in five commands")
    Image.fromarray(portrait(residents(1)[0], View(smile=0.2))).save(shell.folder / "a.jpg", quality=95)
    shell.run(write)
    shell.settings()
    assert "fix  " not in shell.run(check)
    assert "Wang Fang" in shell.run(enrol)
    shell.start(run)
    shell.until(status, "main secured")


@pytest.mark.slow
@pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")
def test_five_commands_of_the_office_join_a_gate(shell):
    ports = free_port(), free_port()
    init, broker, serve, invite, pair = commands("The office in five commands")
    init = init.replace("office.example.org", f"127.0.0.1 --port {ports[0]} --pairing-port {ports[1]}")
    shell.run(init, typed="\n")
    shell.start(broker.replace("mosquitto", shutil.which("mosquitto", path=shell.environment["PATH"]), 1))
    shell.start(serve)
    [invited] = json.loads(shell.until(f"{invite} --json"))
    shell.run("gated config new > gated.toml")
    shell.settings(**{'id = "courtyard-2"': 'id = "market-south"', 'id = "front"': 'id = "gate-2"'})
    assert "[sync]" in shell.until(pair.replace("CODE", invited["code"]))

"""Tests `gated evaluate --live` with an installer at a terminal, and a simulated camera that shows what is asked."""

import json
import os
import pty
import subprocess
import sys
import threading

import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.cli.evaluate_live import DONE
from gated.simulator.script import Actor, Held, Script, write_script

pytestmark = pytest.mark.slow


@pytest.fixture
def stage(gate, tmp_path):
    """Return a gate with the simulated camera, and its script."""
    script = tmp_path / "scene.json"
    write_script(Script(ends_s=3600.0), script)
    gate.write(camera={"kind": "simulated", "path": str(script)}, models={"set": "courtyard"})
    return gate, script


class Installer:
    """The command on a terminal, and the person before the camera."""

    def __init__(self, gate, *arguments):
        self._ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "gated", "--config", str(gate.config), "evaluate", "--live", *arguments]
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def begins(self):
        os.write(self._ours, b"\n")

    def _read(self):
        try:
            while data := os.read(self._ours, 4096):
                self.said += data.decode(errors="replace")
        except OSError:
            return


def test_an_installer_measures_faces_and_prints_and_the_page_shows_them(stage, wait_for):
    gate, script = stage
    installer = Installer(gate, "--bona-fide", "1", "--prints", "1", "--phones", "0")
    try:
        wait_for(lambda: "bona fide 1 of 1" in installer.said, 60)
        write_script(Script((Actor(100_000_001, 0.0, walk_s=0.5),), ends_s=3600.0), script)
        installer.begins()
        wait_for(lambda: any(text in installer.said for text in DONE.values()), 60)
        print(installer.said)
        write_script(Script(ends_s=3600.0), script)
        wait_for(lambda: "print 1 of 1" in installer.said, 60)
        held = Held("print", 100_000_002)
        write_script(Script((Actor(500_000_001, 0.0, walk_s=0.5, holds=held),), ends_s=3600.0), script)
        installer.begins()
        wait_for(lambda: "stored; the handover page shows it" in installer.said, 60)
        assert installer.process.wait(30) == 0
    finally:
        installer.process.kill()
    assert "\x1b" not in installer.said, "plain lines alone, for a screen reader"
    measured = json.loads((gate.state / "attack_rates.json").read_text())
    shown = [(rate["of"], rate["errors"], rate["n"] + rate["unanswered"]) for rate in measured["rates"]]
    assert shown == [("bona fide", 0, 1), ("print", 0, 1)], "a slow machine may give no answer, and no wrong one"
    assert not list(gate.state.glob("journal*")), "no attack counts against a resident, and no door opened"
    assert not gate.lock_is_on()


def test_a_running_gate_keeps_its_camera(stage, wait_for):
    gate, _ = stage
    gate.start("run")
    wait_for((gate.state / "run.lock").exists)
    wait_for(lambda: "on duty" in gate.log(), 60)
    installer = Installer(gate)
    assert installer.process.wait(60) != 0
    wait_for(lambda: "stop it first" in installer.said)


@pytest.mark.parametrize(
    ("arguments", "told"), [([], "needs a terminal and a person"), (["--pairs", "x.csv"], "are two sources")]
)
def test_without_an_installer_nothing_begins(stage, arguments, told):
    gate, _ = stage
    done = CliRunner().invoke(main, ["--config", str(gate.config), "evaluate", "--live", *arguments])
    assert done.exit_code == 2
    assert told in done.output
    assert not (gate.state / "run.lock").exists()

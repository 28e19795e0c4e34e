"""A real brain with settings on trial keeps good settings, and restarts without bad ones."""

import os
import signal
import subprocess
import sys

import pytest
from PIL import Image

from gated.config import load
from gated.config.proposing import propose

pytestmark = pytest.mark.slow

BRAIN = """
import sys
from gated.cli import main
from gated.config import settings_trial as trial
trial.HEALTHY_S, trial.DECIDED_S = {healthy_s}, {decided_s}
main(prog_name="gated")
"""
"""The real brain with shorter trial times, because a test cannot wait for half a minute."""


@pytest.fixture
def home(gate):
    """Yield a gate that sees an empty street, with the models that ship."""
    frames = gate.folder / "frames"
    frames.mkdir()
    Image.new("RGB", (640, 480), (90, 90, 90)).save(frames / "0.png")
    gate.write(models={"dir": str(gate.folder / "models"), "set": "courtyard"}, camera={"loop": True})
    gate.brains = []
    yield gate
    for brain in gate.brains:
        brain.kill()
        brain.wait()


def brain(gate, healthy_s=0.5, decided_s=60.0):
    code = BRAIN.format(healthy_s=healthy_s, decided_s=decided_s)
    log = (gate.folder / "brain.log").open("ab")
    command = [sys.executable, "-c", code, "--config", gate.config, "run"]
    gate.brains.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))
    return gate.brains[-1]


def patiently(gate, true):
    """Wait for a condition, and look seldom, because each look starts a process."""
    return gate.wait_for(true, 60, 0.3)


def tried(gate):
    return [(event["outcome"], event.get("why", "")) for event in gate.events("settings_tried")]


def test_settings_with_which_all_parts_work_are_kept(home):
    propose(home.config, "access.frames = 7\n")
    process = brain(home)
    patiently(home, lambda: tried(home))
    assert tried(home) == [("kept", "")]
    assert load(home.config).access.frames == 7
    process.terminate()
    assert process.wait(20) == 0
    assert not (home.state / "office.trial.toml").exists()


def test_settings_that_lose_a_part_are_rolled_back_by_a_restart(home):
    propose(home.config, 'models.set = "evaluation"\n')  # this set's files are missing here
    assert brain(home, healthy_s=2.0, decided_s=2.5).wait(60) == 0
    assert tried(home) == [("rolled_back", "parts lost during the trial: vision")]
    assert load(home.config).models.set == "courtyard"
    assert home.events("stopped")[-1]["why"] == "settings rolled back"


def test_a_missing_model_set_ends_no_brain_and_is_rolled_back(home):
    propose(home.config, 'models.set = "there-is-none"\n')
    assert brain(home, healthy_s=2.0, decided_s=2.5).wait(60) == 0
    assert tried(home) == [("rolled_back", "parts lost during the trial: vision")]


def test_settings_that_end_the_brain_are_dropped_after_three_starts(home):
    propose(home.config, "access.frames = 7\n")
    for start in range(1, 4):
        process = brain(home, healthy_s=600.0)
        patiently(home, lambda: len(home.events("started")) == start)  # noqa: B023 - it is called here and now
        process.kill()
        process.wait()
    process = brain(home)
    ((outcome, why),) = patiently(home, lambda: tried(home))
    assert outcome == "rolled_back"
    assert "3 starts" in why
    process.terminate()
    assert process.wait(20) == 0


def test_a_kill_during_a_trial_counts_as_one_of_the_three_starts(home):
    propose(home.config, "access.frames = 7\n")
    for start in range(1, 3):
        process = brain(home, healthy_s=600.0)
        patiently(home, lambda: len(home.events("started")) == start)  # noqa: B023 - it is called here and now
        if start == 1:
            assert brain(home).wait(60) == 3
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert f'"starts":{start}' in (home.state / "office.trial.toml").read_text()
        assert load(home.config).access.frames == 3

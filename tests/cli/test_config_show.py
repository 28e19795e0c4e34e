"""`gated config show` prints the settings in force and the source of each. The latch uses only the installer's."""

import json

from gated.config.proposing import propose
from gated.config.settings_trial import begin
from gated.events import SettingsTried


def shown(gate):
    return json.loads(gate.run("config", "show", check=0).stdout)


def test_without_an_office_every_value_comes_from_the_gate(gate):
    found = shown(gate)
    assert (found["office"], found["on_trial"]) == ([], [])
    assert found["settings"]["door"]["release_s"] == 2.0
    assert found["settings"]["access"]["frames"] == 3


def test_values_of_the_office_are_marked_and_values_on_trial_are_not_in_force(gate):
    propose(gate.config, "access.frames = 7\n[schedules.day]\nstart = '06:00'\n")
    begin(gate.config).trial.apply_verdict(SettingsTried("kept"))
    propose(gate.config, "access.margin = 0.5\n")
    found = shown(gate)
    assert found["office"] == ["access.frames", "schedules.day.start"]
    assert found["on_trial"] == ["access.margin"]
    assert (found["settings"]["access"]["frames"], found["settings"]["access"]["margin"]) == (7, 0.05)


def test_the_latch_runs_with_any_settings_of_the_office(gate):
    gate.state.mkdir(mode=0o700)
    (gate.state / "office.toml").write_text("door.lock_pin = 4\n")
    done = gate.run("config", "show", check=2)
    assert "office.toml: door.lock_pin: the office may not set this key" in done.stderr
    gate.run("latch", "--exit-when-idle", "0.1", check=0)

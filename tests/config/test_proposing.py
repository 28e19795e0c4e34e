"""Settings from the office are stored only if they are valid as a whole, and a model set replaces nothing else."""

import pytest

from gated.config.proposal import read_proposal
from gated.config.proposing import propose, propose_models
from gated.config.settings_trial import begin
from gated.errors import ConfigError
from gated.events import SettingsTried


@pytest.fixture
def config(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    (tmp_path / "gated.toml").write_text('state_dir = "state"\n[site]\nid = "a"\n[gate]\nid = "b"\n')
    return tmp_path / "gated.toml"


def test_a_proposal_counts_no_start_and_names_the_parts_that_were_lost_before(config):
    propose(config, "access.frames = 7\n", ["vision", "disk"])
    stored = read_proposal(config.parent / "state")
    assert (stored.mark.starts, stored.mark.lost, stored.toml) == (0, ["disk", "vision"], "access.frames = 7\n")


def test_an_invalid_proposal_is_refused_with_every_problem_and_changes_nothing(config):
    propose(config, "access.frames = 7\n")
    with pytest.raises(ConfigError) as caught:
        propose(config, "access.frames = 0\ndoor.lock_pin = 3\nsync.url = 'mqtts://evil'\n")
    assert {p.split(":")[0] for p in caught.value.problems} == {"access.frames", "door.lock_pin", "sync.url"}
    assert begin(config).settings.access.frames == 7


def test_a_new_model_set_changes_no_other_key(config):
    propose(config, 'access.frames = 7\n[schedules.day]\nstart = "06:00"\ndays = ["mon", "holiday"]\n')
    begin(config).trial.apply_verdict(SettingsTried("kept"))
    propose_models(config, "site", ["vision"])
    start = begin(config)
    assert (start.settings.models.set, start.settings.access.frames) == ("site", 7)
    assert start.settings.schedules["day"].days == ("mon", "holiday")
    assert start.trial.proposal.mark.lost == ["vision"]


def test_a_model_set_is_proposed_without_earlier_office_settings(config):
    propose_models(config, "site")
    assert begin(config).settings.models.set == "site"

"""Tests the trial file, which both the guard and the updater read: each understands what the other writes."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.errors import StateError
from gated.update.trial import STARTS, VersionTrial, decoded, read_trial, remove_trial

GUARD = Path(__file__).parents[2] / "systemd" / "guard"
COUNT = st.integers(0, 10**9)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z"), include_characters=" "), max_size=60)


@given(COUNT, COUNT, COUNT, TEXT, TEXT)
def test_a_written_trial_is_read_back(brain, latch, since, lost, why):
    trial = VersionTrial("0.1.0", "0.2.0", brain, latch, since, lost.strip(), why.strip())
    assert decoded(trial.encoded().decode().splitlines()) == trial


@given(st.text(max_size=200))
def test_no_reason_breaks_the_file(why):
    trial = VersionTrial("0.1.0", "0.2.0").condemned(why)
    assert decoded(trial.encoded().decode("utf-8", "surrogatepass").split("\n")).after == "0.2.0"


def test_a_trial_file_is_written_read_and_removed(tmp_path):
    assert read_trial(tmp_path) is None
    VersionTrial("0.1.0", "0.2.0", since=7).write(tmp_path)
    assert read_trial(tmp_path) == VersionTrial("0.1.0", "0.2.0", since=7)
    remove_trial(tmp_path)
    remove_trial(tmp_path)
    assert read_trial(tmp_path) is None


@pytest.mark.parametrize(
    "damage", ["", "before 0.1.0\n", "before\nafter\n", "before a\nafter b\nbrain x\nlatch 0\nsince 0\n"]
)
def test_the_error_for_a_damaged_trial_has_the_next_step(tmp_path, damage):
    (tmp_path / "trial").write_text(damage)
    with pytest.raises(StateError, match="remove this file"):
        read_trial(tmp_path)


def test_the_error_for_a_user_without_write_access_names_root(tmp_path):
    with pytest.raises(StateError, match="as root"):
        VersionTrial("0.1.0", "0.2.0").write(tmp_path / "nowhere")


def test_the_guard_gives_it_as_many_starts(tmp_path):
    assert re.search(r"^most=(\d+)$", GUARD.read_text(), re.MULTILINE)[1] == str(STARTS)
    assert VersionTrial("0.1.0", "0.2.0").condemned("no").brain == STARTS

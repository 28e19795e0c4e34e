"""Measurements made while the gate stood still appear with their date on a later page."""

import os
from datetime import UTC, datetime

import pytest

from gated.doctor.finding import amber, green, red
from gated.doctor.trial_record import NAME, recall, remember
from gated.errors import StateError

MONDAY, TUESDAY = datetime(2026, 12, 21, tzinfo=UTC), datetime(2026, 12, 22, tzinfo=UTC)


def test_the_newest_trial_of_each_part_is_kept_with_its_day(tmp_path):
    remember(tmp_path, [red("lights", "one is dark", "look"), green("sound", "heard", volume=0.8)], MONDAY)
    remember(tmp_path, [green("lights", "shine")], TUESDAY)
    kept = {each.part: each for each in recall(tmp_path)}
    assert kept["lights"].result == "shine (2026-12-22)"
    assert (kept["sound"].result, kept["sound"].figures) == ("heard (2026-12-21)", {"volume": 0.8})
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_without_a_trial_or_a_gate_no_file_is_created(tmp_path):
    remember(tmp_path, [], MONDAY)
    remember(tmp_path / "none", [green("sound", "heard")], MONDAY)
    assert list(tmp_path.iterdir()) == []
    assert recall(tmp_path) == recall(tmp_path / "none") == []


def test_root_leaves_no_file_of_its_own_in_another_users_folder(tmp_path):
    if os.geteuid() == 0:
        os.chown(tmp_path, 65534, 65534)
        remember(tmp_path, [green("sound", "heard")], MONDAY)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff"])
def test_a_damaged_record_is_ignored_and_replaced_by_the_next_trial(tmp_path, data):
    (tmp_path / NAME).write_bytes(data)
    assert recall(tmp_path) == []
    remember(tmp_path, [amber("sound", "faint", "louder")], MONDAY)
    assert [each.part for each in recall(tmp_path)] == ["sound"]


def test_an_unwritable_folder_is_reported(tmp_path):
    (tmp_path / f".{NAME}.new").mkdir()
    with pytest.raises(StateError, match="ask as the gate's user"):
        remember(tmp_path, [green("sound", "heard")], MONDAY)

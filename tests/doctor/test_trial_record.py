"""Measurements made while the gate stood still appear with their date on a later page."""

import os
from datetime import UTC, datetime

import pytest

from gated.doctor.finding import amber, green, red
from gated.doctor.trial_record import NAME, recall, remember
from gated.errors import StateError

MONDAY, TUESDAY = datetime(2026, 12, 21, tzinfo=UTC), datetime(2026, 12, 22, tzinfo=UTC)


def test_the_newest_of_each_part_is_kept_with_its_day(tmp_path):
    remember(tmp_path, [red("lights", "one is dark", "look"), green("sound", "heard", volume=0.8)], MONDAY)
    remember(tmp_path, [green("lights", "shine")], TUESDAY)
    kept = {each.part: each for each in recall(tmp_path)}
    assert kept["lights"].result == "shine (2026-12-22)"
    assert (kept["sound"].result, kept["sound"].figures) == ("heard (2026-12-21)", {"volume": 0.8})
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_nothing_is_made_where_nothing_was_tried_or_no_gate_lives(tmp_path):
    remember(tmp_path, [], MONDAY)
    remember(tmp_path / "none", [green("sound", "heard")], MONDAY)
    assert list(tmp_path.iterdir()) == []
    assert recall(tmp_path) == recall(tmp_path / "none") == []


def test_in_the_folder_of_another_user_root_leaves_nothing_behind(tmp_path):
    if os.geteuid() == 0:
        os.chown(tmp_path, 65534, 65534)
        remember(tmp_path, [green("sound", "heard")], MONDAY)
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff"])
def test_a_file_that_is_broken_is_no_memory_and_is_mended_by_the_next(tmp_path, data):
    (tmp_path / NAME).write_bytes(data)
    assert recall(tmp_path) == []
    remember(tmp_path, [amber("sound", "faint", "louder")], MONDAY)
    assert [each.part for each in recall(tmp_path)] == ["sound"]


def test_a_folder_that_takes_nothing_is_said(tmp_path):
    (tmp_path / f".{NAME}.new").mkdir()
    with pytest.raises(StateError, match="ask as the gate's user"):
        remember(tmp_path, [green("sound", "heard")], MONDAY)

"""A lockdown survives restarts, and a damaged lockdown file still counts as a lockdown."""

from datetime import UTC, datetime

import pytest

from gated.access.lockdown import (
    UNREADABLE_LOCKDOWN,
    LockdownRecord,
    begin_lockdown,
    end_lockdown,
    read_last_record,
    read_lockdown,
)
from gated.errors import StateError

AT = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)


def test_without_a_command_there_is_no_lockdown(tmp_path):
    assert read_lockdown(tmp_path) is None


def test_a_lockdown_lasts_until_it_is_ended(tmp_path):
    begin_lockdown(tmp_path, "the office", AT)
    assert read_lockdown(tmp_path) == LockdownRecord("the office", AT)
    end_lockdown(tmp_path)
    assert read_lockdown(tmp_path) is None


def test_the_person_who_ended_a_lockdown_is_recorded(tmp_path):
    begin_lockdown(tmp_path, "the office", AT)
    assert read_last_record(tmp_path) == read_lockdown(tmp_path)
    end_lockdown(tmp_path, "the guard")
    ended = read_last_record(tmp_path)
    assert (ended.by, ended.is_over) == ("the guard", True)


def test_a_lockdown_after_an_earlier_one_is_in_force(tmp_path):
    for _ in range(2):
        begin_lockdown(tmp_path, "the office", AT)
        assert read_lockdown(tmp_path) is not None
        end_lockdown(tmp_path, "the office")
        assert read_lockdown(tmp_path) is None


def test_an_unreadable_lockdown_can_be_ended(tmp_path):
    (tmp_path / "lockdown.json").write_bytes(b"{")
    end_lockdown(tmp_path, "the guard")
    assert read_lockdown(tmp_path) is None


def test_a_full_disk_does_not_keep_a_lockdown_from_ending(tmp_path):
    begin_lockdown(tmp_path, "the office", AT)
    (tmp_path / ".lockdown.json.new").mkdir()  # no file can replace the old one, as on a full disk
    end_lockdown(tmp_path, "the guard")
    assert read_lockdown(tmp_path) is None
    assert read_last_record(tmp_path) is None


def test_ending_no_lockdown_leaves_no_file(tmp_path):
    end_lockdown(tmp_path, "the guard")
    assert read_last_record(tmp_path) is None


@pytest.mark.parametrize("bytes_", [b"", b"{", b"\xff\xfe", b'{"by": 1}', b"[" * 100_000])
def test_an_unreadable_lockdown_file_counts_as_a_lockdown(tmp_path, bytes_):
    (tmp_path / "lockdown.json").write_bytes(bytes_)
    assert read_lockdown(tmp_path) == UNREADABLE_LOCKDOWN


def test_a_half_written_lockdown_is_never_read(tmp_path):
    (tmp_path / ".lockdown.json.new").write_bytes(b"{")  # the power failed during the write
    assert read_lockdown(tmp_path) is None


def test_a_missing_folder_is_reported(tmp_path):
    with pytest.raises(StateError, match="no lockdown has begun"):
        begin_lockdown(tmp_path / "gone", "x", AT)

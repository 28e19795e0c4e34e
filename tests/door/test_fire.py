"""A fire release outlives the latch's process, and never hangs on a file."""

import logging

from gated.door.fire import FireFlag


def test_set_it_is_there_for_the_next_process_and_taken_away_it_is_not(tmp_path):
    flag = FireFlag(tmp_path / "latch.fire")
    assert not flag.is_set
    flag.set(True)
    assert FireFlag(tmp_path / "latch.fire").is_set
    flag.set(False)
    assert not FireFlag(tmp_path / "latch.fire").is_set


def test_setting_it_again_is_nothing_new(tmp_path):
    flag = FireFlag(tmp_path / "latch.fire")
    flag.set(True)
    (tmp_path / "latch.fire").unlink()
    flag.set(True)
    assert not (tmp_path / "latch.fire").exists()


def test_where_it_cannot_be_written_the_release_stands_and_that_is_said(tmp_path, caplog):
    flag = FireFlag(tmp_path / "missing" / "latch.fire")
    with caplog.at_level(logging.ERROR):
        flag.set(True)
    assert flag.is_set
    assert "cannot be kept" in caplog.text
    flag.set(False)
    assert not flag.is_set


def test_where_it_cannot_be_read_the_fire_input_decides(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.ERROR):
        assert not FireFlag(tmp_path / "file" / "latch.fire").is_set
    assert "the fire input decides" in caplog.text

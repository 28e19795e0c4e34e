"""A fire release outlives the latch process, and does not depend on its file."""

import logging

from gated.door.fire import FireFlag


def test_the_next_process_sees_a_set_flag_and_no_cleared_one(tmp_path):
    flag = FireFlag(tmp_path / "latch.fire")
    assert not flag.is_set
    flag.set(True)
    assert FireFlag(tmp_path / "latch.fire").is_set
    flag.set(False)
    assert not FireFlag(tmp_path / "latch.fire").is_set


def test_setting_a_set_flag_writes_nothing(tmp_path):
    flag = FireFlag(tmp_path / "latch.fire")
    flag.set(True)
    (tmp_path / "latch.fire").unlink()
    flag.set(True)
    assert not (tmp_path / "latch.fire").exists()


def test_an_unwritable_flag_still_holds_and_is_logged(tmp_path, caplog):
    flag = FireFlag(tmp_path / "missing" / "latch.fire")
    with caplog.at_level(logging.ERROR):
        flag.set(True)
    assert flag.is_set
    assert "cannot be kept" in caplog.text
    flag.set(False)
    assert not flag.is_set


def test_with_an_unreadable_flag_the_fire_input_decides(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.ERROR):
        assert not FireFlag(tmp_path / "file" / "latch.fire").is_set
    assert "the fire input decides" in caplog.text

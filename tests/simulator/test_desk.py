"""A gate on a desk has valid settings, and its photos are good enough for enrolment."""

import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest

from gated.errors import StateError
from gated.events import AccessDenied, DoorReleased
from gated.simulator.desk import PHOTO_VIEWS, SIZE, Desk, JournalFact, portrait
from gated.simulator.morning import residents
from gated.simulator.script import Script, read_script


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path, {"models": {"set": "evaluation", "dir": "."}, "access": {"threshold": 0.5}})


def test_the_settings_describe_a_simulated_gate_in_its_folder(desk, tmp_path):
    settings = desk.settings
    assert (settings.camera.kind, settings.door.pins) == ("simulated", "mock")
    assert (settings.camera.width, settings.camera.height) == SIZE
    assert settings.state == tmp_path / "state"
    assert settings.access.threshold == 0.5
    assert read_script(desk.script) == Script()


def test_values_are_written_as_valid_toml(tmp_path):
    desk = Desk(tmp_path, {"door": {"relock_on_close": False, "socket": str(tmp_path / 'a "quoted" name')}})
    assert desk.settings.door.relock_on_close is False
    assert desk.settings.door.socket == str(tmp_path / 'a "quoted" name')


def test_journal_rows_are_read_once_and_in_order(desk):
    journal = desk.journal()
    assert desk.new_facts(journal) == []
    at = datetime(2027, 1, 15, tzinfo=UTC)
    journal.append(DoorReleased("rex", 3.0), at)
    journal.append(AccessDenied("v", "unknown", 0.5, 6, 3, 0.25), at)
    released, denied = desk.new_facts(journal)
    assert (released.kind, denied.kind) == ("door_released", "access_denied")
    assert released.frame_at == at.timestamp()
    assert denied.frame_at == at.timestamp() - 0.25
    assert desk.new_facts(journal) == []
    journal.close()


def test_the_error_for_an_ended_gate_contains_its_log(desk, tmp_path):
    desk.check_alive()
    (tmp_path / "log").write_text("gated: no such thing")
    desk._brain = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    desk._brain.wait()
    with pytest.raises(StateError, match=r"status 3:\ngated: no such thing"):
        desk.check_alive()


def test_without_a_gate_kill_vision_and_stop_do_nothing(desk):
    assert desk.kill_vision() is False
    assert desk.stop() == 0


def test_removing_an_unknown_person_is_an_error(desk):
    with pytest.raises(StateError, match="people remove failed"):
        desk.remove("0" * 16)


def test_photos_show_the_same_person_from_three_sides():
    photos = [portrait(residents(1)[0], view) for view in PHOTO_VIEWS]
    assert {photo.shape for photo in photos} == {(SIZE[1], SIZE[0], 3)}
    assert all(np.abs(photos[0].astype(int) - other).mean() > 1 for other in photos[1:])


def test_a_fact_has_the_time_of_its_frame():
    at = datetime(2027, 1, 15, tzinfo=UTC)
    assert JournalFact(at, "stopped", {}).frame_at == at.timestamp()

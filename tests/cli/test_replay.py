"""Tests `gated replay`: the user's own pictures before a simulated gate."""

import shutil
import subprocess
import sys

import pytest


def replay(*arguments):
    command = [sys.executable, "-m", "gated", "replay", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_a_person_with_two_pictures_is_enrolled_and_admitted_and_no_other(shared, tmp_path):
    for name in ("obama_1", "obama_2", "stranger_1"):
        shutil.copy(shared / "faces" / f"{name}.jpg", tmp_path)
    done = replay("--pictures", tmp_path, "--models", shared / "models")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "obama_2.jpg            OPEN for obama" in done.stdout
    assert "stranger_1.jpg         closed: unknown" in done.stdout


def test_a_folder_without_pictures_of_people_gives_the_next_step(tmp_path):
    done = replay("--pictures", tmp_path)
    assert done.returncode == 3
    assert "--pictures" in done.stderr
    assert "Traceback" not in done.stderr

"""A run of `hw_tests` away from a Pi: everything is listed, nothing is driven, and nobody is told that it went well."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gated.errors import BusyError
from gated.runtime.lock import FileLock

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path):
    """Call it with arguments and environment; gives what was said, and must end with `code`."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("GATED_HW")}
    folder = {"GATED_HW_FOLDER": str(tmp_path / "bench")}

    def run(*arguments, code=0, **environment):
        command = [sys.executable, "-m", "pytest", "hw_tests", "-p", "no:cacheprovider", *arguments]
        done = subprocess.run(
            command, cwd=PROJECT, env={**bare, **folder, **environment}, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    run.folder = tmp_path / "bench"
    return run


def test_all_are_listed_where_nothing_is_wired(run):
    told = run("--collect-only", "-q")
    for chapter in ("Relay", "Door", "Leaving", "Camera", "Sight", "Hands", "Power", "Endurance"):
        assert f"::Test{chapter}::" in told
    assert "error" not in told.lower().replace("is_an_error", "")


def test_away_from_a_pi_nothing_is_tried_and_each_says_what_it_needs(run):
    told = run()
    assert "needs a Raspberry Pi and GATED_HW=1, GATED_HW_LOCK_PIN, GATED_HW_PROBE_PIN" in told
    assert "relay: starting never drives the relay for an instant" in told
    assert " passed" not in told
    assert not run.folder.exists()


def test_a_dry_run_says_in_order_what_it_would_do_and_with_which_pins(run):
    told = run("--dry", GATED_HW="1", GATED_HW_LOCK_PIN="17", GATED_HW_PROBE_PIN="27")
    first, second = (told.index(f"{number}. relay: ") for number in (1, 2))
    assert first < second < told.index("not tried")
    assert "(lock_pin 17, probe_pin 27): Read the line with no latch running" in told
    assert not run.folder.exists()


def test_a_variable_that_does_not_exist_stops_the_run(run):
    assert "did you mean GATED_HW_LOCK_PIN?" in run(code=4, GATED_HW_LOCKPIN="17")


def test_two_runs_do_not_fight_over_one_bench(run):
    lock = FileLock(run.folder / "hw.lock", "a run of the hardware tests")
    told = run(code=4, GATED_HW="1")
    lock.close()
    assert "a run of the hardware tests runs already" in told
    assert str(os.getpid()) in told
    assert BusyError.__name__ not in told


def test_what_was_tried_and_failed_is_in_the_report(run):
    """Armed, and not on a Pi: the pins cannot be had, and the page says so and why."""
    told = run("-k", "the_line_is_off", code=1, GATED_HW="1", GATED_HW_LOCK_PIN="17", GATED_HW_PROBE_PIN="27")
    assert str(run.folder / "report.html") in told
    (result,) = json.loads((run.folder / "report.json").read_text())["results"]
    assert (result["promise"], result["outcome"]) == ("relay: the line is off while nobody drives it", "broken")
    assert "no GPIO" in result["why"]
    assert "no GPIO" in (run.folder / "report.html").read_text()

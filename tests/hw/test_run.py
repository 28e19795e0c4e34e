"""A run of `hw_tests` away from a Pi lists every promise, drives nothing, and reports no success."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gated.errors import BusyError
from gated.storage.process_lock import FileLock

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path):
    """A function that runs it with arguments and environment, and returns the output. It must exit with `code`."""
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


def test_all_promises_are_listed_without_wiring(run):
    output = run("--collect-only", "-q")
    for chapter in ("Relay", "Door", "Leaving", "Camera", "Sight", "Hands", "Power", "Endurance"):
        assert f"::Test{chapter}::" in output
    assert "error" not in output.lower().replace("is_an_error", "")


def test_away_from_a_pi_each_promise_names_its_missing_parts(run):
    output = run()
    assert "needs a Raspberry Pi and GATED_HW=1, GATED_HW_LOCK_PIN, GATED_HW_PROBE_PIN" in output
    assert "relay: starting never drives the relay for an instant" in output
    assert " passed" not in output
    assert not run.folder.exists()


def test_a_dry_run_lists_promises_in_order_with_their_pins(run):
    output = run("--dry", GATED_HW="1", GATED_HW_LOCK_PIN="17", GATED_HW_PROBE_PIN="27")
    first, second = (output.index(f"{number}. relay: ") for number in (1, 2))
    assert first < second < output.index("not tried")
    assert "(lock_pin 17, probe_pin 27): Read the line with no latch running" in output
    assert not run.folder.exists()


def test_an_unknown_variable_stops_the_run(run):
    assert "did you mean GATED_HW_LOCK_PIN?" in run(code=4, GATED_HW_LOCKPIN="17")


def test_a_second_run_on_one_bench_is_refused(run):
    lock = FileLock(run.folder / "hw.lock", "a run of the hardware tests")
    output = run(code=4, GATED_HW="1")
    lock.close()
    assert "a run of the hardware tests runs already" in output
    assert str(os.getpid()) in output
    assert BusyError.__name__ not in output


def test_a_failed_promise_is_in_the_report(run):
    """Armed, but not on a Pi: the pins cannot be claimed, and the page gives the reason."""
    output = run("-k", "the_line_is_off", code=1, GATED_HW="1", GATED_HW_LOCK_PIN="17", GATED_HW_PROBE_PIN="27")
    assert str(run.folder / "report.html") in output
    (result,) = json.loads((run.folder / "report.json").read_text())["results"]
    assert (result["promise"], result["outcome"]) == ("relay: the line is off without a driver", "broken")
    assert "no GPIO" in result["why"]
    assert "no GPIO" in (run.folder / "report.html").read_text()

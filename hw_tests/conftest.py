"""The wiring of the gate under test, from the environment; safe where nothing is said."""

import fcntl
import os
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "tests"))


@pytest.fixture
def pin():
    """A BCM pin from the environment; without it the test is skipped."""

    def pin(name):
        value = os.environ.get(name)
        if value is None:
            pytest.skip(f"needs {name}: see hw_tests/README.md")
        return int(value)

    return pin


@pytest.fixture(scope="session", autouse=True)
def copper():
    """One run at a time."""
    with (Path(tempfile.gettempdir()) / "gated-hw.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

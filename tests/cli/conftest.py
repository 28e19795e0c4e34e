"""Fixtures for the command-line tests: an office, and its commands run in this process."""

from contextlib import closing

import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.office.store import Store


@pytest.fixture
def store(tmp_path):
    with closing(Store.create(tmp_path / "office", "market-south")) as store:
        yield store


@pytest.fixture
def office(tmp_path, store):
    """Return a function that runs an office command. The exit code must equal `check`."""

    def run(*arguments, check=0, typed=None):
        arguments = ["office", "--dir", str(tmp_path / "office"), *map(str, arguments)]
        done = CliRunner().invoke(main, arguments, input=typed)
        assert done.exit_code == check, f"{arguments}: {done.exit_code}\n{done.output}"
        assert "Traceback" not in done.output
        return done.output

    return run

"""`gated update`: what it says, and that only root may change what the gate runs."""

import json
import os

import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.update.release import Releases
from gated.update.trial import Trial


@pytest.fixture
def root(tmp_path):
    """A root with two versions, the older current."""
    releases = Releases(tmp_path / "opt")
    for version in ("0.1.0", "0.2.0"):
        folder = releases.begin(version)
        (folder / "venv" / "bin").mkdir(parents=True)
        releases.program(version).touch()
        releases.finish(version)
    releases.switch("0.1.0")
    return releases.root


@pytest.fixture
def update(gate, root):
    """The command, run here."""
    gate.state.mkdir(mode=0o700)

    def run(*words, check=0):
        done = CliRunner().invoke(main, ["--config", str(gate.config), "update", "--root", str(root), *map(str, words)])
        assert "Traceback" not in done.output
        assert done.exit_code == check, done.output
        return done.output

    return run


def test_one_thing_at_a_time_is_asked_for(update):
    assert "say one of" in update(check=2)
    assert "say one of" in update("--status", "--back", check=2)


def test_the_versions_that_are_here_and_the_trial_are_shown(update, root):
    assert update("--status") == "0.1.0  runs\n0.2.0\n"
    Trial("0.1.0", "0.2.0", brain=2).write(root)
    assert "on trial: 0.2.0 in place of 0.1.0; brain started 2 times, latch 0" in update("--status")
    Trial("0.1.0", "0.2.0").condemned("lost with it: vision").write(root)
    assert "lost with it: vision" in update("--status")


def test_a_program_can_read_them(update, root):
    Trial("0.1.0", "0.2.0", since=4).write(root)
    said = json.loads(update("--status", "--json"))
    assert (said["current"], said["whole"], said["trial"]["since"]) == ("0.1.0", ["0.1.0", "0.2.0"], 4)


def test_whether_there_is_a_newer_one_is_told_and_nothing_is_done(update, tmp_path):
    place = tmp_path / "releases"
    place.mkdir(mode=0o755)
    assert "nothing newer" in update("--check", "--from", place)
    (place / "gated-0.3.0-py3-none-any.whl").touch()
    assert "0.3.0 is newer" in update("--check", "--from", place)
    assert "0.1.0  runs" in update("--status")


def test_only_root_may_change_what_runs(update, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "use sudo" in update("--back", check=1)
    assert "use sudo" in update("--to", "newest", check=1)


def test_what_is_not_there_is_told_with_the_next_step(update, tmp_path):
    assert "name a folder of releases with --from" in update("--to", "0.3.0", check=1)
    place = tmp_path / "releases"
    place.mkdir(mode=0o755)
    assert "has no 0.3.0" in update("--to", "0.3.0", "--from", place, check=1)
    assert "is not there" in update("--to", "./nothing.tar", check=1)
    assert "0.1.0 runs already" in update("--to", "newest", "--from", place)


def test_a_folder_that_others_may_write_is_no_source(update, tmp_path):
    place = tmp_path / "releases"
    place.mkdir()
    place.chmod(0o777)
    assert "others may write it" in update("--to", "newest", "--from", place, check=1)


def test_a_bundle_that_is_damaged_is_told_and_the_old_version_goes_on(update, root, tmp_path):
    (tmp_path / "bundle.tar").write_bytes(b"no tar")
    said = update("--to", tmp_path / "bundle.tar", check=1)
    assert "bring the file anew" in said
    assert said.count("\n") == 1, "one line, not what every decompressor thinks of it"
    assert Releases(root).current == "0.1.0"


def test_a_look_says_how_the_gate_is_for_another_version(update):
    assert json.loads(update("--step", "look"))["latch"] != ""

"""Tests `gated update`: its messages, and that only root may change the version that the gate runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.update.release import Releases
from gated.update.release_key import of_release_key
from gated.update.signature import read_keys
from gated.update.trial import VersionTrial

sys.path.append(str(Path(__file__).parents[1] / "update"))
from signing import make_key


@pytest.fixture
def root(tmp_path):
    """Return a root with two versions. The older version is current."""
    releases = Releases(tmp_path / "opt")
    for version in ("0.1.0", "0.2.0"):
        folder = releases.begin(version)
        (folder / "venv" / "bin").mkdir(parents=True)
        releases.program(version).write_text("#!/bin/sh\n")
        releases.program(version).chmod(0o755)
        releases.finish(version)
    releases.switch("0.1.0")
    return releases.root


@pytest.fixture
def update(gate, root):
    """Return a function that runs the command in this process."""
    gate.state.mkdir(mode=0o700)

    def run(*words, check=0):
        done = CliRunner().invoke(main, ["--config", str(gate.config), "update", "--root", str(root), *map(str, words)])
        assert "Traceback" not in done.output
        assert done.exit_code == check, done.output
        return done.output

    return run


def test_one_update_action_at_a_time_is_accepted(update):
    assert "give one of" in update(check=2)
    assert "give one of" in update("--status", "--back", check=2)


def test_the_installed_versions_and_the_trial_are_shown(update, root):
    no_key = "this gate trusts no release key yet; set one with `gated update --key release.pub`\n"
    assert update("--status") == f"0.1.0  runs\n0.2.0\n{no_key}"
    Releases(root).program("0.2.0").write_text("#!/usr/bin/python3.7-of-before\n")
    says = "0.2.0  does not run on this system: its Python is not on this system any more"
    assert update("--status") == f"0.1.0  runs\n{says}\n{no_key}"
    VersionTrial("0.1.0", "0.2.0", brain=2).write(root)
    assert "on trial: 0.2.0 in place of 0.1.0; brain started 2 times, latch 0" in update("--status")
    VersionTrial("0.1.0", "0.2.0").condemned("parts lost during the trial: vision").write(root)
    assert "parts lost during the trial: vision" in update("--status")


def test_versions_are_available_as_json(update, root):
    VersionTrial("0.1.0", "0.2.0", since=4).write(root)
    printed = json.loads(update("--status", "--json"))
    assert (printed["current"], printed["whole"], printed["trial"]["since"]) == ("0.1.0", ["0.1.0", "0.2.0"], 4)


def test_checking_for_a_newer_version_changes_nothing(update, tmp_path):
    place = tmp_path / "releases"
    place.mkdir(mode=0o755)
    assert "no newer version" in update("--check", "--from", place)
    (place / "gated-0.3.0-py3-none-any.whl").touch()
    assert "0.3.0 is newer" in update("--check", "--from", place)
    assert "0.1.0  runs" in update("--status")


def test_only_root_may_change_the_current_version(update, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "use sudo" in update("--back", check=1)
    assert "use sudo" in update("--to", "newest", check=1)


def test_a_missing_version_is_reported_with_the_next_step(update, tmp_path):
    assert "name a folder of releases with --from" in update("--to", "0.3.0", check=1)
    place = tmp_path / "releases"
    place.mkdir(mode=0o755)
    assert "has no 0.3.0" in update("--to", "0.3.0", "--from", place, check=1)
    assert "does not exist" in update("--to", "./nothing.tar", check=1)
    assert "0.1.0 runs already" in update("--to", "newest", "--from", place)


def test_a_folder_that_others_may_write_is_not_a_source(update, tmp_path):
    place = tmp_path / "releases"
    place.mkdir()
    place.chmod(0o777)
    assert "other users may write it" in update("--to", "newest", "--from", place, check=1)


def test_a_damaged_bundle_is_reported_and_the_old_version_continues(update, root, tmp_path):
    (tmp_path / "bundle.tar").write_bytes(b"no tar")
    printed = update("--to", tmp_path / "bundle.tar", check=1)
    assert "copy the file again" in printed
    assert printed.count("\n") == 1, "one line, not what every decompressor thinks of it"
    assert Releases(root).current == "0.1.0"


def test_the_look_step_prints_the_state_of_the_gate_for_another_version(update):
    assert json.loads(update("--step", "look"))["latch"] != ""


def test_trusting_a_key_as_root_shows_both_fingerprints(update, root, tmp_path, monkeypatch):
    """For a gate from an older version, or where the old key is lost."""
    keys = [make_key(tmp_path, name) for name in ("old", "new")]
    shown = [
        subprocess.run(["ssh-keygen", "-l", "-f", str(key)], capture_output=True, text=True, check=True).stdout.split()[
            1
        ]
        for key in keys
    ]
    update("--key", tmp_path / "old.pub", "--yes")
    printed = update("--key", tmp_path / "new.pub", check=1)
    assert f"trusted until now: {shown[0]} old\ntrusted from now on: {shown[1]} new" in printed
    assert Releases(root).keys[0].fingerprint == shown[0], "nobody said yes"
    update("--key", tmp_path / "new.pub", "--yes")
    assert json.loads(update("--status", "--json"))["keys"] == [shown[1]]
    assert shown[1] in update("--status")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "use sudo" in update("--key", tmp_path / "old.pub", "--yes", check=1)


def test_a_private_key_is_refused_as_a_release_key(update, root, tmp_path):
    make_key(tmp_path)
    update("--key", tmp_path / "release", "--yes", check=1)
    assert Releases(root).keys == []


@pytest.mark.parametrize("damage", ["", "ssh-ed25519 AAAA", "link"])
def test_trusting_a_key_repairs_a_damaged_key_file(update, root, tmp_path, damage):
    make_key(tmp_path)
    if damage == "link":
        (root / "release.pub").symlink_to("nowhere")
    else:
        (root / "release.pub").write_text(damage)
    assert "trusted until now: nothing" in update("--key", tmp_path / "release.pub", "--yes")
    assert len(Releases(root).keys) == 1
    assert not (root / "release.pub").is_symlink()


def test_check_and_doctor_show_the_release_key_or_its_absence(gate, root, tmp_path, monkeypatch):
    def release_key_findings():
        findings = list(of_release_key())
        printed = CliRunner().invoke(main, ["--config", str(gate.config), "check", "--json"]).stdout
        checks = [each for each in json.loads(printed)["checks"] if each["part"] == "release key"]
        assert [each["problem"] for each in checks] == [None] * len(findings), "no gate waits for a key"
        return [(each.light, bool(check["warning"])) for each, check in zip(findings, checks, strict=True)]

    gate.write(models={"dir": "nowhere"})
    monkeypatch.setenv("GATED_ROOT", str(tmp_path / "none"))
    assert release_key_findings() == [], "it was not installed by systemd/install"
    monkeypatch.setenv("GATED_ROOT", str(root))
    assert release_key_findings() == [("amber", True)]
    make_key(tmp_path)
    Releases(root).trust_keys(read_keys(tmp_path / "release.pub"))
    assert release_key_findings() == [("green", False)]
    (root / "release.pub").chmod(0o666)
    assert release_key_findings() == [("red", True)]

"""Tests the guard alone: it counts the starts of a trial version, rolls back after three, and never blocks the gate."""

import os
import subprocess
from pathlib import Path

import pytest

from gated.update.release import Releases
from gated.update.trial import VersionTrial, read_trial

GUARD = Path(__file__).parents[2] / "systemd" / "guard"
OLD, NEW = "0.1.0", "0.2.0"


@pytest.fixture
def root(tmp_path):
    """Return a root with two versions, the newer current. Each program records its arguments."""
    releases = Releases(tmp_path)
    for version in (OLD, NEW):
        program = releases.program(version)
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\n[ "$1" = --version ] || echo "{version} $*" >>{tmp_path}/asked\n')
        program.chmod(0o755)
    releases.switch(NEW)
    return tmp_path


def guard(root, unit="brain", path="/usr/bin:/bin", try_s="30"):
    env = {"PATH": path, "GATED_ROOT": str(root), "GATED_TRY_S": try_s}
    command = ["/bin/sh", str(GUARD), unit]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0
    return done.stderr


def current(root):
    return Releases(root).current


def asked(root):
    return (root / "asked").read_text() if (root / "asked").exists() else ""


def test_without_a_trial_it_does_nothing(root):
    before = sorted(root.iterdir())
    assert guard(root) == ""
    assert sorted(root.iterdir()) == before


@pytest.mark.parametrize("unit", ["brain", "latch"])
def test_three_starts_are_counted_and_the_fourth_is_of_the_version_before(root, unit):
    VersionTrial(OLD, NEW, since=5, lost="network").write(root)
    for start in (1, 2, 3):
        guard(root, unit)
        assert getattr(read_trial(root), unit) == start
        assert current(root) == NEW
    assert "going back to 0.1.0" in guard(root, unit)
    assert current(root) == OLD


def test_each_unit_has_three_starts_of_its_own(root):
    VersionTrial(OLD, NEW).write(root)
    for unit in ("latch", "brain", "latch", "brain", "latch"):
        guard(root, unit)
    assert current(root) == NEW
    assert (read_trial(root).latch, read_trial(root).brain) == (3, 2)


def test_counting_changes_nothing_else_of_the_trial(root):
    trial = VersionTrial(OLD, NEW, since=5, lost="network vision", why="")
    trial.write(root)
    guard(root)
    assert read_trial(root) == VersionTrial(OLD, NEW, brain=1, since=5, lost="network vision")


def test_a_version_marked_as_bad_does_not_start_again(root):
    VersionTrial(OLD, NEW).condemned("parts lost during the trial: vision").write(root)
    guard(root, "latch")
    assert current(root) == OLD


def test_the_previous_version_finishes_the_rollback_when_its_brain_starts(root):
    VersionTrial(OLD, NEW).condemned("bad").write(root)
    guard(root, "latch")
    assert asked(root) == ""
    guard(root, "brain")
    assert asked(root) == f"{OLD} update --root {root} --step settle\n"


def test_a_failed_rollback_step_is_reported_and_the_gate_starts(root):
    Releases(root).program(OLD).write_text('#!/bin/sh\n[ "$1" = --version ] || exit 3\n')
    VersionTrial(OLD, NEW).condemned("bad").write(root)
    assert "not over yet" in guard(root)


def test_without_a_previous_version_the_new_one_continues(root):
    Releases(root).program(OLD).unlink()
    VersionTrial(OLD, NEW).condemned("bad").write(root)
    assert "goes on" in guard(root)
    assert current(root) == NEW


def broken(root, version, how):
    """Break a version as an upgrade of the operating system does."""
    program = Releases(root).program(version)
    if how == "dangling":
        (program.parent / "python").symlink_to("/usr/bin/python3.7-of-before")
        program.write_text(f"#!{program.parent / 'python'}\n")
    else:
        program.write_text({"another": "#!/bin/sh\nexit 1\n", "hangs": "#!/bin/sh\nexec sleep 60\n"}[how])


@pytest.mark.parametrize("how", ["dangling", "another", "hangs"])
def test_a_version_before_that_does_not_run_any_more_is_not_gone_back_to(root, how):
    broken(root, OLD, how)
    VersionTrial(OLD, NEW).condemned("bad").write(root)
    assert "does not run on this system any more; 0.2.0 goes on" in guard(root, try_s="1")
    assert current(root) == NEW


def venv_of(root, python, target):
    venv = Releases(root).folder(NEW) / "venv"
    (venv / "lib" / python).mkdir(parents=True)
    (venv / "bin/python").symlink_to(target)


@pytest.mark.parametrize("is_there", [False, True])
def test_after_an_upgrade_of_the_system_the_log_says_why_nothing_starts(root, tmp_path, is_there):
    """/usr/bin/python3 is now another version, or no Python of that name is left."""
    target = tmp_path / "python3.13"
    if is_there:
        target.write_text("#!/bin/sh\n")
        target.chmod(0o755)
    venv_of(root, "python3.11", target)
    assert "was built for python3.11, which is not on this system any more" in guard(root, "latch")
    assert "sudo sh install --offline" in guard(root)


def test_a_venv_of_the_python_that_is_here_is_no_matter(root, tmp_path):
    target = tmp_path / "python3.11"
    target.write_text("#!/bin/sh\n")
    target.chmod(0o755)
    venv_of(root, "python3.11", target)
    assert guard(root) == ""


DAMAGE = (
    "",
    "\0\0\0\0",
    "nonsense",
    "before\nafter\nbrain x\nlatch y\n",
    "before ../../etc\nafter 0.2.0\nbrain 9\n",
    "x" * 5000,
)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_trial_keeps_no_gate_from_starting(root, damage):
    (root / "trial").write_text(damage)
    guard(root, "latch")
    guard(root)
    assert Releases(root).is_whole(current(root))


def test_without_a_root_or_current_it_ends_quietly(tmp_path, root):
    guard(tmp_path / "nowhere")
    VersionTrial(OLD, NEW).write(root)
    (root / "current").unlink()
    guard(root)


def test_where_nothing_can_be_written_an_uncounted_start_is_none(root, tmp_path):
    shims = tmp_path / "shims"
    shims.mkdir()
    (shims / "sync").write_text("#!/bin/sh\nexit 1\n")
    (shims / "sync").chmod(0o755)
    VersionTrial(OLD, NEW).write(root)
    assert "could not be counted" in guard(root, path=f"{shims}:/usr/bin:/bin")
    assert current(root) == OLD


def test_the_guard_needs_only_sh_and_coreutils_and_is_clean(root):
    words = set(GUARD.read_text().split())
    assert GUARD.read_text().startswith("#!/bin/sh\n")
    assert os.access(GUARD, os.X_OK)
    assert not words & {"python3", "bash", "awk", "[[", "local", "function"}

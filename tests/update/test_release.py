"""Tests which versions are whole, which one runs, and that a switch is atomic."""

import itertools
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.errors import StateError, UpdateError
from gated.update import release
from gated.update.release import Releases, version_order

SORTED = ("0.1.dev1", "0.1a1", "0.1a2", "0.1b1", "0.1rc1", "0.1", "0.1.post1", "0.1.1", "0.2", "0.10", "1.0", "1.0.1")


def test_versions_are_ordered_as_pip_orders_them():
    for earlier, later in itertools.pairwise(SORTED):
        assert version_order(earlier) < version_order(later)


def test_zeros_at_the_end_make_no_other_version():
    assert version_order("1.0") == version_order("1") == version_order("1.0.0")


@pytest.mark.parametrize("odd", ["", "v1", "1.0+local", "1!2", "../0.2", "1.0 ", "1..0", "0.1.0\n", "१.0", "1" * 10])
def test_a_text_that_is_no_version_is_refused_with_the_right_form(odd):
    with pytest.raises(UpdateError, match="write it as"):
        version_order(odd)


@given(st.text(max_size=20))
def test_no_text_is_a_version_and_a_path(text):
    try:
        version_order(text)
    except UpdateError:
        return
    assert "/" not in text
    assert not text.startswith(".")


def test_a_root_without_a_release_says_what_to_do(tmp_path):
    with pytest.raises(StateError, match="systemd/install"):
        _ = Releases(tmp_path).current


def test_a_version_counts_only_after_its_build_is_finished(releases):
    folder = releases.begin("0.2.0")
    (folder / "venv" / "bin").mkdir(parents=True)
    releases.program("0.2.0").touch()
    assert releases.whole() == ["0.1.0"]
    releases.finish("0.2.0")
    assert releases.whole() == ["0.1.0", "0.2.0"]


def test_beginning_again_leaves_nothing_of_the_half_that_was_there(releases):
    (releases.begin("0.2.0") / "half").touch()
    assert sorted(path.name for path in releases.begin("0.2.0").iterdir()) == ["unfinished"]


def test_the_version_that_runs_is_turned_in_one_step(releases, make_whole, monkeypatch):
    make_whole(releases, "0.2.0")
    seen = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *names: (seen.append(releases.current), replace(*names))[-1])
    releases.switch("0.2.0")
    assert (seen, releases.current) == (["0.1.0"], "0.2.0")


def test_the_rest_of_an_interrupted_switch_does_not_hinder_the_next(releases, make_whole):
    make_whole(releases, "0.2.0")
    (releases.root / ".current.new").symlink_to("releases/nothing")
    releases.switch("0.2.0")
    assert releases.current == "0.2.0"


def test_the_error_for_a_user_who_cannot_write_the_root_names_root(releases, tmp_path):
    with pytest.raises(StateError, match="as root"):
        Releases(tmp_path / "nowhere").switch("0.1.0")
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="as root"):
        Releases(tmp_path / "file").begin("0.2.0")


def test_a_version_is_taken_away_program_first(releases, make_whole, monkeypatch):
    make_whole(releases, "0.2.0")
    monkeypatch.setattr("shutil.rmtree", lambda *args, **kwargs: None)  # the power fails here
    releases.remove("0.2.0")
    assert releases.whole() == ["0.1.0"]


def test_all_but_the_kept_are_taken_away_whole_or_not(releases, make_whole):
    make_whole(releases, "0.2.0")
    releases.begin("0.3.0")
    releases.prune({"0.1.0"})
    assert [path.name for path in (releases.root / "releases").iterdir()] == ["0.1.0"]


def test_a_version_that_was_taken_back_is_unfit(releases, make_whole):
    make_whole(releases, "0.2.0")
    assert not releases.is_unfit("0.2.0")
    releases.condemn("0.2.0")
    assert releases.is_unfit("0.2.0")
    releases.condemn("0.9.9")  # this version was never installed
    assert not releases.folder("0.9.9").exists()


def test_a_version_that_runs_has_no_trouble(releases):
    assert releases.trouble("0.1.0") == ""


def broken(releases, how):
    program = releases.program("0.1.0")
    if how == "dangling":
        (program.parent / "python").symlink_to("/usr/bin/python3.7-of-before")
        program.write_text(f"#!{program.parent / 'python'}\n")
    elif how == "foreign":
        program.write_text(f"#!{sys.executable}\nimport libraries_of_another_python\n")
    elif how == "hangs":
        program.write_text("#!/bin/sh\nexec sleep 60\n")
    elif how == "killed":
        program.write_text("#!/bin/sh\nkill -9 $$\n")
    else:
        program.chmod(0o644)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("dangling", "its Python is not on this system any more"),
        ("foreign", "No module named 'libraries_of_another_python'"),
        ("hangs", "it does not answer within 0.5 s"),
        ("killed", "it ends with -9"),
        ("closed", "it cannot be started (Permission denied)"),
    ],
)
def test_a_version_that_looks_whole_and_does_not_run_says_why(releases, monkeypatch, how, says):
    monkeypatch.setattr(release, "TRY_S", 0.5 if how == "hangs" else 60.0)
    broken(releases, how)
    assert releases.is_whole("0.1.0")
    assert says in releases.trouble("0.1.0")

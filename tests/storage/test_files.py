"""A small file is either fully written or unchanged, and has the right owner."""

import os

import pytest

from gated.atomic_files import atomic_rewrite, atomic_write
from gated.errors import StateError
from gated.storage.files import hand_over, holder, own_folder
from gated.storage.process_lock import FileLock


def mode(path):
    return path.stat().st_mode & 0o777


def test_a_new_file_is_its_owners_alone_whatever_was_there(tmp_path):
    path = tmp_path / "key"
    atomic_write(path, b"one")
    assert (path.read_bytes(), mode(path)) == (b"one", 0o600)
    path.chmod(0o644)
    atomic_write(path, b"two")
    assert (path.read_bytes(), mode(path)) == (b"two", 0o600)


def test_a_file_that_is_rewritten_stays_whose_it_was(tmp_path):
    path = tmp_path / "gated.toml"
    path.write_text("one")
    os.chown(path, 1234, 4321)
    path.chmod(0o640)
    atomic_rewrite(path, b"two")
    assert (path.read_bytes(), mode(path), path.stat().st_uid, path.stat().st_gid) == (b"two", 0o640, 1234, 4321)


def test_a_missing_file_is_not_rewritten(tmp_path):
    with pytest.raises(FileNotFoundError):
        atomic_rewrite(tmp_path / "gated.toml", b"")


@pytest.mark.parametrize("write", [atomic_write, atomic_rewrite])
def test_a_write_that_fails_leaves_what_was(tmp_path, monkeypatch, write):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(OSError, match="no space"):
        write(path, b"new")
    assert path.read_bytes() == b"old"


# -- root, in folders that another user can write ----------------------------------------------------------------------

NOBODY = 65534


@pytest.fixture
def trap(tmp_path):
    """Return another user's folder and a file of root's that this user wants to overwrite."""
    theirs, secret = tmp_path / "theirs", tmp_path / "shadow"
    theirs.mkdir()
    os.chown(theirs, NOBODY, NOBODY)
    secret.write_bytes(b"root's")
    secret.chmod(0o600)
    return theirs, secret


LAID = {"a link": lambda path, to: path.symlink_to(to), "a second name": lambda path, to: path.hardlink_to(to)}


@pytest.mark.parametrize("laid", LAID)
@pytest.mark.parametrize("where", ["models.toml", ".models.toml.new"])
def test_nothing_is_written_through_what_was_laid_there(trap, laid, where):
    theirs, secret = trap
    LAID[laid](theirs / where, secret)
    atomic_write(theirs / "models.toml", b"new")
    assert (secret.read_bytes(), mode(secret), secret.stat().st_uid) == (b"root's", 0o600, os.getuid())
    assert (theirs / "models.toml").read_bytes() == b"new"
    assert not (theirs / "models.toml").is_symlink()


@pytest.mark.parametrize("laid", LAID)
def test_a_lock_is_no_way_to_another_file(trap, laid):
    theirs, secret = trap
    LAID[laid](theirs / ".pull.lock", secret)
    with pytest.raises(StateError, match=r"\.pull\.lock"):
        FileLock(theirs / ".pull.lock", "a pull")
    assert secret.read_bytes() == b"root's"


def test_a_lock_neither_waits_at_a_pipe_nor_makes_what_a_link_points_at(trap):
    theirs, _ = trap
    os.mkfifo(theirs / "pipe")
    (theirs / "dangling").symlink_to(theirs.parent / "made-by-root")
    for name in ("pipe", "dangling"):
        with pytest.raises(StateError):
            FileLock(theirs / name, "a pull")
    assert not (theirs.parent / "made-by-root").exists()


def test_a_place_is_whose_the_first_part_of_its_way_is(trap):
    theirs, secret = trap
    root, nobody = None, (NOBODY, NOBODY)
    (theirs / "to-root").symlink_to(secret.parent)
    os.chown(theirs / "to-root", NOBODY, NOBODY, follow_symlinks=False)
    (secret.parent / "to-theirs").symlink_to("theirs")
    (secret.parent / "round").symlink_to("round")
    assert holder(secret) == root
    assert holder(secret.parent / "not-there/at/all") == root
    assert holder(theirs) == holder(theirs / "models/not-there") == nobody
    assert holder(theirs / "to-root/shadow") == nobody  # their link leads to a folder of root's
    assert holder(theirs / "../shadow") == nobody
    assert holder(secret.parent / "to-theirs/models") == nobody
    with pytest.raises(OSError, match="too many links"):
        holder(secret.parent / "round")


def test_a_folder_is_handed_over_with_its_own_files_and_no_others(trap):
    theirs, secret = trap
    (theirs / "deep/er").mkdir(parents=True)
    (theirs / "deep/er/file").write_text("")
    (theirs / "deep/link").symlink_to(secret)
    (theirs / "out").symlink_to(secret.parent)
    hand_over(theirs, NOBODY, NOBODY)
    assert {(p.stat().st_uid, p.stat().st_gid) for p in (theirs, theirs / "deep/er/file")} == {(NOBODY, NOBODY)}
    assert secret.stat().st_uid == secret.parent.stat().st_uid == os.getuid()
    (theirs / "deep/second").hardlink_to(secret)
    with pytest.raises(StateError, match="deep/second: has a second name"):
        hand_over(theirs, NOBODY, NOBODY)
    assert secret.stat().st_uid == os.getuid()


def test_a_link_in_the_place_of_a_folder_is_not_handed_over(trap):
    theirs, secret = trap
    (secret.parent / "state").symlink_to(theirs)
    with pytest.raises(OSError, match="state"):
        own_folder(secret.parent / "state", NOBODY, NOBODY)

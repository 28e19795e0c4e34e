"""The caller names these files. Root opens none with its own rights where another user can write."""

import os
from pathlib import Path

import pytest

from gated.errors import StateError
from gated.storage.named_files import make_folder, make_named, read_named, reading, remove_named, write_named
from gated.storage.owner import acting_as

NOBODY, DAEMON = 65534, 1
MOST = 1000
WRITES = {"write": write_named, "make": make_named}

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")


@pytest.fixture
def theirs(open_folder):
    """Return another user's folder, beside a file that only root can read."""
    folder = open_folder / "theirs"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    secret = open_folder / "secret"
    secret.write_bytes(b"root's")
    secret.chmod(0o600)
    return folder


def lay(path, to):
    path.symlink_to(to)
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def uid(path):
    return path.lstat().st_uid


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_file_that_root_writes_belongs_to_the_owner_of_the_folder(theirs, write):
    write(theirs / "page", b"new")
    assert ((theirs / "page").read_bytes(), uid(theirs / "page")) == (b"new", NOBODY)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("to", ["secret", "made"])
@pytest.mark.parametrize("name", ["page", ".page.new", "beneath/page"])
def test_no_link_of_theirs_has_root_write_elsewhere(theirs, write, to, name):
    target = theirs.parent / to
    if "/" in name:
        lay(theirs / "beneath", target.parent)
    else:
        lay(theirs / name, target)
    try:
        write(theirs / name.replace(".page.new", "page"), b"new")
    except OSError:
        pass
    assert (theirs.parent / "secret").read_bytes() == b"root's"
    assert uid(theirs.parent / "secret") == 0
    assert not (theirs.parent / "made").exists()
    assert not (theirs.parent / "page").exists()


def test_no_link_of_theirs_has_root_read_or_remove_what_they_may_not(theirs):
    lay(theirs / "page", theirs.parent / "secret")
    with pytest.raises(PermissionError):
        read_named(theirs / "page", MOST)
    remove_named(theirs / "page")
    assert (theirs.parent / "secret").exists()
    assert not (theirs / "page").is_symlink()


def test_a_link_in_a_common_folder_is_not_followed_and_is_replaced(theirs):
    common = theirs.parent / "common"
    common.mkdir()
    common.chmod(0o1777)
    lay(common / "page", theirs.parent / "secret")
    with pytest.raises(PermissionError):
        read_named(common / "page", MOST)
    write_named(common / "page", b"new")
    assert ((common / "page").read_bytes(), uid(common / "page")) == (b"new", 0)
    assert (theirs.parent / "secret").read_bytes() == b"root's"


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_folder_of_roots_that_others_may_write_is_refused(theirs, mode):
    common = theirs.parent / "common"
    common.mkdir()
    os.chown(common, 0, NOBODY)
    common.chmod(mode)
    for act in (
        lambda path: read_named(path, MOST),
        lambda path: write_named(path, b""),
        lambda path: make_named(path, b""),
        remove_named,
    ):
        with pytest.raises(StateError, match="others may write it"):
            act(common / "page")
    with pytest.raises(StateError, match="others may write it"), reading(common / "page"):
        pass
    assert list(common.iterdir()) == []


def test_a_command_that_acts_as_one_user_opens_what_is_named_as_another(theirs):
    (theirs / "photo").write_bytes(b"theirs")
    os.chown(theirs / "photo", NOBODY, NOBODY)
    (theirs / "photo").chmod(0o600)
    with acting_as((DAEMON, DAEMON)):
        assert read_named(theirs / "photo", MOST) == b"theirs"
        assert read_named(theirs.parent / "secret", MOST) == b"root's"
        assert os.geteuid() == DAEMON
        write_named(theirs / "page", b"new")
    assert uid(theirs / "page") == NOBODY


def test_a_folder_is_made_by_whose_place_it_is(theirs):
    make_folder(theirs / "forms/of/today")
    make_folder(theirs.parent / "roots/forms")
    assert [uid(path) for path in (theirs / "forms/of/today", theirs.parent / "roots/forms")] == [NOBODY, 0]
    lay(theirs / "elsewhere", theirs.parent)
    with pytest.raises(PermissionError):
        make_folder(theirs / "elsewhere/made")
    assert not (theirs.parent / "made").exists()


def test_a_new_file_replaces_nothing(tmp_path):
    (tmp_path / "key").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        make_named(tmp_path / "key", b"new")
    assert (tmp_path / "key").read_bytes() == b"old"


def test_nothing_is_put_in_the_place_of_a_stream_of_the_kernels():
    write_named(Path("/dev/null"), b"gone")
    assert Path("/dev/null").is_char_device()

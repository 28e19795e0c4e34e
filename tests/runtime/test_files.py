"""Small files are there whole or as they were, for whom they are."""

import os

import pytest

from gated.runtime.files import rewrite, write_whole


def mode(path):
    return path.stat().st_mode & 0o777


def test_a_new_file_is_its_owners_alone_whatever_was_there(tmp_path):
    path = tmp_path / "key"
    write_whole(path, b"one")
    assert (path.read_bytes(), mode(path)) == (b"one", 0o600)
    path.chmod(0o644)
    write_whole(path, b"two")
    assert (path.read_bytes(), mode(path)) == (b"two", 0o600)


def test_a_file_that_is_rewritten_stays_whose_it_was(tmp_path):
    path = tmp_path / "gated.toml"
    path.write_text("one")
    os.chown(path, 1234, 4321)
    path.chmod(0o640)
    rewrite(path, b"two")
    assert (path.read_bytes(), mode(path), path.stat().st_uid, path.stat().st_gid) == (b"two", 0o640, 1234, 4321)


def test_what_is_not_there_is_not_rewritten(tmp_path):
    with pytest.raises(FileNotFoundError):
        rewrite(tmp_path / "gated.toml", b"")


@pytest.mark.parametrize("write", [write_whole, rewrite])
def test_a_write_that_fails_leaves_what_was(tmp_path, monkeypatch, write):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(OSError, match="no space"):
        write(path, b"new")
    assert path.read_bytes() == b"old"

"""Root that writes for somebody: what it leaves is theirs."""

import os
import tempfile
from pathlib import Path

import pytest

from gated.update.owner import acting_as, owner_of

NOBODY = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")


def test_the_owner_of_a_folder_is_known_and_root_is_none(tmp_path):
    assert owner_of(tmp_path) is None
    assert owner_of(tmp_path / "nowhere") is None
    os.chown(tmp_path, NOBODY, NOBODY)
    assert owner_of(tmp_path) == (NOBODY, NOBODY)


def test_what_is_made_meanwhile_is_theirs_and_afterwards_ours():
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are shut to others
        folder = Path(name)
        folder.chmod(0o777)
        with acting_as((NOBODY, NOBODY)):
            (folder / "theirs").touch()
        (folder / "ours").touch()
        assert (folder / "theirs").stat().st_uid == NOBODY
        assert ((folder / "ours").stat().st_uid, os.geteuid(), os.getegid()) == (0, 0, 0)


def test_it_ends_also_when_what_was_done_fails(tmp_path):
    with pytest.raises(PermissionError), acting_as((NOBODY, NOBODY)):
        (tmp_path.parent / "forbidden").mkdir(mode=0o700)
    assert os.geteuid() == 0


def test_nobody_in_particular_is_oneself(tmp_path):
    with acting_as(None):
        (tmp_path / "a").touch()
    assert (tmp_path / "a").stat().st_uid == 0

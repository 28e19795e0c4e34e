"""Root that writes for somebody: what it leaves is theirs."""

import os

import pytest

from gated.update.owner import acting_as, as_holder_of, owner_of

NOBODY = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")


def test_the_owner_of_a_folder_is_known_and_root_is_none(tmp_path):
    assert owner_of(tmp_path) is None
    assert owner_of(tmp_path / "nowhere") is None
    os.chown(tmp_path, NOBODY, NOBODY)
    assert owner_of(tmp_path) == (NOBODY, NOBODY)


def test_what_is_made_meanwhile_is_theirs_and_afterwards_ours(open_folder):
    open_folder.chmod(0o777)
    with acting_as((NOBODY, NOBODY)):
        (open_folder / "theirs").touch()
    (open_folder / "ours").touch()
    assert (open_folder / "theirs").stat().st_uid == NOBODY
    assert ((open_folder / "ours").stat().st_uid, os.geteuid(), os.getegid()) == (0, 0, 0)


def test_it_ends_also_when_what_was_done_fails(open_folder):
    with pytest.raises(PermissionError), acting_as((NOBODY, NOBODY)):
        (open_folder / "forbidden").mkdir(mode=0o700)
    assert os.geteuid() == 0


def test_nobody_in_particular_is_oneself(tmp_path):
    with acting_as(None):
        (tmp_path / "a").touch()
    assert (tmp_path / "a").stat().st_uid == 0


def test_within_it_the_first_owner_goes_on_to_its_end(open_folder):
    """An update that is taken back writes into the journal while it acts as the gate's user already."""
    open_folder.chmod(0o777)
    with acting_as((NOBODY, NOBODY)):
        with acting_as((NOBODY, NOBODY)):
            (open_folder / "inner").touch()
        (open_folder / "outer").touch()
        with as_holder_of(open_folder / "outer"):
            (open_folder / "last").touch()
    assert {(open_folder / name).stat().st_uid for name in ("inner", "outer", "last")} == {NOBODY}
    assert os.geteuid() == 0


def test_meanwhile_root_is_in_none_of_its_groups(open_folder):
    os.setgroups([0, 4])
    try:
        (open_folder / "of-the-group").write_text("")
        os.chown(open_folder / "of-the-group", 0, 4)
        (open_folder / "of-the-group").chmod(0o660)
        with acting_as((NOBODY, NOBODY)):
            assert os.getgroups() == [NOBODY]
            with pytest.raises(PermissionError):
                (open_folder / "of-the-group").write_text("x")
        assert sorted(os.getgroups()) == [0, 4]
    finally:
        os.setgroups([0])

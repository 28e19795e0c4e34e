"""Root writes on behalf of a user, and the user owns the resulting files."""

import os
import pwd
import shutil
import subprocess

import pytest

from gated.errors import StateError
from gated.storage.owner import acting_as, acting_as_oneself, as_holder_of, maker_of, owner_at, owner_of

NOBODY = 65534
PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin") or "python3"
"""A Python that every user may run."""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as somebody else")


def test_the_owner_of_a_folder_is_known_and_root_is_none(tmp_path):
    assert owner_of(tmp_path) is None
    assert owner_of(tmp_path / "nowhere") is None
    os.chown(tmp_path, NOBODY, NOBODY)
    assert owner_of(tmp_path) == (NOBODY, NOBODY)


def test_a_file_belongs_to_the_acting_user_until_the_end_of_the_block(open_folder):
    open_folder.chmod(0o777)
    with acting_as((NOBODY, NOBODY)):
        (open_folder / "theirs").touch()
    (open_folder / "ours").touch()
    assert (open_folder / "theirs").stat().st_uid == NOBODY
    assert ((open_folder / "ours").stat().st_uid, os.geteuid(), os.getegid()) == (0, 0, 0)


def test_the_own_user_returns_after_a_failed_block(open_folder):
    with pytest.raises(PermissionError), acting_as((NOBODY, NOBODY)):
        (open_folder / "forbidden").mkdir(mode=0o700)
    assert os.geteuid() == 0


def test_without_an_owner_the_process_keeps_its_user(tmp_path):
    with acting_as(None):
        (tmp_path / "a").touch()
    assert (tmp_path / "a").stat().st_uid == 0


def test_within_it_the_first_owner_goes_on_to_its_end(open_folder):
    """A rollback writes into the journal while it already acts as the gate's user."""
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
    before = os.getgroups()
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
        os.setgroups(before)


def test_a_program_that_is_started_meanwhile_has_no_way_back_to_root():
    script = (
        "import os, sys\n"
        "for back in (lambda: os.setuid(0), lambda: os.seteuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.setgid(0),"
        " lambda: os.setgroups([0])):\n"
        "    try:\n        back()\n        sys.exit('it is root again')\n    except PermissionError:\n        pass\n"
        "caps = [line.split()[1] for line in open('/proc/self/status') if line.startswith(('CapPrm', 'CapEff'))]\n"
        "print(*os.getresuid(), *os.getresgid(), *map(str, os.getgroups()), *{int(each, 16) for each in caps})\n"
    )
    with acting_as((NOBODY, NOBODY)):
        done = subprocess.run([PYTHON, "-I", "-c", script], capture_output=True, text=True, check=False, cwd="/")
    assert (done.stderr, done.stdout.split()) == ("", [str(NOBODY)] * 7 + ["0"])


def test_root_itself_comes_back_from_it_and_goes_there_again(tmp_path):
    (tmp_path / "roots").write_text("root's")
    tmp_path.chmod(0o700)
    with acting_as((NOBODY, NOBODY)):
        with pytest.raises(PermissionError):
            (tmp_path / "roots").read_text()
        with acting_as_oneself():
            assert (tmp_path / "roots").read_text() == "root's"
        assert (os.geteuid(), os.getuid(), os.getegid()) == (NOBODY, NOBODY, NOBODY)
    assert (os.getresuid(), os.getresgid()) == ((0, 0, 0), (0, 0, 0))


@pytest.fixture
def places(open_folder):
    """Return a user's folder with a folder of root's, a folder of a third user's, and a link to root's."""
    theirs = open_folder / "theirs"
    for name, uid in (("", NOBODY), ("roots", 0), ("thirds", 1)):
        (theirs / name).mkdir()
        os.chown(theirs / name, uid, uid)
    (theirs / "link").symlink_to(open_folder)
    os.chown(theirs / "link", NOBODY, NOBODY, follow_symlinks=False)
    return theirs


def test_a_place_is_done_by_its_holder_and_a_folder_of_roots_by_root(places):
    nobody = (NOBODY, NOBODY)
    assert [owner_at(each) for each in (places, places / "new", places / "link", places / "roots")] == [nobody] * 4
    assert owner_at(places.parent) is None
    assert owner_at(places.parent / "new") is None


def test_a_folder_in_daily_use_is_its_own_users_and_one_of_roots_in_anothers_place_is_refused(places):
    assert owner_of(places / "thirds") == (1, 1)
    assert owner_of(places / "link") == owner_of(places / "new") == (NOBODY, NOBODY)
    with pytest.raises(StateError, match="can put another in its place"):
        owner_of(places / "roots")


def test_a_folder_of_roots_that_others_may_write_is_nobodys_to_use(places):
    places.parent.chmod(0o777)
    for ask in (owner_at, owner_of):
        with pytest.raises(StateError, match="others may write it"):
            ask(places.parent)
    places.parent.chmod(0o1777)
    with pytest.raises(StateError, match="others may write it"):
        owner_at(places.parent)
    assert owner_at(places.parent / "new") is None


def test_a_file_is_made_by_its_owner_and_never_in_the_folder_of_a_third_user(places):
    nobody = (NOBODY, NOBODY)
    assert maker_of(places.parent / "state", nobody) is None
    assert maker_of(places / "state", nobody) == nobody
    for owner in ((1, 1), None):
        with pytest.raises(StateError, match="would lie where user"):
            maker_of(places / "state", owner)


def test_an_endless_chain_of_links_is_reported(open_folder):
    (open_folder / "round").symlink_to("round")
    with pytest.raises(StateError, match="cannot be reached"):
        owner_at(open_folder / "round")


def test_a_folder_of_roots_group_gives_its_owner_no_group_of_roots(open_folder):
    (open_folder / "theirs").mkdir()
    os.chown(open_folder / "theirs", NOBODY, 0)
    own = pwd.getpwuid(NOBODY).pw_gid
    (open_folder / "strangers").mkdir()
    os.chown(open_folder / "strangers", 12345, 0)
    assert owner_at(open_folder / "strangers") == (12345, 65534)
    assert owner_at(open_folder / "theirs") == owner_of(open_folder / "theirs") == (NOBODY, own)

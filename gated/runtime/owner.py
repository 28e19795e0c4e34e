"""Root that acts as somebody else: what it does where another user can write, it does as that user.

A link that lies there then leads no further than that user may go anyway, and what is left there is theirs.
"""

import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gated.errors import StateError
from gated.runtime.files import holder, way_to

Owner = tuple[int, int]
"""A user and a group, by their numbers."""
NOGROUP = 65534
OTHERS = stat.S_IWGRP | stat.S_IWOTH


def whose(path: Path) -> Owner | None:
    """By whom root does what is done at a path: by whose place it is (see `holder`). None: by itself, for nobody else
    can write anywhere on the way; and whoever is not root is themselves.

    Raises `StateError` where a folder on the way is root's and others may write it, or the way has no end.
    """
    return _whose(path, is_above=False)


def whose_folder(path: Path) -> Owner | None:
    """The same for what is put at a path in the place of whatever is there: the folder counts, which may be sticky."""
    return _whose(path.parent, is_above=True)


def owner_of(folder: Path) -> Owner | None:
    """The same for a folder that is used from day to day: its own user, also where they keep it in a third one's place.

    Raises as `whose`, and `StateError` for a folder of root's that another user could put away.
    """
    found = whose(folder)
    if found is None or not folder.is_dir() or folder.resolve() != folder.absolute():
        return found
    own = folder.lstat()
    if own.st_uid == 0:
        raise StateError(f"{folder}: is root's, and lies where user {found[0]} can put another in its place; "
                         f"`chown -R {found[0]} {folder}`, or move it")  # fmt: skip
    return own.st_uid, _group_of(own.st_uid, own.st_gid)


def maker_of(path: Path, owner: Owner | None) -> Owner | None:
    """By whom something is made that is to be `owner`'s, None for root's: by root in its own place, by them in theirs.

    Raises `StateError` where it would lie in a third one's place.
    """
    found = whose_folder(path)
    if found is not None and (owner is None or found[0] != owner[0]):
        raise StateError(f"{path}: would lie where user {found[0]} can put something else in its place; "
                         "name a place where only root can write above it")  # fmt: skip
    return None if found is None else owner


@contextmanager
def acting_as(owner: Owner | None) -> Iterator[None]:
    """Until the end of the block what this process does is done by `owner`; None: by itself.

    Only the saved user id is still root's (setresuid(2)). A program that is started meanwhile has none of it: execve(2)
    replaces that id. Within another such block that one's owner goes on: who is not root can become nobody else.
    """
    if owner is None or os.geteuid() != 0:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    try:
        os.setgroups(_groups(owner))
        os.setresgid(owner[1], owner[1], group)
        os.setresuid(owner[0], owner[0], 0)
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(group, group, group)
        os.setgroups(groups)


@contextmanager
def as_holder_of(path: Path) -> Iterator[None]:
    """Until the end of the block root acts as the one whose place a path is. Raises as `whose`.

    Where all of the way is root's, and for everybody else, nothing changes.
    """
    with acting_as(whose(path)):
        yield


@contextmanager
def being_oneself() -> Iterator[None]:
    """Within `acting_as`: until the end of the block we are root again, for what root alone can do.

    Only for what is root's: a file that the caller names is for `runtime.named`.
    """
    (_, user, saved), groups = os.getresuid(), os.getresgid()
    if saved != 0 or user == 0:
        yield
        return
    os.setresuid(0, 0, 0)
    os.setresgid(groups[2], groups[2], groups[2])
    try:
        yield
    finally:
        os.setresgid(*groups)
        os.setresuid(user, user, 0)


def _group_of(uid: int, gid: int) -> int:
    """The group of their folder if they are in it, else their own: somebody's folder may be of root's group."""
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return gid or NOGROUP
    return gid if gid in os.getgrouplist(user.pw_name, user.pw_gid) else user.pw_gid


def _groups(owner: Owner) -> list[int]:
    """Theirs, as their service has them: a reader or a camera may be open to one of these."""
    try:
        return os.getgrouplist(pwd.getpwuid(owner[0]).pw_name, owner[1])
    except KeyError:
        return [owner[1]]


def _whose(path: Path, *, is_above: bool) -> Owner | None:
    if os.geteuid() != 0:
        return None
    try:
        found = holder(path)
        if found is None:
            _check_shut(path, is_above=is_above)
    except OSError as error:
        raise StateError(f"{path}: cannot be reached ({error.strerror or error}); name another") from error
    return None if found is None else (found[0], _group_of(*found))


def _check_shut(path: Path, *, is_above: bool) -> None:
    """That nobody but root may write a folder on the way. A sticky bit will do above the last part, and with `is_above`
    everywhere: there nobody replaces what is root's.
    """
    last = path.resolve()
    for each, found in way_to(path):
        others = found.st_mode & (OTHERS if found.st_gid else stat.S_IWOTH)
        is_sticky = found.st_mode & stat.S_ISVTX and (is_above or each != last)
        if stat.S_ISDIR(found.st_mode) and others and not is_sticky:
            raise StateError(f"{each}: is root's, and others may write it too; `chmod go-w {each}`, or name another")

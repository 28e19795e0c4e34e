"""Lets root act as the owner of a place, if that user can write there.

A link in that place then reaches only files that the user may reach anyway. New files belong to that user.
"""

import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gated.errors import StateError
from gated.storage.files import holder, path_entries

Owner = tuple[int, int]
"""A user id and a group id."""
NOGROUP = 65534
"""Group id for a user who has no entry in the password database and whose folder has root's group."""
OTHERS = stat.S_IWGRP | stat.S_IWOTH
"""Write permission of group and others."""


def owner_at(path: Path) -> Owner | None:
    """Return the user and group that root must act as at a path: the owner of that place (see `holder`).

    Returns None if nobody but root can write on the path, or if this process is not root. Raises `StateError` if others
    may write to one of root's folders on the path, or if the path cannot be followed.
    """
    return _owner_at(path, is_above=False)


def owner_of_folder(path: Path) -> Owner | None:
    """Return the user as `owner_at`, for creating or replacing an entry. Checks the parent folder (may be sticky)."""
    return _owner_at(path.parent, is_above=True)


def owner_of(folder: Path) -> Owner | None:
    """Return the user and group of a folder in daily use: the folder's own owner, even in a third user's place.

    Raises like `owner_at`, and `StateError` if root owns the folder and another user could move it away.
    """
    found = owner_at(folder)
    if found is None or not folder.is_dir() or folder.resolve() != folder.absolute():
        return found
    own = folder.lstat()
    if own.st_uid == 0:
        raise StateError(f"{folder}: belongs to root, but user {found[0]} can put another in its place; run `chown -R "
            f"{found[0]} {folder}`, or move it")  # fmt: skip
    return own.st_uid, _group_of(own.st_uid, own.st_gid)


def maker_of(path: Path, owner: Owner | None) -> Owner | None:
    """Return who makes something for `owner` (None: root): root in root's place, the owner in the owner's place.

    Raises `StateError` if the path lies in a third user's place.
    """
    found = owner_of_folder(path)
    if found is not None and (owner is None or found[0] != owner[0]):
        raise StateError(
            f"{path}: would lie where user {found[0]} can replace it; name a place with parent folders of root alone"
        )
    return None if found is None else owner


@contextmanager
def acting_as(owner: Owner | None) -> Iterator[None]:
    """Act as `owner` until the end of the block; None changes nothing.

    Keeps root's id only as the saved user id (setresuid(2)). A program started in the block does not get it, because
    execve(2) replaces that id. A nested block changes nothing: without root's rights the process cannot become anyone
    else.
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
    """Act, until the end of the block, as the user who owns a path's place. Raises like `owner_at`.

    Changes nothing if root owns the whole path, or if this process is not root.
    """
    with acting_as(owner_at(path)):
        yield


@contextmanager
def acting_as_oneself() -> Iterator[None]:
    """Act as root again inside `acting_as`, until the end of the block, for what only root can do.

    Use it for root's own files only. For a file that the caller names, use `storage.named_files`.
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
    """Return `gid` if the user is a member of that group, else the user's primary group.

    A user's folder may have root's group.
    """
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return gid or NOGROUP
    return gid if gid in os.getgrouplist(user.pw_name, user.pw_gid) else user.pw_gid


def _groups(owner: Owner) -> list[int]:
    """Return the user's groups, as the user's service has them.

    A reader or a camera may be open to one of these groups.
    """
    try:
        return os.getgrouplist(pwd.getpwuid(owner[0]).pw_name, owner[1])
    except KeyError:
        return [owner[1]]


def _owner_at(path: Path, *, is_above: bool) -> Owner | None:
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
    """Check that only root may write to the folders on the path. Raises `StateError` otherwise.

    Accepts a sticky folder above the last part, and with `is_above` everywhere: in a sticky folder nobody else can
    replace root's entries.
    """
    last = path.resolve()
    for each, found in path_entries(path):
        others = found.st_mode & (OTHERS if found.st_gid else stat.S_IWOTH)
        is_sticky = found.st_mode & stat.S_ISVTX and (is_above or each != last)
        if stat.S_ISDIR(found.st_mode) and others and not is_sticky:
            raise StateError(
                f"{each}: belongs to root, and others may write it too; run `chmod go-w {each}`, or name another"
            )

"""Root that acts as the gate's own user: what it writes into the state folder must be the brain's to write again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gated.runtime.files import holder

Owner = tuple[int, int]
"""A user and a group, by their numbers."""


def owner_of(state: Path) -> Owner | None:
    """User and group of the state folder; None where we are they, or are not root."""
    if os.geteuid() != 0 or not state.exists():
        return None
    status = state.stat()
    return (status.st_uid, status.st_gid) if status.st_uid else None


@contextmanager
def as_holder_of(path: Path) -> Iterator[None]:
    """Until the end of the block root acts as the one whose place a path is: it writes nothing there that they could
    turn elsewhere. Where all of the way is root's, and for everybody else, nothing changes.
    """
    with acting_as(holder(path) if os.geteuid() == 0 else None):
        yield


@contextmanager
def acting_as(owner: Owner | None) -> Iterator[None]:
    """Until the end of the block what this process does is done by `owner` (seteuid(2)); None: by itself.

    Within another such block that one's owner goes on: who is not root can become nobody else.
    """
    if owner is None or os.geteuid() != 0:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    os.setgroups([owner[1]])
    os.setegid(owner[1])
    os.seteuid(owner[0])
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


@contextmanager
def being_oneself() -> Iterator[None]:
    """Within `acting_as`: until the end of the block we are root again, to write or read what is root's own."""
    owner = (os.geteuid(), os.getegid())
    if os.getuid() != 0 or owner[0] == 0:
        yield
        return
    os.seteuid(0)
    os.setegid(os.getgid())
    try:
        yield
    finally:
        os.setegid(owner[1])
        os.seteuid(owner[0])

"""Root that acts as the gate's own user: what it writes into the state folder must be the brain's to write again."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

Owner = tuple[int, int]
"""A user and a group, by their numbers."""


def owner_of(state: Path) -> Owner | None:
    """User and group of the state folder; None where we are they, or are not root."""
    if os.geteuid() != 0 or not state.exists():
        return None
    status = state.stat()
    return (status.st_uid, status.st_gid) if status.st_uid else None


@contextmanager
def acting_as(owner: Owner | None) -> Iterator[None]:
    """Until the end of the block what this process does is done by `owner` (seteuid(2)); None: by itself."""
    if owner is None:
        yield
        return
    group = os.getegid()
    os.setegid(owner[1])
    os.seteuid(owner[0])
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)

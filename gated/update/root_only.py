"""Checks that only root can change a file or folder, because root installs and runs its content.

Checks every parent folder too, because a user who may write a parent can replace everything below it.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gated.errors import UpdateError

OTHERS = stat.S_IWGRP | stat.S_IWOTH
"""Write permission of group and others."""


def check_roots(path: Path) -> None:
    """Check that only root may change a path, its contents and every folder above. Raises `UpdateError`.

    If this process does not run as root, for example at a desk, its user may own them too.
    """
    path = path.absolute()
    try:
        if path.resolve(strict=True) != path:
            raise UpdateError(f"{path}: is a link, or is behind one; give the real path: {path.resolve()}")
        for each in path.parents:
            _check(each, is_above=True)
        for each in _all_in(path):
            _check(each)
    except OSError as error:
        raise UpdateError(f"{path}: cannot be read ({error.strerror}); correct --from") from error


def _all_in(path: Path) -> Iterator[Path]:
    yield path
    if path.is_dir():
        for each in sorted(path.iterdir()):
            yield from _all_in(each) if not each.is_symlink() else [each]


def _check(path: Path, *, is_above: bool = False) -> None:
    found = path.lstat()
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise UpdateError(f"{path}: is a link or not a file, and root would run it; put the file itself there")
    if found.st_uid not in (0, os.geteuid()):
        raise UpdateError(f"{path}: belongs to another user, and root would run it; check it, then run "
                          f"`chown root:root {path}`")  # fmt: skip
    is_sticky = is_above and bool(found.st_mode & stat.S_ISVTX)  # a sticky folder protects entries of others
    if found.st_mode & OTHERS and not is_sticky:
        raise UpdateError(f"{path}: other users may write it, and root would run it; check it, then run "
                          f"`chmod go-w {path}`")  # fmt: skip

"""Captures what a vendor library writes to standard error while it loads."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2
"""The file descriptor of standard error."""


@contextmanager
def held_stderr() -> Iterator[list[str]]:
    """Yield a list. After the block it holds the lines that the process wrote to standard error during the block.

    Redirects the file descriptor, so that C libraries are captured too. If the process crashes in the block, the
    captured lines are lost.
    """
    lines: list[str] = []
    try:
        kept = os.dup(STDERR)
    except OSError:  # the process has no standard error
        yield lines
        return
    held = os.memfd_create("stderr")
    try:
        _flush()
        os.dup2(held, STDERR)
        try:
            yield lines
        finally:
            _flush()
            os.dup2(kept, STDERR)
            lines += os.pread(held, os.fstat(held).st_size, 0).decode("utf-8", "replace").splitlines()
    finally:
        os.close(held)
        os.close(kept)


def _flush() -> None:
    if sys.stderr is not None and not sys.stderr.closed:
        sys.stderr.flush()

"""What a vendor library writes to standard error behind our back, held while it is loaded."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

STDERR = 2


@contextmanager
def held_stderr() -> Iterator[list[str]]:
    """Gives a list that has, afterwards, the lines that the process has written to standard error meanwhile.

    By its number, so that C libraries are held too. What comes after a crash meanwhile is lost with the process.
    """
    lines: list[str] = []
    try:
        kept = os.dup(STDERR)
    except OSError:  # there is none
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

"""Keeps faces and keys in memory secret: no core dump, and no access by other processes of the same user."""

import ctypes
import resource

PR_SET_DUMPABLE = 4  # prctl(2)


def keep_memory_secret() -> None:
    """Disable core dumps for this process, and let only root attach to it or read its memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)

"""Memory that holds faces or keys stays memory: no core dump, and no other process of the same user reads it."""

import ctypes
import resource

PR_SET_DUMPABLE = 4  # prctl(2)


def keep_memory_secret() -> None:
    """From here on this process leaves no core dump, and nobody but root can attach to it or read its memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)

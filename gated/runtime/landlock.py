"""Gives up a process's rights to files, the network and signals for good, with Landlock (landlock(7)).

Calls three system calls directly, because libc has no function for them. A newer kernel removes more rights; `restrict`
returns what this kernel cannot remove. `gated.sandbox` uses it.
"""

import ctypes
import errno
import logging
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from gated.runtime.confinement import Lack

log = logging.getLogger(__name__)

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""Numbers of the system calls, the same on every machine (asm-generic/unistd.h)."""
VERSION_FLAG, PATH_BENEATH = 1, 1  # linux/landlock.h
PR_SET_NO_NEW_PRIVS = 38  # prctl(2)

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
IOCTL_DEV = 1 << 15
READ = EXECUTE | READ_FILE | READ_DIR
USE = READ | WRITE_FILE | IOCTL_DEV
OF_A_FILE = EXECUTE | WRITE_FILE | READ_FILE | IOCTL_DEV | 1 << 14
"""The rights that apply to a file; all other rights apply to folders only."""
RIGHTS = ((1, 13), (2, 14), (3, 15), (5, 16))
"""Pairs of a Landlock version and the number of file rights that it knows."""
TCP, SCOPES = (4, 0b11), (6, 0b11)
"""Pairs of a Landlock version and the bits it adds: TCP; abstract sockets and signals outside the process."""


class _Rules(ctypes.Structure):
    """`struct landlock_ruleset_attr` of the kernel."""

    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    """`struct landlock_path_beneath_attr` of the kernel."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def version() -> int:
    """Return the kernel's Landlock version; 0 if the kernel has none or has it switched off."""
    found = ctypes.CDLL(None).syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(VERSION_FLAG))
    return max(0, int(found))


def restrict(reads: Iterable[Path], devices: Iterable[Path]) -> Lack | None:
    """Let this thread, and threads it starts, read only `reads` and use only `devices`. Cannot be undone.

    Returns what this kernel cannot enforce; None if it enforces everything. Skips paths that do not exist.
    """
    has = version()
    if not has:
        return "no_landlock"
    try:
        _restrict(has, reads, devices)
    except OSError as error:
        log.debug("Landlock was refused: %s", error.strerror)
        return "landlock_refused"
    return None if has >= RIGHTS[2][0] else "old_landlock"


def _restrict(has: int, reads: Iterable[Path], devices: Iterable[Path]) -> None:
    rights = (1 << max(count for since, count in RIGHTS if since <= has)) - 1
    network, scopes = (bits if since <= has else 0 for since, bits in (TCP, SCOPES))
    rules = _Rules(rights, network, scopes)
    ruleset = _call(CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(ctypes.sizeof(rules)), ctypes.c_uint32(0))
    try:
        for allowed, paths in ((READ, reads), (USE, devices)):
            for path in paths:
                _allow(ruleset, path, allowed & rights)
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise _failure()
        _call(RESTRICT_SELF, ruleset, ctypes.c_uint32(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, allowed: int) -> None:
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(folder).st_mode):
            allowed &= OF_A_FILE
        rule = _Beneath(allowed, folder)
        _call(ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), ctypes.c_uint32(0))
    finally:
        os.close(folder)


def _call(number: int, *arguments: object) -> int:
    done = ctypes.CDLL(None, use_errno=True).syscall(number, *arguments)
    if done < 0:
        raise _failure()
    return int(done)


def _failure() -> OSError:
    number = ctypes.get_errno() or errno.EPERM
    return OSError(number, os.strerror(number))

"""Blocks system calls that a confined process never needs, with a seccomp(2) filter.

Applies to every thread of the process and cannot be undone. Uses libseccomp, which every Debian with systemd has.
`gated.sandbox` uses it for vision, and `confined_run` for foreign files.
"""

import ctypes
import ctypes.util
import errno
import fcntl
import os
import socket
import termios

from gated.runtime.confinement import Lack

ALLOW = 0x7FFF0000
ERROR = 0x00050000  # seccomp.h: SCMP_ACT_ALLOW, SCMP_ACT_ERRNO
REFUSE, MISSING = ERROR | errno.EPERM, ERROR | errno.ENOSYS
NOT_EQUAL, MASKED_EQUAL = 1, 7  # SCMP_CMP_NE, SCMP_CMP_MASKED_EQ
ALL_THREADS = 4  # SCMP_FLTATR_CTL_TSYNC
UNKNOWN = -1  # __NR_SCMP_ERROR

REFUSED = (
    # sockets of other processes; io_uring could bypass this filter
    "connect accept accept4 listen io_uring_setup io_uring_enter io_uring_register",
    # other processes of this user
    "ptrace process_vm_readv process_vm_writev process_madvise pidfd_open pidfd_getfd pidfd_send_signal kcmp "
    "rt_sigqueueinfo rt_tgsigqueueinfo tkill",
    # shared memory and queues, which stay after the end of a process
    "shmget shmat shmctl msgget msgsnd msgrcv msgctl semget semop semtimedop semctl mq_open mq_unlink",
    # leaving the process group: the brain kills the group
    "setsid setpgid",
    # its share of processor time and memory
    "sched_setaffinity sched_setscheduler sched_setparam sched_setattr setpriority ioprio_set migrate_pages move_pages",
    # permissions and times of files, which Landlock does not cover
    "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat setxattr lsetxattr fsetxattr removexattr "
    "lremovexattr fremovexattr utime utimes futimesat utimensat truncate",
    # settings of the kernel itself
    "bpf perf_event_open userfaultfd keyctl add_key request_key mount umount2 move_mount open_tree fsopen fsconfig "
    "fsmount fspick mount_setattr pivot_root chroot setns unshare open_by_handle_at init_module finit_module "
    "delete_module kexec_load kexec_file_load swapon swapoff reboot quotactl acct settimeofday clock_settime "
    "clock_adjtime adjtimex personality syslog",
)
"""System calls that are refused with any arguments. Names that a machine does not have are skipped."""

ALONE = ("fork vfork execve execveat",)
"""System calls that are also refused to a process without children. A decoder may still start threads."""

UEVENT = 15  # NETLINK_KOBJECT_UEVENT
"""Number of the netlink family of kernel device events (`NETLINK_KOBJECT_UEVENT`)."""
SOCKET_TYPES, INT = 0xF, 0xFFFFFFFF
"""Masks of the argument bits that the kernel reads."""
SET_OWNER = (fcntl.F_SETOWN, 15, fcntl.F_SETSIG)  # 15: F_SETOWN_EX
"""Commands of fcntl(2) that let a file send signals to another process."""
CLONE_PARENT, CLONE_THREAD = 0x8000, 0x10000
NEW_SPACES = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
"""Flags of clone(2), `CLONE_NEWNS` to `CLONE_NEWNET`, that give a child namespaces, and in them the rights of root."""
OF_OTHERS = (termios.TIOCSTI, termios.TIOCSCTTY, 0x541C, 0x8901, 0x8902)  # TIOCLINUX, FIOSETOWN, SIOCSPGRP
"""Requests of ioctl(2) that act on a terminal or send signals to another process."""


class _Compared(ctypes.Structure):
    """`struct scmp_arg_cmp` of libseccomp."""

    _fields_ = (("place", ctypes.c_uint), ("how", ctypes.c_int), ("one", ctypes.c_uint64), ("other", ctypes.c_uint64))


def restrict(*, is_alone: bool = False) -> Lack | None:
    """Refuse those system calls from now on. Return what cannot be enforced; None if the whole filter is in force.

    `is_alone`: also refuse new processes and programs. Threads stay allowed.
    """
    try:
        library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    except OSError:
        return "no_libseccomp"
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    context = ctypes.c_void_p(library.seccomp_init(ALLOW))
    try:
        is_kept = bool(context) and _load(library, context, is_alone)
    finally:
        library.seccomp_release(context)
    return None if is_kept else "seccomp_refused"


def _load(library: ctypes.CDLL, context: ctypes.c_void_p, is_alone: bool) -> bool:
    """Load the rules into the kernel. Return whether all of them are in force."""
    us = os.getpid()
    names = " ".join(REFUSED + ALONE * is_alone).split()
    rules: list[tuple[str, tuple[_Compared, ...]]] = [(name, ()) for name in names]
    # libcamera asks udev for cameras over netlink; vision needs no other socket
    rules += [("socket", (_Compared(0, NOT_EQUAL, socket.AF_NETLINK, 0),))]
    rules += [("socket", (_Compared(2, NOT_EQUAL, UEVENT, 0),))]
    # a datagram socket of a pair can send to any socket it names
    packets = (socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET)
    rules += [("socketpair", (_Compared(1, MASKED_EQUAL, SOCKET_TYPES, each),)) for each in packets]
    # writing to a file can signal its owner, and a terminal accepts injected input
    rules += [("fcntl", (_Compared(1, MASKED_EQUAL, INT, each),)) for each in SET_OWNER]
    rules += [("ioctl", (_Compared(1, MASKED_EQUAL, INT, each),)) for each in OF_OTHERS]
    rules += [(name, (_Compared(0, NOT_EQUAL, us, 0),)) for name in ("kill", "tgkill")]
    rules += [("prlimit64", (_Compared(0, NOT_EQUAL, 0, 0),))]
    # in a namespace of its own a child is root; a child of the brain stays there as a zombie
    rules += [("clone", (_Compared(0, MASKED_EQUAL, flag, flag),)) for flag in (*NEW_SPACES, CLONE_PARENT)]
    rules += [("clone", (_Compared(0, MASKED_EQUAL, CLONE_THREAD, 0),))] * is_alone
    is_complete = all(_add(library, context, name, compared) for name, compared in rules)
    # the filter cannot read the flags of clone3; libc falls back to clone where clone3 is missing
    return (
        is_complete
        and _add(library, context, "clone3", (), MISSING)
        and not (library.seccomp_attr_set(context, ALL_THREADS, 1) or library.seccomp_load(context))
    )


def _add(
    library: ctypes.CDLL, context: ctypes.c_void_p, name: str, compared: tuple[_Compared, ...], action: int = REFUSE
) -> bool:
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number == UNKNOWN:
        return True
    array = (_Compared * len(compared))(*compared)
    done = library.seccomp_rule_add_array(context, ctypes.c_uint32(action), number, len(compared), array)
    return int(done) == 0 or int(done) == -errno.EDOM  # this machine does not have that call

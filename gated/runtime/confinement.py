"""Names for missing confinement of a process, with words and a fix for each.

A confined process reports only these names. If it is compromised, it cannot send text of its own instead.
"""

from typing import Literal

Lack = Literal[
    "no_landlock", "landlock_refused", "old_landlock", "no_libseccomp", "seccomp_refused", "other_threads", "untried"
]
"""Name of one missing confinement."""

FILES, SOCKETS = "files are not kept from it", "sockets and other processes are not kept from it"

WORDS: dict[Lack, str] = {
    "no_landlock": f"this kernel has no Landlock, or none is allowed here, so that {FILES}",
    "landlock_refused": f"Landlock was refused, so that {FILES}",
    "old_landlock": "this kernel's Landlock is old: it could cut a file short, and not read it",
    "no_libseccomp": f"libseccomp is missing, so that {SOCKETS}",
    "seccomp_refused": f"seccomp was refused, so that {SOCKETS}",
    "other_threads": "other threads ran already, and gave nothing up",
    "untried": "nobody can tell what confines it: the trial failed",
}
"""What each lack means, in words."""

KERNEL = "start a kernel of 6.2 or newer that has Landlock: `landlock` among the names after `lsm=` in its command line"

STEPS: dict[Lack, str] = {
    "no_landlock": KERNEL,
    "landlock_refused": KERNEL,
    "old_landlock": KERNEL,
    "no_libseccomp": "apt-get install libseccomp2",
    "seccomp_refused": "start a kernel that has seccomp, and no container that forbids it",
    "other_threads": "report it: no thread should run so early",
    "untried": "run `gated vision --try`, which says why",
}
"""The fix for each lack."""

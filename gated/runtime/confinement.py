"""Names for missing confinement of a process, with words and a fix for each.

A confined process reports only these names. A compromised process can therefore not send other text.
"""

from typing import Literal

Lack = Literal[
    "no_landlock", "landlock_refused", "old_landlock", "no_libseccomp", "seccomp_refused", "other_threads", "untried"
]
"""Name of one missing confinement."""

FILES, SOCKETS = "the process can reach files", "the process can reach sockets and other processes"

WORDS: dict[Lack, str] = {
    "no_landlock": f"this kernel has no Landlock or does not allow it: {FILES}",
    "landlock_refused": f"Landlock was refused: {FILES}",
    "old_landlock": "this kernel's Landlock is old: the process cannot read a file but can truncate it",
    "no_libseccomp": f"libseccomp is missing: {SOCKETS}",
    "seccomp_refused": f"seccomp was refused: {SOCKETS}",
    "other_threads": "other threads ran before: they are not confined",
    "untried": "its confinement is unknown: the trial failed",
}
"""What each lack means, in words."""

KERNEL = "use a kernel 6.2 or newer with Landlock: its command line has `landlock` after `lsm=`"

STEPS: dict[Lack, str] = {
    "no_landlock": KERNEL,
    "landlock_refused": KERNEL,
    "old_landlock": KERNEL,
    "no_libseccomp": "run apt-get install libseccomp2",
    "seccomp_refused": "use a kernel with seccomp, outside a container that forbids it",
    "other_threads": "report this as a fault: no thread should run this early",
    "untried": "run `gated vision --try`: it prints the reason",
}
"""The fix for each lack."""

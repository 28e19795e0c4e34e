"""Runs a module of gated in a process without rights, for files that may be hostile.

The converters of models and the decoder of enrolment photos run so. The process opens no file and no socket, starts no
other process, and is nobody if it began as root. Its memory, its time and the size of its output are limited. It gets
its sources as open files, and writes its result to its standard output.

`run` starts it. The process itself calls `serve` after its imports, and before it reads a byte. `serve` gives up its
rights, writes the result, or gives a reason for a refusal on its error output and ends with `REFUSED`. As the process
may be compromised, the caller checks all of its output.
"""

import logging
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import IO

from gated.bounded import KIB, MIB
from gated.errors import ConfinedError, GatedError
from gated.printable import printable
from gated.runtime import landlock, seccomp
from gated.runtime.child import die_with_parent
from gated.runtime.confinement import STEPS, WORDS, Lack

log = logging.getLogger(__name__)

REFUSED = 4
"""Exit status of a process that gives its reason in words on its error output."""
MOST_WORDS = 1 * KIB
WARNED: dict[str | None, Lack] = {lack: lack for lack in WORDS if lack != "old_landlock"}
"""The lacks that matter here, by name. An old Landlock lets a process truncate files, which seccomp refuses too."""
NOBODY = 65534
"""User and group without rights, on every Debian (base-passwd)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a process. Python and numpy map about 300 MiB of memory before they read anything."""

    memory_bytes: int
    cpu_s: int
    output_bytes: int
    time_s: float
    advice: str = "free some, and try again"
    """What to do if the process ends without a reason, which is often for lack of memory."""


def run(module: str, words: Sequence[str], files: Sequence[IO[bytes]], target: IO[bytes], limits: Limits) -> None:
    """Run a module with `words`, then the numbers of the open files. Its standard output goes to `target`.

    Raises `ConfinedError` with the reason: the module refuses a file, reaches a limit, or ends by a signal. A caller
    that is root calls it as root, so that the process can become nobody. Logs each missing confinement once.
    """
    numbers = [file.fileno() for file in files]
    command = [sys.executable, "-P", "-m", module, *words, *map(str, numbers)]
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # a restriction does not cover running threads
    with tempfile.TemporaryFile() as errors:
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=target, stderr=errors, pass_fds=numbers, check=False,
                timeout=limits.time_s, env=os.environ | threads, cwd="/",
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise ConfinedError(f"it takes more than {limits.time_s:.0f} s; free the processor") from error
        errors.seek(0)
        for lack in errors.read(MOST_WORDS).decode(errors="replace").splitlines():
            if lack in WARNED:
                _warn(WARNED[lack])
        if done.returncode:
            errors.seek(-min(MOST_WORDS, errors.seek(0, os.SEEK_END)), os.SEEK_END)
            raise ConfinedError(_reason(done.returncode, errors.read(MOST_WORDS), limits))


def serve(limits: Limits, make: Callable[[], bytes], refusal: type[GatedError], too_large: str) -> int:
    """Give up all rights, and write the result of `make` to the standard output. Return the exit status.

    `refusal`: the error of `make` that refuses a file. `too_large`: the reason if the memory is not enough; `{}` is the
    limit in MiB.
    """
    give_up(limits)
    try:
        made = make()
        with os.fdopen(sys.stdout.fileno(), "wb", closefd=False) as target:
            target.write(made)
    except refusal as error:
        print(error, file=sys.stderr)
        return REFUSED
    except MemoryError:
        print(too_large.format(limits.memory_bytes // MIB), file=sys.stderr)
        return REFUSED
    return 0


def give_up(limits: Limits) -> None:
    """Give up all rights of this process, and limit it. Nothing can raise a limit again.

    Becomes nobody if this process is root, and gives up files, sockets and other processes. Ends with its caller. A
    kernel without Landlock or seccomp leaves the rest of nobody's rights, or of the caller's. The error output then
    names that lack, for `run`.
    """
    for limit, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_FSIZE, limits.output_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    die_with_parent()  # a change of the user would undo it
    for lack in (seccomp.restrict(is_alone=True), landlock.restrict((), ())):
        if lack in WARNED:
            print(lack, file=sys.stderr, flush=True)


@cache
def _warn(lack: Lack) -> None:
    log.warning("foreign files are read with more rights than needed: %s; %s", WORDS[lack], STEPS[lack])


def _reason(status: int, errors: bytes, limits: Limits) -> str:
    """Return why the process ended, in words. A compromised process may write anything, so this cleans it."""
    lines = [line for line in errors.decode(errors="replace").strip().splitlines() if line not in WARNED]
    text = printable(lines[-1] if lines else "")
    if status == REFUSED:
        return text
    memory = f"it may use {limits.memory_bytes // MIB} MiB of memory, so {limits.advice}"
    return f"its process ended with status {status} ({text or 'no message'}); {memory}"

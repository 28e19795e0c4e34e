"""Runs a converter in a process without rights. `gated.face.model_sources` uses it.

The files come from a publisher. Their digests are right, but the publisher may be hostile. The process has no rights
that this kernel can remove: it opens no file and no socket, and is nobody if it began as root. Its memory, its time and
the size of its output are limited. It gets its sources as open files, and writes the model to an open file.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import IO

from gated.bounded import KIB, MIB
from gated.errors import ModelError
from gated.printable import printable
from gated.storage.owner import acting_as_oneself

MOST_BYTES = 1024 * MIB
"""Limit of a converter's address space. Python and numpy map about 300 MiB before they read anything."""
CPU_S, MOST_S = 60, 180.0
"""Limits of processor time, and of time. The longest conversion here takes 0.5 s, on a Pi Zero 2 W about 5 s."""
REFUSED = 4
"""Exit status of a converter that gives its reason in words on its error output."""
MOST_WORDS = 1 * KIB


def convert_confined(kind: str, sources: Sequence[IO[bytes]], target: IO[bytes]) -> None:
    """Convert the source files, in the order of the manifest, and write the model to `target`.

    Raises `ModelError` with the reason: the converter refuses a file, reaches a limit, or ends by a signal.
    """
    files = [source.fileno() for source in sources]
    command = [sys.executable, "-P", "-m", "gated.face.convert", kind, *map(str, files)]
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # a restriction does not cover running threads
    with tempfile.TemporaryFile() as words, acting_as_oneself():
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=target, stderr=words, pass_fds=files, check=False,
                timeout=MOST_S, env=os.environ | threads, cwd="/",
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise ModelError(f"the conversion takes more than {MOST_S:.0f} s; free the processor") from error
        if done.returncode:
            words.seek(0)
            raise ModelError(_reason(done.returncode, words.read(MOST_WORDS)))


def _reason(status: int, words: bytes) -> str:
    """Return why the converter ended, in words. A compromised converter may write anything, so this cleans it."""
    text = printable(words.decode(errors="replace").strip().splitlines()[-1] if words.strip() else "")
    if status == REFUSED:
        return text
    return (
        f"the converter ended with status {status} ({text or 'no message'}); it may use {MOST_BYTES >> 20} MiB of "
        "memory, so free some, or convert on another machine and copy the model with --from"
    )

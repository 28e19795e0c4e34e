"""The process of a converter: gives up its rights, reads the sources, writes the model to its standard output.

`gated.face.convert.confined` starts it with the name of the converter and the numbers of the open files. A reason for a
refusal goes to the error output. All modules are imported before the rights are given up.
"""

import os
import resource
import sys
from collections.abc import Callable, Sequence

from gated.errors import ModelError
from gated.face.convert.confined import CPU_S, MOST_BYTES, REFUSED
from gated.face.convert.minifasnet import convert_minifasnet
from gated.face.convert.openvino import convert_openvino
from gated.face.manifest import MOST_BYTES as MOST_OUTPUT_BYTES
from gated.runtime import landlock, seccomp

CONVERTERS: dict[str, Callable[..., bytes]] = {"openvino": convert_openvino, "minifasnet": convert_minifasnet}
NOBODY = 65534
"""User and group without rights, on every Debian (base-passwd)."""


def main(words: Sequence[str]) -> int:
    """Convert. Return the exit status."""
    kind, *files = words
    _limit()
    _give_up_rights()
    try:
        model = CONVERTERS[kind](*(_content(int(file)) for file in files))
        with os.fdopen(sys.stdout.fileno(), "wb", closefd=False) as target:
            target.write(model)
    except ModelError as error:
        print(error, file=sys.stderr)
        return REFUSED
    except MemoryError:
        print(f"it needs more than {MOST_BYTES >> 20} MiB of memory", file=sys.stderr)
        return REFUSED
    return 0


def _content(file: int) -> bytes:
    with os.fdopen(file, "rb") as source:
        return source.read()


def _limit() -> None:
    """Limit memory, processor time, files and processes. Nothing can raise a limit again."""
    for limit, most in (
        (resource.RLIMIT_AS, MOST_BYTES),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_FSIZE, MOST_OUTPUT_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))


def _give_up_rights() -> None:
    """Become nobody if this process is root, and give up files, sockets and other processes.

    A kernel without Landlock or seccomp leaves the rest of nobody's rights, or of the caller's.
    """
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    seccomp.restrict()
    landlock.restrict((), ())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

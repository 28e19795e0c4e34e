"""Runs a converter in a process without rights. `gated.face.model_sources` uses it.

The files come from a publisher. Their digests are right, but the publisher may be hostile. The process gets its sources
as open files, and writes the model to an open file.
"""

from collections.abc import Sequence
from typing import IO

from gated.bounded import MIB
from gated.errors import ConfinedError, ModelError
from gated.face.model_entry import MOST_BYTES as MOST_OUTPUT_BYTES
from gated.runtime.confined_run import Limits, run
from gated.storage.owner import acting_as_oneself

ADVICE = "free some, or convert on another machine and copy the model with --from"
LIMITS = Limits(memory_bytes=1024 * MIB, cpu_s=60, output_bytes=MOST_OUTPUT_BYTES, time_s=180.0, advice=ADVICE)
"""The largest conversion (MiniFASNet or Intel 0095) takes under 1 s of processor time on a desktop machine."""


def convert_confined(kind: str, sources: Sequence[IO[bytes]], target: IO[bytes]) -> None:
    """Convert the source files, in the order of the manifest, and write the model to `target`.

    Raises `ModelError` with the reason: the converter refuses a file, reaches a limit, or ends by a signal.
    """
    try:
        with acting_as_oneself():
            run("gated.face.convert", (kind,), sources, target, LIMITS)
    except ConfinedError as error:
        raise ModelError(str(error)) from error

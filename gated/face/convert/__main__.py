"""The process of a converter: gives up its rights, reads the sources, writes the model to its standard output.

`gated.face.convert.confined` starts it with the name of the converter and the numbers of the open files. A reason for a
refusal goes to the error output. All modules are imported before the rights are given up.
"""

import os
import sys
from collections.abc import Callable, Sequence

from gated.errors import ModelError
from gated.face.convert.confined import LIMITS
from gated.face.convert.minifasnet import convert_minifasnet
from gated.face.convert.openvino import convert_openvino
from gated.runtime.confined_run import serve

CONVERTERS: dict[str, Callable[..., bytes]] = {"openvino": convert_openvino, "minifasnet": convert_minifasnet}


def main(words: Sequence[str]) -> int:
    """Convert. Return the exit status."""
    kind, *files = words
    return serve(
        LIMITS,
        lambda: CONVERTERS[kind](*(_content(int(file)) for file in files)),
        ModelError,
        "it needs more than {} MiB of memory",
    )


def _content(file: int) -> bytes:
    with os.fdopen(file, "rb") as source:
        return source.read()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

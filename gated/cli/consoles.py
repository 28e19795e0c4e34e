"""A rich console. It may print colours and cursor movements, and it makes all given text printable."""

from collections.abc import Iterable
from typing import Any

import rich.console
from rich.segment import Segment

from gated.cli import streams
from gated.printable import printable


class Console(rich.console.Console):
    """Console on standard output, or with `err` on standard error. It writes past `Guarded`, which would escape its
    control sequences.
    """

    def __init__(self, *, err: bool = False, **more: Any) -> None:
        super().__init__(file=streams.plain("stderr" if err else "stdout"), **more)

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        """Make each text segment printable. This is the last step at which text and control sequences are still
        separate.
        """
        return super()._render_buffer(each if each.control else _made_printable(each) for each in buffer)


def _made_printable(segment: Segment) -> Segment:
    return Segment(printable(segment.text), segment.style)

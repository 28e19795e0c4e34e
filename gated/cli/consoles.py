"""A console of rich's, whose own movements and colours pass, and nothing that it is given."""

from collections.abc import Iterable
from typing import Any

import rich.console
from rich.segment import Segment

from gated.cli import streams
from gated.printable import printable


class Console(rich.console.Console):
    """Writes to standard output, or with `err` to standard error, past the guard that would stop its own sequences."""

    def __init__(self, *, err: bool = False, **more: Any) -> None:
        super().__init__(file=streams.plain("stderr" if err else "stdout"), **more)

    def _render_buffer(self, buffer: Iterable[Segment]) -> str:
        """Rich's last step, from which on text and sequences are not told apart any more."""
        return super()._render_buffer(each if each.control else _made_printable(each) for each in buffer)


def _made_printable(segment: Segment) -> Segment:
    return Segment(printable(segment.text), segment.style)

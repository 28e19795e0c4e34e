"""Draw a visitor pass or a gate's code as a QR code: on a terminal, as PNG, as SVG, or as a matrix."""

import io
from pathlib import Path
from typing import Any

from gated.errors import StateError
from gated.storage.named_files import write_named

PX = 12
"""The size of a module of the code in a PNG, in pixels. It gives 500 to 700 pixels a side, which is sharp on
any phone.
"""
BLOCKS = "█▀▄"
"""The characters of a code on a terminal that can show them."""


def squares(text: str) -> list[bytes]:
    """Return the rows of the code: 1 for a dark module, 0 for a light one. Excludes the quiet zone of 4 modules."""
    return [bytes(row) for row in _code(text).matrix]


def on_terminal(text: str, *, is_unicode: bool = True) -> str:
    """Return the code as text, dark on light whatever the colours of the terminal are. A line holds two rows of
    modules.

    If `is_unicode` is false, the text has coloured blanks instead of half blocks, and a line for each row.
    """
    drawn = io.StringIO()
    _code(text).terminal(drawn, compact=is_unicode)
    return drawn.getvalue()


def write_png(text: str, path: Path) -> None:
    """Write the code as a PNG file. Raises `StateError` if the file cannot be written."""
    drawn = io.BytesIO()
    _code(text).save(drawn, kind="png", scale=PX)
    try:
        write_named(path, drawn.getvalue(), 0o666)
    except OSError as error:
        raise StateError(f"{path}: cannot be written ({error.strerror}); name a file in a folder of yours") from error


def svg(text: str) -> str:
    """Return the code as an SVG element for a printed page."""
    drawn: str = _code(text).svg_inline(border=4, omitsize=True)
    return drawn


def _code(text: str) -> Any:
    """Make the code with the lowest error correction. It has the fewest and largest modules, and a screen has no
    damage.
    """
    import segno  # imported here: it takes 30 ms, and the gate does not need it

    return segno.make_qr(text, error="l")

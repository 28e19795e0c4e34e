"""A visitor pass or a gate's code as a QR code: on a terminal, as a picture, on a page, as squares to draw."""

import io
from pathlib import Path
from typing import Any

from gated.errors import StateError
from gated.runtime.named import write_named

PX = 12
"""Of one square in a picture: 500 to 700 px a side, sharp on any phone."""
BLOCKS = "█▀▄"
"""What the code is drawn with where the terminal has them."""


def squares(text: str) -> list[bytes]:
    """The rows of the code, 1 for a dark square and 0 for a light one; without the light border of 4 around it."""
    return [bytes(row) for row in _code(text).matrix]


def on_terminal(text: str, *, is_unicode: bool = True) -> str:
    """The code in characters, two rows of squares to a line; dark on light whatever the terminal's colours are.

    `is_unicode`: whether the terminal has half blocks; without, it is blanks on colours, a line for each row.
    """
    drawn = io.StringIO()
    _code(text).terminal(drawn, compact=is_unicode)
    return drawn.getvalue()


def write_png(text: str, path: Path) -> None:
    """The code as a picture. Raises `StateError` when it cannot be written."""
    drawn = io.BytesIO()
    _code(text).save(drawn, kind="png", scale=PX)
    try:
        write_named(path, drawn.getvalue(), 0o666)
    except OSError as error:
        raise StateError(f"{path}: cannot be written ({error.strerror}); name a file in a folder of yours") from error


def svg(text: str) -> str:
    """The code as an SVG element, for a page that is printed."""
    drawn: str = _code(text).svg_inline(border=4, omitsize=True)
    return drawn


def _code(text: str) -> Any:
    """Least redundancy that is there for the fewest and so the largest squares: a screen has no torn corners."""
    import segno  # 30 ms that a gate does without

    return segno.make_qr(text, error="l")

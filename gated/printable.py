"""Make foreign text safe to show on a terminal, in a log, on a page. Pure.

A gate, a broker, a name or a file may contain characters that control a terminal (ESC: another title, the clipboard,
colours that hide text), characters that reverse the order of others, and invisible characters. Each is written as its
number, as JSON escapes it (RFC 8259, section 7), so a JSON text keeps its value.
"""

import re
import unicodedata
from functools import cache

USUAL = (
    r"\n\t -~\u00a1-\u00ac\u00ae-\u02ff\u2010-\u2027\u2022\u20ac\u2190-\u21ff\u2500-\u25ff\u2713\u2717"
    r"\u3001-\u3029\u3030-\u303f\u3041-\u3096\u30a1-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff5e"
)
"""Characters that are shown unchanged, as the set of a regular expression."""
INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Fillers and joiners that Unicode classifies as letters or marks, and an empty braille cell."""
MOST_MARKS = 4
"""The number of marks above and below one letter that are shown. More marks cover the lines around it."""
MOST_SIGNS = 1000
"""The number of characters of a value in one line. JSON output has the whole value."""


def printable(text: str) -> str:
    """Return the text with every unsafe character as its number. Newlines and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return _unusual().sub(lambda run: _run(run[0]), text)


def line(text: str, most: int = MOST_SIGNS) -> str:
    """Return a value for a line with other values. Newlines and tabs are escaped, and a long value is cut after `most`
    characters.
    """
    if len(text) > most:
        text = f"{text[:most]}... ({len(text)} signs)"
    return printable(text.replace("\n", "\\n").replace("\t", "\\t"))


def page(text: str) -> str:
    """Return the text for HTML, as text or as the value of an attribute."""
    import html  # only processes that make pages load its table of entities

    return html.escape(printable(text))


def number(sign: str) -> str:
    r"""Return a character as JSON escapes it: `\u001b`; beyond the basic plane a surrogate pair."""
    code = ord(sign)
    if code < 0x10000:
        return f"\\u{code:04x}"
    return f"\\u{0xD800 + (code - 0x10000 >> 10):04x}\\u{0xDC00 + (code - 0x10000 & 0x3FF):04x}"


@cache
def _unusual() -> re.Pattern[str]:
    """Return the pattern of runs that may contain a character to escape. Compiled at first use: 3 ms of a start."""
    return re.compile(f"[^{USUAL}]+")


def _run(run: str) -> str:
    shown, marks = [], 0
    for sign in run:
        marks = marks + 1 if unicodedata.category(sign) in ("Mn", "Me") else 0
        shown.append(sign if _is_shown(sign) and marks <= MOST_MARKS else number(sign))
    return "".join(shown)


def _is_shown(sign: str) -> bool:
    is_variant = "\ufe00" <= sign <= "\ufe0f" or "\U000e0100" <= sign <= "\U000e01ef"
    return (sign.isprintable() or unicodedata.category(sign) == "Zs") and sign not in INVISIBLE and not is_variant

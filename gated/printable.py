"""Text from elsewhere, made so that it shows what it is: on a terminal, in a log, on a page.

A gate, a broker, a name or a file may hold signs that a terminal obeys (ESC: another title, the clipboard, colours that
hide text), signs that turn the order of others round, and signs that nobody sees. Each is written as its number, as
JSON escapes it (RFC 8259, section 7): a JSON text stays the same value by that. Pure.
"""

import re
import unicodedata

UNUSUAL = re.compile(
    r"[^\n\t -~\u00a1-\u00ac\u00ae-\u02ff\u2010-\u2027\u2022\u20ac\u2190-\u21ff\u2500-\u25ff\u2713\u2717"
    r"\u3001-\u3029\u3030-\u303f\u3041-\u3096\u30a1-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff5e]+"
)
"""Runs in which there may be a sign that is not shown; all others are plain."""
INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
"""Fillers and joiners that Unicode calls letters or marks, and an empty braille cell."""
MOST_MARKS = 4
"""So many marks above and below one letter are shown; more of them cover the lines around it."""
MOST_SIGNS = 1000
"""Of a value in a line; JSON has all of it."""


def printable(text: str) -> str:
    """The text with every sign that is not shown as its number; ends of lines and tabs stay."""
    return UNUSUAL.sub(lambda run: _run(run[0]), text)


def line(text: str, most: int = MOST_SIGNS) -> str:
    """The same for a value that stands in a line with others: it begins none of its own, and a long one is cut."""
    if len(text) > most:
        text = f"{text[:most]}... ({len(text)} signs)"
    return printable(text.replace("\n", "\\n").replace("\t", "\\t"))


def page(text: str) -> str:
    """The same in HTML, as text or as the value of an attribute."""
    import html  # its table of all entities is of no use to the processes that make no page

    return html.escape(printable(text))


def number(sign: str) -> str:
    r"""A sign as JSON escapes it: `\u001b`, beyond the basic plane as a pair."""
    code = ord(sign)
    if code < 0x10000:
        return f"\\u{code:04x}"
    return f"\\u{0xD800 + (code - 0x10000 >> 10):04x}\\u{0xDC00 + (code - 0x10000 & 0x3FF):04x}"


def _run(run: str) -> str:
    shown, marks = [], 0
    for sign in run:
        marks = marks + 1 if unicodedata.category(sign) in ("Mn", "Me") else 0
        shown.append(sign if _is_shown(sign) and marks <= MOST_MARKS else number(sign))
    return "".join(shown)


def _is_shown(sign: str) -> bool:
    is_variant = "\ufe00" <= sign <= "\ufe0f" or "\U000e0100" <= sign <= "\U000e01ef"
    return (sign.isprintable() or unicodedata.category(sign) == "Zs") and sign not in INVISIBLE and not is_variant

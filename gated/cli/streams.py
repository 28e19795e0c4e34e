"""Makes standard input and output safe for any terminal. No encoding error or closed pipe causes a traceback, and no
printed text controls the terminal.

All output goes through here: tables, JSON, errors, the log, tracebacks. So foreign text needs no special treatment
elsewhere. Only `own` and `Console` (`gated.cli.consoles`) print colours, drawings and the bell.
"""

import codecs
import errno
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import click

from gated.printable import line, number, printable

PLAIN = {
    "·": "-", "\u2013": "-", "—": "-", "\u2212": "-", "…": "...", "→": "->", "←": "<-", "\u00d7": "x", "±": "+-",
    "≤": "<=", "≥": ">=", "µ": "u", "°": " deg", "“": '"', "”": '"', "\u2018": "'", "\u2019": "'", "•": "*", "✓": "yes",
    "✗": "no", "▮": "#", "▯": ".", "█": "#", "\xa0": " ", "│": "|", "─": "-",
}  # fmt: skip
"""ASCII replacements for gated's own non-ASCII characters, for a terminal without them."""
HANDLER = "gated"
LONGEST = 4000
"""Maximum length of a printed sentence with foreign text, in characters. A longer one is cut, with its length."""
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def _in_its_place(error: UnicodeError) -> tuple[str, int]:
    """Return the replacement for characters that the terminal lacks: an ASCII look-alike, or an escape valid in JSON
    and TOML.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign) or _number(sign) for sign in signs), error.end


def _number(sign: str) -> str:
    return number(sign) if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"


codecs.register_error(HANDLER, _in_its_place)


class Guarded:
    """A text stream that makes every character printable (`printable`). It has no `buffer`, so no bytes bypass it."""

    def __init__(self, plain: IO[str]) -> None:
        self.plain = plain

    def write(self, text: str) -> int:
        """Write the text, made printable. Return the number of characters of `text`. Raises `OSError`."""
        if not isinstance(text, str):
            raise TypeError("this stream accepts only text")
        self.plain.write(printable(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write each line in order."""
        for each in lines:
            self.write(each)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self.plain, name)


def plain(name: str) -> IO[str]:
    """Return unguarded standard output ("stdout") or error ("stderr"), for intended control sequences."""
    stream = getattr(sys, name)
    return stream.plain if isinstance(stream, Guarded) else stream


def own(text: str, *, err: bool = False) -> None:
    """Print gated's own colours, pictures and bell unchanged, without a newline. A pipe gets no colours."""
    click.echo(text, nl=False, file=plain("stderr" if err else "stdout"))


def echo(*sentences: str, err: bool = False) -> None:
    """Print sentences that contain foreign text. Each sentence stays on one line, whatever the text is."""
    for each in sentences:
        click.echo(line(each, LONGEST), err=err)


def confirm(question: str, **options: Any) -> bool:
    """Ask a question that contains foreign text. Takes the options of `click.confirm`."""
    return click.confirm(line(question, LONGEST), **options)


def prepare() -> None:
    """Make the three streams accept every character. A stream closed before the start becomes /dev/null."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - stays open
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace" if mode == "r" else HANDLER)
    for name in ("stdout", "stderr"):
        if not isinstance(getattr(sys, name), Guarded):
            setattr(sys, name, Guarded(getattr(sys, name)))


def finish() -> None:
    """Flush both output streams before Python's own exit does. Raises `OSError` if the reader has closed."""
    for stream in (sys.stdout, sys.stderr):
        if not stream.closed:
            stream.flush()


@contextmanager
def guarded() -> Iterator[None]:
    """Run `prepare`, and restore the streams at the end, for a program that calls a command in-process.

    If an error propagates, the streams stay guarded: Python prints the traceback after this context ends.
    """
    prepare()
    try:
        yield
    except SystemExit:
        _leave()
        raise
    _leave()


def _leave() -> None:
    sys.stdout, sys.stderr = plain("stdout"), plain("stderr")


def are_lost() -> bool:
    """Return whether the terminal or file of buffered output no longer exists."""
    try:
        finish()
    except OSError:
        return True
    return False


def abandon() -> None:
    """Redirect both streams to /dev/null, so that Python's flush at exit cannot fail."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            try:
                os.dup2(null, stream.fileno())
            except (OSError, ValueError):  # the stream has no file descriptor
                continue
    os.close(null)


def is_unicode() -> bool:
    """Return whether standard output accepts every character."""
    return codecs.lookup(getattr(sys.stdout, "encoding", None) or "ascii").name.startswith("utf-")


def can_write(text: str) -> bool:
    """Return whether the encoding of standard output has each of these characters."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def unreadable(words: Sequence[str]) -> list[str]:
    """Return the arguments that are not valid text in this terminal's encoding, except names of existing files."""
    return [word for word in words if any("\ud800" <= sign <= "\udfff" for sign in word) and not os.path.lexists(word)]

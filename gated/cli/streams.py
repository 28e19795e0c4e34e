"""What a command reads and writes, made safe for any terminal: no encoding and no closed pipe ends in a traceback, and
nothing that is printed commands the terminal.

Everything goes through here: tables, JSON, errors, the log, tracebacks. So what comes from elsewhere need not be told
apart from what is ours. Only `own` and `Console` (`gated.cli.consoles`) colour, draw and ring.
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
"""Our own signs in ASCII, for a terminal that has none of them."""
HANDLER = "gated"
LONGEST = 4000
"""Signs of a sentence with words from elsewhere; of more the rest is counted."""
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def _in_its_place(error: UnicodeError) -> tuple[str, int]:
    """What is written for a character that the terminal lacks: its look, or its number as JSON and TOML take it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(PLAIN.get(sign) or _number(sign) for sign in signs), error.end


def _number(sign: str) -> str:
    return number(sign) if ord(sign) < 0x10000 else f"\\U{ord(sign):08x}"


codecs.register_error(HANDLER, _in_its_place)


class Guarded:
    """A stream for text that shows every sign (`printable`). It has no `buffer`: nothing goes past it."""

    def __init__(self, plain: IO[str]) -> None:
        self.plain = plain

    def write(self, text: str) -> int:
        """Write it made printable; gives how many signs were taken. Raises `OSError`."""
        if not isinstance(text, str):
            raise TypeError("this stream takes text")
        self.plain.write(printable(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write one after the other."""
        for each in lines:
            self.write(each)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":
            raise AttributeError(name)
        return getattr(self.plain, name)


def plain(name: str) -> IO[str]:
    """Standard output ("stdout") or error ("stderr") as it is, for what commands the terminal on purpose."""
    stream = getattr(sys, name)
    return stream.plain if isinstance(stream, Guarded) else stream


def own(text: str, *, err: bool = False) -> None:
    """Print our own colours, pictures and bell as they are, without a new line; a pipe gets them without colours."""
    click.echo(text, nl=False, file=plain("stderr" if err else "stdout"))


def say(*sentences: str, err: bool = False) -> None:
    """Print sentences that have words from elsewhere in them: whatever those are, each sentence is one line."""
    for each in sentences:
        click.echo(line(each, LONGEST), err=err)


def confirm(question: str, **options: Any) -> bool:
    """Ask a question that has words from elsewhere in it. Takes what `click.confirm` takes."""
    return click.confirm(line(question, LONGEST), **options)


def prepare() -> None:
    """Have the three streams take everything. A stream that was closed before we began is nothing, and written to."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - for as long as we run
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace" if mode == "r" else HANDLER)
    for name in ("stdout", "stderr"):
        if not isinstance(getattr(sys, name), Guarded):
            setattr(sys, name, Guarded(getattr(sys, name)))


def finish() -> None:
    """Write out what still waits, before Python does at its end. Raises `OSError` where the other end is gone."""
    for stream in (sys.stdout, sys.stderr):
        if not stream.closed:
            stream.flush()


@contextmanager
def guarded() -> Iterator[None]:
    """`prepare`, and at the end give the streams back as they were, to a program that runs a command within itself.

    Not where an error goes on: Python prints its trace when we are gone.
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
    """Whether what was written cannot be brought out, because its terminal or file is gone."""
    try:
        finish()
    except OSError:
        return True
    return False


def abandon() -> None:
    """Write nothing any more: also what Python writes at its end goes nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            try:
                os.dup2(null, stream.fileno())
            except (OSError, ValueError):  # not a file at all
                continue
    os.close(null)


def is_unicode() -> bool:
    """Whether standard output takes every character."""
    return codecs.lookup(getattr(sys.stdout, "encoding", None) or "ascii").name.startswith("utf-")


def can_write(text: str) -> bool:
    """Whether standard output has each of these characters."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def unreadable(words: Sequence[str]) -> list[str]:
    """The arguments that are no text in this terminal's encoding; a file may have any name."""
    return [word for word in words if any("\ud800" <= sign <= "\udfff" for sign in word) and not os.path.lexists(word)]

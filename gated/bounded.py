"""Reads, copies and downloads that end. What comes from elsewhere is bounded before anybody can know what it is.

A server, a mirror or a stick may send without end, and a digest is known only at the end. So every such read names the
most bytes that it takes: the size that a signed list states, or a constant with its reason. Not more than that and one
byte is read. What is too long raises `TooLongError`, an `OSError` whose `strerror` says so.
"""

import errno
import hashlib
import os
import ssl
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import IO, Any

CHUNK_BYTES = 1 << 16
KIB, MIB = 1 << 10, 1 << 20
MOST_KEYS = 16 * KIB
"""Of a file of keys, a certificate or a signature: the longest of ours has 8 KiB."""
MOST_TEXT = 16 * MIB
"""Of a file that people write: 100,000 rows of a table have 10 MiB."""
SLOWEST_BYTES_S = 8 * KIB
"""A line that is slower than this is given up: 64 kbit/s, less than the oldest mobile network."""


class TooLongError(OSError):
    """More came than may be."""

    def __init__(self, most: int, name: object = None) -> None:
        super().__init__(errno.EFBIG, f"is longer than {most} bytes, so it is another file", str(name or ""))


class UnplainError(OSError):
    """A pipe or a device lies in the place of a file: it may block, and it may never end."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, "is no plain file", str(path))


class TooSlowError(TimeoutError):
    """The whole time for it is over."""

    def __init__(self, whole_s: float) -> None:
        super().__init__(errno.ETIMEDOUT, f"too slow, not complete after {whole_s:.0f} s")


def open_plain(path: Path) -> BufferedReader:
    """Open a plain file to read. A pipe or a device, which may block or never end, raises `OSError`."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise UnplainError(path)
    return open(number, "rb")  # noqa: PTH123 - of a number


def read(path: Path, most: int) -> bytes:
    """The bytes of a plain file. Raises `OSError`."""
    with open_plain(path) as file:
        return take(file, most, path)


def read_given(path: Path, most: int) -> bytes:
    """The bytes of a file that a person names, which may be a pipe. Raises `OSError`."""
    with path.open("rb") as file:
        return take(file, most, path)


def take(file: IO[bytes], most: int, name: object = None) -> bytes:
    """The rest of an open file. Raises `OSError`."""
    return b"".join(chunks(file, most, name))


def copy(source: IO[bytes], target: IO[bytes], most: int, name: object = None) -> str:
    """Copy the rest of a file; gives the SHA-256, in hex. Raises `OSError`; then the target has no byte too many."""
    digest = hashlib.sha256()
    for chunk in chunks(source, most, name):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def copy_file(source: IO[bytes], path: Path, most: int) -> str:
    """Copy to a new file, never through a link of that name; gives the SHA-256. Where it fails, nothing stays."""
    path.unlink(missing_ok=True)
    try:
        with path.open("xb") as target:
            return copy(source, target, most, path)
    except BaseException:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise


def sha256(path: Path, most: int) -> str:
    """The SHA-256 of a plain file, in hex. One that is too long is not read. Raises `OSError`."""
    digest = hashlib.sha256()
    with open_plain(path) as file:
        if os.fstat(file.fileno()).st_size > most:
            raise TooLongError(most, path)
        for chunk in chunks(file, most, path):
            digest.update(chunk)
    return digest.hexdigest()


def chunks(file: IO[bytes], most: int, name: object = None) -> Iterator[bytes]:
    """The rest of a file. Raises `TooLongError` in place of what is too much."""
    left = most
    while chunk := file.read(min(CHUNK_BYTES, left + 1)):
        left -= len(chunk)
        if left < 0:
            raise TooLongError(most, name)
        yield chunk


def ending(context: ssl.SSLContext, whole_s: float, silence_s: float) -> ssl.SSLContext:
    """Have every line of this context end by a time, counted from now: also where a byte comes now and then.

    A time limit of a socket counts from the last byte. A line that drips its headers outlives every one of them.
    """
    ends = time.monotonic() + whole_s

    class Ending(ssl.SSLSocket):
        def recv_into(self, *words: Any, **more: Any) -> int:
            left = ends - time.monotonic()
            if left <= 0:
                raise TooSlowError(whole_s)
            self.settimeout(min(silence_s, left))
            try:
                return super().recv_into(*words, **more)
            except TimeoutError as error:
                raise error if time.monotonic() < ends else TooSlowError(whole_s) from error

    context.sslsocket_class = Ending
    return context


def whole_s(most: int) -> float:
    """So long so many bytes may take, on the slowest line that is of use."""
    return 60.0 + most / SLOWEST_BYTES_S

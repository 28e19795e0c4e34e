"""Read, copy and download with a limit on the size. Every module that reads foreign data uses this one.

A server, a mirror or a USB stick may send without end, and a digest is known only at the end. So every read names the
most bytes that it accepts: the size in a signed list, or a constant with its reason. It reads at most one byte more.
Longer data raises `TooLongError`, an `OSError` whose `strerror` gives the reason.
"""

import errno
import os
import ssl
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import IO, Any

CHUNK_BYTES = 1 << 16
KIB, MIB = 1 << 10, 1 << 20
MOST_KEYS = 16 * KIB
"""The size limit of a file of keys, a certificate or a signature, in bytes. Our longest file has 8 KiB."""
MOST_TEXT = 16 * MIB
"""The size limit of a text file that people write, in bytes. A table with 100,000 rows has 10 MiB."""
SLOWEST_BYTES_S = 8 * KIB
"""The slowest accepted connection, in bytes per second: 64 kbit/s, less than the oldest mobile network."""


class TooLongError(OSError):
    """The data is longer than the limit."""

    def __init__(self, most: int, name: object = None) -> None:
        super().__init__(errno.EFBIG, f"is longer than {most} bytes, so it is another file", str(name or ""))


class UnplainError(OSError):
    """A pipe or a device in place of a file. It may block, and it may never end."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, "is no plain file", str(path))


class TooSlowError(TimeoutError):
    """The time for the whole transfer is over."""

    def __init__(self, whole_s: float) -> None:
        super().__init__(errno.ETIMEDOUT, f"too slow, not complete after {whole_s:.0f} s")


def open_plain(path: Path) -> BufferedReader:
    """Open a plain file for reading. Raises `OSError` for a pipe or a device, which may block or never end."""
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise UnplainError(path)
    return open(number, "rb")  # noqa: PTH123 - a file descriptor


def read(path: Path, most: int) -> bytes:
    """Return the bytes of a plain file. Raises `OSError`."""
    with open_plain(path) as file:
        return read_rest(file, most, path)


def read_given(path: Path, most: int) -> bytes:
    """Return the bytes of a file that a person names. It may be a pipe. Raises `OSError`."""
    with path.open("rb") as file:
        return read_rest(file, most, path)


def read_rest(file: IO[bytes], most: int, name: object = None) -> bytes:
    """Return the rest of an open file. Raises `OSError`."""
    return b"".join(chunks(file, most, name))


def copy(source: IO[bytes], target: IO[bytes], most: int, name: object = None) -> str:
    """Copy the rest of a file. Return the SHA-256 in hex.

    Raises `OSError`; `target` then has no byte beyond the limit.
    """
    import hashlib  # 5 ms that the start of the latch does without

    digest = hashlib.sha256()
    for chunk in chunks(source, most, name):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def copy_file(source: IO[bytes], path: Path, most: int, mode: int = 0o600) -> str:
    """Copy to a new file with permission bits `mode`, and never follow a link at `path`. Return the SHA-256 in hex.

    The umask narrows `mode`. A failure leaves no file. Raises `OSError`.
    """
    path.unlink(missing_ok=True)
    try:
        with create(path, mode) as target:
            return copy(source, target, most, path)
    except BaseException:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        raise


def create(path: Path, mode: int = 0o600) -> BufferedRandom:
    """Create a file with permission bits `mode` for writing and reading. Raises `OSError`, also if it exists."""
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    return open(number, "w+b")  # noqa: PTH123 - a file descriptor


def sha256(path: Path, most: int) -> str:
    """Return the SHA-256 of a plain file in hex. A file over the limit is not read. Raises `OSError`."""
    import hashlib  # 5 ms that the start of the latch does without

    digest = hashlib.sha256()
    with open_plain(path) as file:
        if os.fstat(file.fileno()).st_size > most:
            raise TooLongError(most, path)
        for chunk in chunks(file, most, path):
            digest.update(chunk)
    return digest.hexdigest()


def chunks(file: IO[bytes], most: int, name: object = None) -> Iterator[bytes]:
    """Yield the rest of a file. Raises `TooLongError` before the chunk that exceeds the limit."""
    remaining = most
    while chunk := file.read(min(CHUNK_BYTES, remaining + 1)):
        remaining -= len(chunk)
        if remaining < 0:
            raise TooLongError(most, name)
        yield chunk


def ending(context: ssl.SSLContext, whole_s: float, silence_s: float) -> ssl.SSLContext:
    """Make every connection of this context end `whole_s` seconds from now, even while single bytes arrive.

    A socket timeout restarts with every byte. A server that sends one byte at a time never reaches it.
    """
    ends = time.monotonic() + whole_s

    class Ending(ssl.SSLSocket):
        """TLS socket with a limit for one silence and for the whole transfer."""

        def recv_into(self, *words: Any, **more: Any) -> int:
            """Receive bytes into a buffer. Raises `TooSlowError` after the whole time."""
            remaining = ends - time.monotonic()
            if remaining <= 0:
                raise TooSlowError(whole_s)
            self.settimeout(min(silence_s, remaining))
            try:
                return super().recv_into(*words, **more)
            except TimeoutError as error:
                raise error if time.monotonic() < ends else TooSlowError(whole_s) from error

    context.sslsocket_class = Ending
    return context


def whole_s(most: int) -> float:
    """Return the time in seconds that `most` bytes may take on the slowest accepted connection."""
    return 60.0 + most / SLOWEST_BYTES_S

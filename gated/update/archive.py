"""Reads the plain files of an unverified tar archive, with a limit on the size of all headers.

Only uncompressed archives are accepted: the size of the file then limits the size of its content. A malicious header
can announce gigabytes for the next header, a file with a hole of terabytes, or an endless loop. So the headers together
are limited in bytes. `gated.update.source` uses it.
"""

import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO

from gated.bounded import MIB, open_plain

MOST_HEADERS = 4 * MIB
"""Limits all headers together, in bytes. The headers of a bundle with a hundred files take 200 KiB."""


class Metered(BufferedReader):
    """A file with a byte budget. `remaining_bytes` may still be read. A larger request is refused at once."""

    remaining_bytes = MOST_HEADERS

    def read(self, count: int | None = -1, /) -> bytes:
        """Read `count` bytes. Raises `tarfile.ReadError` if `count` is missing, negative or too large."""
        if count is None or not 0 <= count <= self.remaining_bytes:
            raise tarfile.ReadError(f"its headers have more than {MOST_HEADERS} bytes, so it is not a bundle")
        data = super().read(count)
        self.remaining_bytes -= len(data)
        return data


@contextmanager
def members_of(path: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """Yield the name and the open file of each plain file in an archive. Raises `OSError` and `tarfile.TarError`.

    Skips links, devices and sparse files, so a caller that needs one of them does not find it.
    """
    with Metered(open_plain(path).detach()) as file, tarfile.open(fileobj=file, mode="r:") as tar:
        members = tar.getmembers()
        file.remaining_bytes = sys.maxsize  # from here on the caller limits what it reads
        yield ((each.name, opened) for each in members if is_plain(each) for opened in _open(tar, each))


def is_plain(member: tarfile.TarInfo) -> bool:
    """Return whether the member is a regular file with all its bytes in the archive."""
    return member.isreg() and not member.issparse()


def _open(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[IO[bytes]]:
    opened = tar.extractfile(member)
    if opened is not None:
        with opened:
            yield opened

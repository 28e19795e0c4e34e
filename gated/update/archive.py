"""The files of a tar archive that nobody has proved yet: plain files alone, and no more headers than there may be.

Only archives that are not compressed are read, so that none is larger than it looks. A header of tar may say that the
next one has gigabytes, that a file has a hole of terabytes, or send a reader round and round: so the bytes of all
headers together are bounded.
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
"""Of all headers. A bundle with a hundred files has 200 KiB."""


class Metered(BufferedReader):
    """A file of which so many bytes can be read. `left`: that many; to ask for more at once is refused as well."""

    left = MOST_HEADERS

    def read(self, count: int | None = -1, /) -> bytes:
        """Read some. Raises `tarfile.ReadError` where that is too much, or less than nothing."""
        if count is None or not 0 <= count <= self.left:
            raise tarfile.ReadError(f"its headers have more than {MOST_HEADERS} bytes, so it is no bundle")
        data = super().read(count)
        self.left -= len(data)
        return data


@contextmanager
def members_of(path: Path) -> Iterator[Iterator[tuple[str, IO[bytes]]]]:
    """Each plain file of an archive, by its name in it, open to read. Raises `OSError` and `tarfile.TarError`.

    Links, devices and files with holes are passed over: whoever needs one finds nothing.
    """
    with Metered(open_plain(path).detach()) as file, tarfile.open(fileobj=file, mode="r:") as tar:
        members = tar.getmembers()
        file.left = sys.maxsize  # from here on it is data, which whoever reads it bounds
        yield ((each.name, opened) for each in members if is_plain(each) for opened in _open(tar, each))


def is_plain(member: tarfile.TarInfo) -> bool:
    """Whether it is a file, all of whose bytes are in the archive."""
    return member.isreg() and not member.issparse()


def _open(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[IO[bytes]]:
    opened = tar.extractfile(member)
    if opened is not None:
        with opened:
            yield opened

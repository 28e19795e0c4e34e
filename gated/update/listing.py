"""Reads and writes `SHA256SUMS`, the signed list of all files of a bundle. A file that the list does not name is
refused.

Each file has one line of sha256sum(1). Before these lines, each file has a comment `# size BYTES PATH`, which sha256sum
ignores. A copy of a file stops at that size. A list written by hand may lack the comments; then `MOST_FILE` is the
limit.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from gated.bounded import KIB, MIB, sha256
from gated.errors import UpdateError

SUMS = "SHA256SUMS"
MOST_SUMS = 1000 * KIB
"""Limits the list itself, in bytes."""
MOST_FILE = 256 * MIB
"""Limits a file without a stated size, in bytes. The largest wheel and the largest model have 40 MiB."""
MOST_ALL = 512 * MIB
"""Limits all files of a bundle together, in bytes. A bundle with all models and prompts has 160 MiB."""
MOST_FILES = 2000
"""Limits the number of files. A bundle has about a hundred."""

_SIZE = re.compile(r"# size (\d{1,15}) (.+)\Z", re.ASCII)
_DIGEST = re.compile(r"([0-9a-f]{64}) [ *](.+)\Z")


@dataclass(frozen=True, slots=True)
class Listed:
    """One file of the list. `digest`: SHA-256 in hexadecimal.

    `size`: the stated size in bytes; None if none is stated.
    """

    digest: str
    size: int | None

    @property
    def most(self) -> int:
        """Return the largest number of bytes to copy of this file."""
        return MOST_FILE if self.size is None else self.size


def sums(folder: Path, apart: tuple[str, ...]) -> str:
    """Return the list for every file in a folder, with relative paths. `apart`: names of files to leave out."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in apart]
    sizes = [f"# size {path.stat().st_size} {path.relative_to(folder)}\n" for path in paths]
    digests = [f"{sha256(path, MOST_ALL)}  {path.relative_to(folder)}\n" for path in paths]
    return "".join((*sizes, *digests))


def listed(text: str, origin: object) -> dict[str, Listed]:
    """Return the files of a list by their names without folders. `where`: the source, for the error text.

    Raises `UpdateError` if the list has too many files or bytes and could fill a disk.
    """
    sizes = {match[2]: int(match[1]) for match in map(_SIZE.match, text.splitlines()) if match}
    found = [(match[2], match[1]) for match in map(_DIGEST.match, text.splitlines()) if match]
    whole = sum(sizes.get(path, 0) for path, _ in found)
    if len(found) > MOST_FILES or whole > MOST_ALL:
        raise UpdateError(f"{origin}: {SUMS} lists {len(found)} files of {whole} bytes, more than the limits "
                          f"({MOST_FILES}, {MOST_ALL}); use another bundle")  # fmt: skip
    return {name_of(path): Listed(digest, sizes.get(path)) for path, digest in found}


def name_of(path: str) -> str:
    """Return a path without its folders."""
    return path.rpartition("/")[2]

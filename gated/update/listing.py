"""The list of all files of a bundle, `SHA256SUMS`: it is signed, and nothing that it does not name is taken.

A line of sha256sum(1) for each file. Before them a remark `# size BYTES PATH` for each: sha256sum passes over it, and
whoever copies stops there. A list that was made by hand may lack them; then `MOST_FILE` counts.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from gated.bounded import KIB, MIB, sha256
from gated.errors import UpdateError

SUMS = "SHA256SUMS"
MOST_SUMS = 1000 * KIB
MOST_FILE = 256 * MIB
"""Of a file whose size nobody states. The largest wheel and the largest model have 40 MiB."""
MOST_ALL = 512 * MIB
"""Of all files of a bundle together. One with all models and prompts has 160 MiB."""
MOST_FILES = 2000
"""A bundle has a hundred."""

_SIZE = re.compile(r"# size (\d{1,15}) (.+)\Z", re.ASCII)
_DIGEST = re.compile(r"([0-9a-f]{64}) [ *](.+)\Z")


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of the list. `most`: so many bytes of it are taken. `size`: what was stated, None where nothing was."""

    digest: str
    size: int | None

    @property
    def most(self) -> int:
        """The bound that holds while nobody knows yet what comes."""
        return MOST_FILE if self.size is None else self.size


def sums(folder: Path, apart: tuple[str, ...]) -> str:
    """The list of every file in a folder, by its path from there, less those of these names."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in apart]
    sizes = [f"# size {path.stat().st_size} {path.relative_to(folder)}\n" for path in paths]
    digests = [f"{sha256(path, MOST_ALL)}  {path.relative_to(folder)}\n" for path in paths]
    return "".join((*sizes, *digests))


def listed(text: str, where: object) -> dict[str, Listed]:
    """The files of a list, by their names without folders. Raises `UpdateError` for one that could fill a disk."""
    sizes = {match[2]: int(match[1]) for match in map(_SIZE.match, text.splitlines()) if match}
    found = [(match[2], match[1]) for match in map(_DIGEST.match, text.splitlines()) if match]
    whole = sum(sizes.get(path, 0) for path, _ in found)
    if len(found) > MOST_FILES or whole > MOST_ALL:
        raise UpdateError(f"{where}: {SUMS} lists {len(found)} files of {whole} bytes, more than a bundle has "
                          f"({MOST_FILES}, {MOST_ALL}); bring another")  # fmt: skip
    return {name_of(path): Listed(digest, sizes.get(path)) for path, digest in found}


def name_of(path: str) -> str:
    """A path without its folders."""
    return path.rpartition("/")[2]

"""Lists the libraries that a version of gated was tested with: one file with hashes for each Python, `locked/3.11.txt`.

Each file names one version of each library and the SHA-256 of each of its files, in the format of pip's
`--require-hashes`. The files come with gated's own wheel; an update installs no other libraries. `sh tests/renew`
writes them. `systemd/install` runs this module before gated is installed, so it needs only Python's standard library.

    python3 -m gated.update.locked_libraries [--system]     print what pip must install for this Python
"""

import platform
import re
import sys
import zipfile
from collections.abc import Collection, Iterable
from importlib import resources
from pathlib import Path

from gated.bounded import KIB, MIB, read_rest, sha256
from gated.errors import UpdateError

FROM_SYSTEM = frozenset({"numpy"})
"""Libraries that come from apt on a Pi. picamera2 was built with them, and a second copy breaks it."""

MOST_LOCK = 1000 * KIB
"""Limits one lock file, in bytes. The current files have 90 KiB."""
MOST_WHEEL = 256 * MIB
"""Limits one wheel, in bytes."""
MOST_UNPACKED = 1024 * MIB
"""Limits all wheels together after unpacking, in bytes. The wheels of a gate have 330 MiB; more may be a zip bomb."""

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})\b")


def this_python() -> str:
    """Return the version of the running Python, as the lock files are named."""
    return ".".join(platform.python_version_tuple()[:2])


def own_lock(python: str) -> str:
    """Return the running gated's lock file for a Python version. Raises `UpdateError` if it has none."""
    file = resources.files("gated.update") / "locked" / f"{python}.txt"
    if not file.is_file():
        raise UpdateError(_no_lock("this gated", python))
    return file.read_text("utf-8")


def lock_in(wheel: Path, python: str) -> str:
    """Return the lock file for a Python version from gated's own wheel. Raises `UpdateError` if it has none."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(f"gated/update/locked/{python}.txt") as file:
            return read_rest(file, MOST_LOCK, "its list of libraries").decode()
    except KeyError:
        raise UpdateError(_no_lock(wheel.name, python)) from None
    except (OSError, zipfile.BadZipFile, UnicodeDecodeError) as error:
        raise UpdateError(f"{wheel}: cannot be read as a wheel ({error}); copy it again") from error


def without(lock: str, names: Collection[str]) -> str:
    """Return a lock file without the libraries of these names."""
    kept: list[str] = []
    is_kept = True
    for line in lock.splitlines():
        if line[:1] not in {" ", "\t", "#", ""}:
            is_kept = line.partition("==")[0].lower() not in names
        kept += [line] if is_kept else []
    return "".join(f"{line}\n" for line in kept)


def check_wheels(wheels: Iterable[Path], lock: str) -> None:
    """Check that the lock file has the SHA-256 of every wheel. Raises `UpdateError` with all other names."""
    known = set(_HASH.findall(lock))
    strange = [path.name for path in wheels if sha256(path, MOST_WHEEL) not in known]
    if strange:
        raise UpdateError(
            f"{', '.join(sorted(strange))}: not tested with this gated (the lock file has no such SHA-256); "
            "make the bundle again with `gated bundle`"
        )


def check_unpacked(wheels: Iterable[Path]) -> None:
    """Check that the wheels do not fill the disk when unpacked, by the sizes they state. Raises `UpdateError`.

    The stated sizes suffice: an unpacker never writes more of a file than its stated size.
    """
    whole = 0
    for wheel in wheels:
        try:
            with zipfile.ZipFile(wheel) as archive:
                whole += sum(each.file_size for each in archive.infolist())
        except (OSError, zipfile.BadZipFile) as error:
            raise UpdateError(f"{wheel}: cannot be read as a wheel ({error}); copy it again") from error
        if whole > MOST_UNPACKED:
            raise UpdateError(f"{wheel.name}: {whole} bytes unpacked, more than the limit of {MOST_UNPACKED}; "
                              "use another bundle")  # fmt: skip


def _no_lock(lock: str, python: str) -> str:
    return f"{lock}: has no list of tested libraries for Python {python}; use a gated made for this Python"


def main(words: list[str]) -> int:
    """Print the lock file of this Python, with `--system` without the system's libraries. Return the exit status."""
    try:
        lock = own_lock(this_python())
    except UpdateError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(without(lock, FROM_SYSTEM if "--system" in words else ()), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

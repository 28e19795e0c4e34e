"""Builds one version: copies and verifies its wheels, installs them into a venv, compiles it, and runs it once.

`gated.update.updater` uses it. A version counts only after all these steps.
"""

import logging
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from gated.errors import UpdateError
from gated.storage.owner import Owner
from gated.update.locked_libraries import FROM_SYSTEM, check_unpacked, check_wheels, lock_in, this_python, without
from gated.update.release import Releases
from gated.update.source import ReleaseSource

log = logging.getLogger(__name__)

LONGEST_S = 1800.0
"""Limits one step, in seconds. pip is slow on a Pi with a slow card."""


def build(releases: Releases, source: ReleaseSource) -> str:
    """Build the version of a source beside the one that runs, and return the version.

    Raises `UpdateError` if the version cannot be built; it then does not count. Raises `StateError` if the disk fails.
    """
    version = source.version
    if why := source.trouble(releases.keys):
        raise UpdateError(why)  # checked first, so that nothing is removed for it
    folder = releases.begin(version)
    wheels = folder / "wheels"
    wheels.mkdir()
    try:
        signed = source.bring(wheels, releases.keys)
    except UpdateError:
        releases.remove(version)  # keep nothing unverified on disk
        raise
    if signed is None:
        log.warning("%s has no signature, and this gate trusts no release key yet; set one with `gated update --key`",
                    source.path)  # fmt: skip
    _install(folder / "venv", version, [wheels, *_spare(releases, source)])
    output = run([str(releases.program(version)), "--version"])
    if output.split()[-1:] != [version]:
        raise UpdateError(f"{version}: reports its version as {output.strip()!r}; pack it again")
    releases.finish(version)
    return version


def _spare(releases: Releases, source: ReleaseSource) -> list[Path]:
    """Return the wheels of the version that runs, for a source that is a single wheel."""
    spare = releases.folder(releases.current) / "wheels"
    return [spare] if source.is_wheel and spare.is_dir() else []


def _install(folder: Path, version: str, wheels: Sequence[Path]) -> None:
    """Make a venv like this one, offline, with the libraries of the version's own lock file and no others.

    The venv sees the system's packages if this one does. `wheels`: folders of wheels, the version's own first.
    """
    own = next(wheels[0].glob(f"gated-{version}-*.whl"))
    lock = lock_in(own, this_python())
    check_wheels([path for path in wheels[0].glob("*.whl") if path != own], lock)
    check_unpacked(wheels[0].glob("*.whl"))
    wanted = folder.parent / "requirements.txt"
    wanted.write_text(without(lock, FROM_SYSTEM if _sees_system() else ()))
    venv.EnvBuilder(system_site_packages=_sees_system(), symlinks=True, with_pip=True).create(folder)
    python = str(folder / "bin" / "python")
    pip = [python, "-m", "pip", "--isolated", "--quiet", "--disable-pip-version-check", "install", "--no-index",
           "--no-compile"]  # fmt: skip
    places = [word for place in wheels for word in ("--find-links", str(place))]
    if "==" in wanted.read_text():
        run([*pip, *places, "--no-deps", "--require-hashes", "--requirement", str(wanted)])
    run([*pip, str(own)])
    run([python, "-m", "compileall", "-q", "-j", "1", str(folder / "lib")])


def _sees_system() -> bool:
    """Return whether this venv includes the system's packages, such as libcamera and lgpio on a Pi."""
    try:
        text = (Path(sys.prefix) / "pyvenv.cfg").read_text("utf-8")
    except OSError:
        return False
    return "include-system-site-packages = true" in text


def run(command: Sequence[str], owner: Owner | None = None, longest_s: float = LONGEST_S) -> str:
    """Run a program to its end and return its output. `owner`: the user that root runs it as. `longest_s`: limit in
    seconds.

    Raises `UpdateError` with the last three lines of its output if the program fails.
    """
    user, group, others = (*owner, list[int]()) if owner is not None else (None, None, None)
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=longest_s,
            check=False,
            env=os.environ | {"PYTHONSAFEPATH": "1"},  # the current folder may belong to another user and hold a pip.py
            user=user,
            group=group,
            extra_groups=others,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UpdateError(f"{command[0]}: {error}") from error
    if done.returncode:
        words = " ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise UpdateError(f"{' '.join(command[:6])} ... ended with {done.returncode}: {words}")
    return done.stdout

"""Reports for the doctor whether this machine has a release key."""

import os
from collections.abc import Iterator
from pathlib import Path

from gated.doctor.finding import Finding, amber, green, red
from gated.errors import UpdateError
from gated.update.release import ROOT, Releases

PART = "release key"
NAME_ONE = "run `sudo gated update --key release.pub` to set one"


def of_release_key() -> Iterator[Finding]:
    """Yield one finding about the release keys. Yields nothing if gated was not installed by `systemd/install`."""
    root = Path(os.environ.get("GATED_ROOT", ROOT))
    if not (root / "current").is_symlink():
        return
    try:
        keys = Releases(root).keys
    except UpdateError as error:
        yield red(PART, str(error), NAME_ONE)
        return
    if not keys:
        yield amber(PART, "not set: updates need no signature", NAME_ONE)
        return
    yield green(PART, f"updates must be signed with {', '.join(key.fingerprint for key in keys)}")

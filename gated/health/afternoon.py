"""What an installer measured and tried while the gate was stopped, kept for the page that is written when it runs.

A file in the state folder, for the gate's user alone: findings without a picture and without a name.
"""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from gated.errors import StateError
from gated.health.finding import Finding
from gated.runtime.files import write_whole
from gated.wording import UNDECODABLE

NAME = "doctor.json"


def remember(state: Path, findings: Sequence[Finding], now: datetime) -> None:
    """Keep these, each with its day, in the place of older ones of the same part; nothing where the folder is not ours
    (a file of root's would be in the gate's way). Raises `StateError`.
    """
    if not findings or not state.is_dir() or state.stat().st_uid != os.geteuid():
        return
    dated = [msgspec.structs.replace(each, says=f"{each.says} ({now:%Y-%m-%d})") for each in findings]
    kept = {each.part: each for each in (*recall(state), *dated)}
    try:
        write_whole(state / NAME, msgspec.json.encode(list(kept.values())))
    except OSError as error:
        raise StateError(f"{state / NAME}: cannot be written ({error.strerror}); ask as the gate's user") from error


def recall(state: Path) -> list[Finding]:
    """What was kept; nothing where nothing was, or where it cannot be read: then it is measured and tried again."""
    try:
        return msgspec.json.decode((state / NAME).read_bytes(), type=list[Finding])
    except (OSError, *UNDECODABLE):
        return []

"""Stores the installer's measurements and trials of a stopped gate, for the handover page.

The file lies in the state folder and belongs to the gate's user. It holds findings only: no picture and no name. `gated
doctor` uses it.
"""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from gated.atomic_files import atomic_write
from gated.doctor.finding import Finding
from gated.errors import StateError
from gated.wording import UNDECODABLE

NAME = "doctor.json"
"""Name of the file in the state folder."""


def remember(state: Path, findings: Sequence[Finding], now: datetime) -> None:
    """Store these findings with their date. Replace older findings of the same part. Raises `StateError`.

    Stores nothing if the folder belongs to another user: the gate could not replace a file that root owns.
    """
    if not findings or not state.is_dir() or state.stat().st_uid != os.geteuid():
        return
    dated = [msgspec.structs.replace(each, result=f"{each.result} ({now:%Y-%m-%d})") for each in findings]
    kept = {each.part: each for each in (*recall(state), *dated)}
    try:
        atomic_write(state / NAME, msgspec.json.encode(list(kept.values())))
    except OSError as error:
        raise StateError(f"{state / NAME}: cannot be written ({error.strerror}); ask as the gate's user") from error


def recall(state: Path) -> list[Finding]:
    """Return the stored findings; an empty list without a readable file.

    The installer then repeats them.
    """
    try:
        return msgspec.json.decode((state / NAME).read_bytes(), type=list[Finding])
    except (OSError, *UNDECODABLE):
        return []

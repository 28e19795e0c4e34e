"""A database that is there no more, or has no bytes left, where there was one: it must not pass for a new gate."""

from contextlib import closing, suppress
from pathlib import Path

from gated import database
from gated.errors import TornError
from gated.gallery.people import NAME as PEOPLE
from gated.gallery.templates import NAME as TEMPLATES


def refuse(state: Path, why: str) -> None:
    """Raises `TornError` where a database was lost, unless whoever asks knows `why` and wants what is left."""
    if not why and (lost := problem(state)):
        raise TornError(f"{lost}: it was lost; the gate's next start says what is left")


def problem(state: Path) -> str:
    """Which of the two databases was lost while the other shows that it was there; empty when none was."""
    for name, other, question in (
        (PEOPLE, TEMPLATES, "SELECT 1 FROM data_keys LIMIT 1"),
        (TEMPLATES, PEOPLE, "SELECT 1 FROM consents WHERE purpose = 'recognise' LIMIT 1"),
    ):
        if is_empty(state / name) and has_rows(state / other, question):
            return f"{state / name}: is {'empty' if (state / name).exists() else 'missing'}, and {other} is not"
    return ""


def is_empty(path: Path) -> bool:
    """Whether a file has no bytes, or is not there."""
    try:
        return path.stat().st_size == 0
    except OSError:
        return True


def has_rows(path: Path, question: str) -> bool:
    """Whether a database answers; False where it cannot be asked. Nothing is made or changed."""
    if is_empty(path):
        return False
    with (
        suppress(*database.FAILS),
        closing(database.untouched(path)) as connection,
    ):
        return connection.execute(question).fetchone() is not None
    return False

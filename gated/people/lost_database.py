"""Detection of a lost database: a missing or empty file where data existed. A gate with this damage does not start as a
new gate.
"""

from contextlib import closing, suppress
from pathlib import Path

from gated.errors import TornError
from gated.people.store import NAME as PEOPLE
from gated.people.template_store import NAME as TEMPLATES
from gated.storage.read_only import open_unchanged
from gated.storage.sqlite_errors import SQL_ERRORS


def refuse(state: Path, why: str) -> None:
    """Raise `TornError` if a database was lost. A caller that wants the remaining data passes `why`."""
    if not why and (lost := problem(state)):
        raise TornError(f"{lost}: the file was lost; the gate's next start reports the remaining data")


def problem(state: Path) -> str:
    """Return the name of a lost database if the other database proves that it existed; otherwise an empty text."""
    for name, other, question in (
        (PEOPLE, TEMPLATES, "SELECT 1 FROM data_keys LIMIT 1"),
        (TEMPLATES, PEOPLE, "SELECT 1 FROM consents WHERE purpose = 'recognise' LIMIT 1"),
    ):
        if is_empty(state / name) and has_rows(state / other, question):
            return f"{state / name}: is {'empty' if (state / name).exists() else 'missing'}, and {other} is not"
    return ""


def is_empty(path: Path) -> bool:
    """Return whether a file has no bytes or does not exist."""
    try:
        return path.stat().st_size == 0
    except OSError:
        return True


def has_rows(path: Path, question: str) -> bool:
    """Return whether the query finds a row; False if the database cannot be read. Creates and changes nothing."""
    if is_empty(path):
        return False
    with (
        suppress(*SQL_ERRORS),
        closing(open_unchanged(path)) as connection,
    ):
        return connection.execute(question).fetchone() is not None
    return False

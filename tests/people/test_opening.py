import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gated.errors import BusyError, StateError
from gated.gallery.register import Register
from gated.people.store import NAME as PEOPLE
from gated.people.template_store import NAME as TEMPLATES


def drop(file: Path, table: str) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"DROP TABLE {table}")


@pytest.mark.parametrize(("name", "table"), [(PEOPLE, "people"), (TEMPLATES, "templates")])
def test_a_database_error_names_the_file(tmp_path: Path, name: str, table: str) -> None:
    with closing(Register.open(tmp_path, "site")) as register:
        drop(tmp_path / name, table)
        with pytest.raises(StateError, match=f"{tmp_path / name}: cannot be used"):
            register.opened("embedder")


def test_a_database_in_use_is_busy_and_named(tmp_path: Path) -> None:
    with closing(Register.open(tmp_path, "site")) as register, closing(sqlite3.connect(tmp_path / PEOPLE)) as other:
        register._people.connection.execute("PRAGMA busy_timeout = 1")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusyError, match=rf"{PEOPLE}: another process"), register.changing():
            pass
        other.rollback()

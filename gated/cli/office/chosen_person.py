"""Finds a person by the operator's words, and changes the person's record."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gated.cli.find_person import find
from gated.errors import OfficeError
from gated.office.office_person import OfficePerson
from gated.office.store import Store


@contextmanager
def changing_person(folder: Path, subject: str) -> Iterator[tuple[Store, OfficePerson]]:
    """Yield the store and a person's record, inside a write transaction. Nobody else changes the store meanwhile."""
    with closing(Store.open(folder)) as store:
        person = person_by_words(store, subject)  # a prompt must not hold the write lock
        with store.file.writing():
            yield store, store.book.person(person.subject)


def person_by_words(store: Store, words: str) -> OfficePerson:
    """Return the person that `words` name (see `find_person.find`). Raises `OfficeError` and `SubjectNotFoundError`."""
    if store.book.get(f"person/{words}") is not None:
        return store.book.person(words)  # raises if this person was removed
    missing = OfficeError(
        f"this office has nobody with the id or name {words!r}; `gated office person list` shows everybody"
    )
    return find(words, store.book.live(OfficePerson), missing)

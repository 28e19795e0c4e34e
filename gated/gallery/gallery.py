"""The gallery: what is stored, and what of it can be searched now."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from gated.embedding import Embedding
from gated.gallery.people import Person
from gated.gallery.register import Register
from gated.gallery.search import Candidate, Index
from gated.types import SubjectId

log = logging.getLogger(__name__)


class Gallery:
    """The register with every template of one embedder opened in memory.

    Another process may enrol, suspend or remove at any time; `reload_if_changed` follows. The index is swapped whole,
    so that a search in another thread sees the old one or the new one.
    """

    def __init__(self, register: Register, embedder_sha256: str, dimension: int) -> None:
        self._register = register
        self.embedder_sha256 = embedder_sha256
        self.dimension = dimension
        self.foreign_count = 0
        """Templates that another embedder made; kept, and not searched."""
        self.unreadable_count = 0
        """Templates that do not open, or are no embedding; kept, and not searched."""
        self._seen: tuple[int, ...] = ()
        self._index = Index((), dimension)
        self._follow()

    @classmethod
    def open(cls, state: Path, site: str, embedder_sha256: str, dimension: int) -> "Gallery":
        """Open, or make, the gallery in the state folder. Raises `StateError` when it cannot be used."""
        register = Register.open(state, site)
        try:
            return cls(register, embedder_sha256, dimension)
        except BaseException:
            register.close()
            raise

    def close(self) -> None:
        """Give the files back. May be called twice."""
        self._register.close()

    @property
    def size(self) -> int:
        """How many people can be found: the N of every error rate."""
        return self._index.size

    @property
    def template_count(self) -> int:
        """How many templates are searched."""
        return len(self._index)

    def search(self, probe: Embedding, limit: int = 2) -> tuple[Candidate, ...]:
        """The best `limit` people, best first, always with one of another household; see `Index.search`.

        Suspended people are found too: that they are not let in is a decision, not a search. Raises `EmbeddingError`.
        """
        return self._index.search(probe, limit)

    def reload_if_changed(self) -> bool:
        """Follow what was changed here or by another process; cheap when nothing was. True when something was."""
        if self._register.version() == self._seen:
            return False
        if self._register.sweep():
            self._register.tidy()
        return self._follow()

    def people(self) -> list[Person]:
        """Everybody, by household and name."""
        return self._register.people()

    def person(self, subject: SubjectId) -> Person:
        """One of them. Raises `SubjectNotFoundError`."""
        return self._register.person(subject)

    def suspend(self, subject: SubjectId) -> None:
        """Known, and not let in for the time being. Raises `SubjectNotFoundError`."""
        self._register.suspend(subject)
        self._follow()

    def resume(self, subject: SubjectId) -> None:
        """The suspension is over. Raises `SubjectNotFoundError`."""
        self._register.resume(subject)
        self._follow()

    def remove(self, subject: SubjectId) -> int:
        """Erase somebody and their traces; gives how many templates. Raises `SubjectNotFoundError`."""
        templates = self._register.remove(subject)
        self._follow()
        return templates

    @contextmanager
    def enrolling(self) -> Iterator[None]:
        """Nobody else changes the gallery meanwhile, and the search knows everybody in it. Raises `BusyError`."""
        with self._register.changing():
            self._follow()
            yield
        self._follow()

    def add(self, person: Person, vectors: Sequence[Embedding]) -> None:
        """Store a person who was checked while `enrolling`; whoever enrols people calls `enrol`, which does."""
        self._register.add(person, self.embedder_sha256, vectors)

    def replace(self, person: Person, vectors: Sequence[Embedding], at: datetime) -> None:
        """Store other templates of a person who was checked while `enrolling`; see `Register.replace`."""
        self._register.replace(person, self.embedder_sha256, vectors, at)

    def tidy(self) -> None:
        """Wipe what was replaced; what stands in the way now is done at the next start."""
        self._register.tidy()

    def _follow(self) -> bool:
        """Bring the index up to what is stored."""
        version = self._register.version()  # asked first: what changes during the load is seen the next time
        if version == self._seen:
            return False
        opened = self._register.opened(self.embedder_sha256)
        index = Index(opened.rows, self.dimension)
        unreadable = opened.unreadable + index.dropped
        if unreadable > self.unreadable_count:
            log.warning("%d templates do not open and are not searched; was the site key replaced?", unreadable)
        self.foreign_count, self.unreadable_count = opened.foreign, unreadable
        self._index, self._seen = index, version
        return True

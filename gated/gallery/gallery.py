"""The gallery: what is stored, and what of it can be searched now."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from gated import database
from gated.embedding import Embedding
from gated.errors import BusyError, StateError, TornError
from gated.gallery.accepted import Accepted
from gated.gallery.people import Consent, Person
from gated.gallery.register import Register
from gated.gallery.reopening import Reopening
from gated.gallery.replica import Holdings
from gated.gallery.search import Candidate, Index
from gated.types import SubjectId

log = logging.getLogger(__name__)


class Gallery:
    """The register with every template of one embedder opened in memory.

    Another process may enrol, suspend or remove at any time; `reload_if_changed` follows. The index is swapped whole,
    so that a search in another thread sees the old one or the new one.
    """

    def __init__(self, registers: Reopening[Register], embedder_sha256: str, dimension: int) -> None:
        self._registers = registers
        self.embedder_sha256 = embedder_sha256
        self.dimension = dimension
        self.foreign_count = 0
        """Templates that another embedder made; kept, and not searched."""
        self.unreadable_count = 0
        """Templates that do not open, or are no embedding; kept, and not searched."""
        self.left_out = ""
        """Which rows are too damaged to be read, in words; empty where none is."""
        self._seen: tuple[int, ...] = ()
        self._counted: tuple[int, ...] = ()
        self._to_accept = (0, 0)
        self._index = Index((), dimension)

    @classmethod
    def open(cls, state: Path, site: str, embedder_sha256: str, dimension: int) -> "Gallery":
        """Open, or make, the gallery in the state folder. Raises `StateError` when it cannot be used."""
        gallery = cls(Reopening(lambda _: Register.open(state, site), state), embedder_sha256, dimension)
        try:
            gallery._follow()
        except BaseException:
            gallery.close()
            raise
        return gallery

    @classmethod
    def open_best(cls, state: Path, site: str, embedder_sha256: str, dimension: int) -> "Gallery":
        """Open what can be had of it, be it nothing; `reload_if_changed` looks for something better. Raises nothing."""
        gallery = cls(Reopening(lambda why: Register.open(state, site, why), state), embedder_sha256, dimension)
        try:
            try:
                gallery._follow()
            except TornError as error:
                gallery._registers.salvage(str(error))
                gallery._follow()
        except (BusyError, StateError) as error:
            log.error("nobody is found by their face: %s", error)
            gallery._registers.failed()
        return gallery

    def close(self) -> None:
        """Give the files back. May be called twice."""
        self._registers.close()

    @property
    def _register(self) -> Register:
        return self._registers.get()

    @property
    def trouble(self) -> str:
        """Why it is not what lies on the disk, or cannot be changed; empty when all is well."""
        return self._registers.why

    def see_by(self, embedder_sha256: str, dimension: int) -> None:
        """Search what this embedder made, from now on."""
        if (embedder_sha256, dimension) != (self.embedder_sha256, self.dimension):
            self.embedder_sha256, self.dimension, self._seen = embedder_sha256, dimension, ()
            self._index = Index((), dimension)

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
        """Follow what was changed here or by another process; cheap when nothing was. True when something was.

        Raises `BusyError`, and `StateError` when the disk fails; then what was known is searched, and the next call
        opens the files anew.
        """
        if self._registers.improve():
            self._seen = ()
        try:
            if self._register.version() == self._seen:
                return False
            if not (self._register.why or database.only_looks()) and self._register.sweep():
                self._register.tidy()
            return self._follow()
        except StateError:
            self._registers.failed()
            raise

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

    def take(self, person: Person, vectors: Sequence[Embedding], at: datetime, *, is_counted: bool = False) -> str:
        """Store templates of somebody who was checked while `enrolling`; why they wait (`Register.take`)."""
        return self._register.take(person, self.embedder_sha256, vectors, at, is_counted=is_counted)

    def give(self, subject: SubjectId, consents: Sequence[Consent]) -> None:
        """Somebody agreed to more, at this gate, while `enrolling`."""
        self._register.give(subject, consents)

    def is_consent_disputed(self, subject: SubjectId) -> bool:
        """As `Register.is_consent_disputed`."""
        return self._register.is_consent_disputed(subject)

    def confirm(
        self, subject: SubjectId, digest: bytes, probes: Sequence[Embedding], threshold: float
    ) -> Accepted | None:
        """As `Holdings.confirm`, with what is searched brought up to it."""
        accepted = Holdings(self._register).confirm(subject, digest, probes, self.embedder_sha256, threshold)
        if accepted is not None:
            self._follow()
            self._register.tidy()
        return accepted

    def to_accept(self, me: str) -> tuple[int, int]:
        """How many other gates' keys, and how many people's consents, wait to be accepted here. `me`: this gate. Cheap
        when nobody has changed anything.
        """
        holdings = Holdings(self._register)
        changes = id(self._register), *holdings.changes()
        if changes != self._counted:
            gates = [each for each in holdings.neighbours() if not each.is_trusted and each.gate != me]
            self._to_accept, self._counted = (len(gates), len(holdings.disputed())), changes
        return self._to_accept

    def tidy(self) -> None:
        """Wipe what was replaced; what stands in the way now is done at the next start."""
        self._register.tidy()

    def _follow(self) -> bool:
        """Bring the index up to what is stored; one thread at a time, or an older load could replace a newer one."""
        with self._register.reading():
            version = self._register.version()  # asked first: what changes during the load is seen the next time
            if version == self._seen:
                return False
            self._load(version)
        return True

    def _load(self, version: tuple[int, ...]) -> None:
        opened = self._register.opened(self.embedder_sha256)
        index = Index(opened.rows, self.dimension)
        unreadable = opened.unreadable + index.dropped
        if unreadable > self.unreadable_count:
            log.warning("%d templates do not open and are not searched; was the site key replaced?", unreadable)
        self.foreign_count, self.unreadable_count = opened.foreign, unreadable
        self.left_out = self._register.left_out()
        self._index, self._seen = index, version

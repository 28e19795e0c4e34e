"""What is stored of everybody, in two databases that act as one: `people.db` leads, `templates.db` follows.

A person exists from the commit in `people.db` until the commit that deletes them there. Templates are written before
the one and deleted after the other, so that a crash anywhere leaves at most keys and templates of nobody, which are
never searched and are swept at the next start. The write lock of `people.db` is the lock of both.
"""

import logging
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gated import database
from gated.embedding import Embedding
from gated.errors import BusyError, SealError, StateError
from gated.gallery import erasure
from gated.gallery.people import RECOGNISE, Consented, People, Person, plainly
from gated.gallery.search import Row
from gated.gallery.templates import FIRST, Sealed, SealedFace, Templates
from gated.gallery.vault import Vault, seal, site_key, unseal
from gated.types import SubjectId

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """Every template of one embedder, and how many there are beside them that cannot be searched."""

    rows: list[Row]
    foreign: int
    unreadable: int


class Register:
    """Everything about everybody but the search; needs no model, and opens no template until it is asked to."""

    def __init__(self, people: People, templates: Templates, vault: Vault) -> None:
        self._people, self._templates, self.vault = people, templates, vault
        self._both = (people.connection, templates.connection)
        self._mine = threading.RLock()  # one thread at a time: a transaction belongs to the connection
        self._asked: tuple[int, ...] = ()
        self._searchable = 0
        self._changes = 0

    @classmethod
    def open(cls, state: Path, site: str) -> "Register":
        """Open, or make, what is stored in the state folder, and finish what a crash left half done.

        Raises `StateError` when the folder, a database or the site key cannot be used.
        """
        with ExitStack() as opened:
            templates = Templates(state)
            opened.callback(templates.connection.close)
            people = People(state)
            opened.callback(people.connection.close)
            with plainly():
                key = site_key(state, may_create=not templates.keys() and not people.has_credentials())
            opened.pop_all()
        register = cls(people, templates, Vault(key, site))
        register.tidy()
        return register

    def close(self) -> None:
        """Give the files back. May be called twice."""
        with self._mine:
            for connection in self._both:
                connection.close()

    def people(self) -> list[Person]:
        """Everybody, by household and name."""
        with self.reading():
            return self._people.all()

    def person(self, subject: SubjectId) -> Person:
        """One of them. Raises `SubjectNotFoundError`."""
        with self.reading():
            return self._people.get(subject)

    def template_count(self, subject: SubjectId) -> int:
        """How many templates somebody has, whichever embedder made them. Raises `SubjectNotFoundError`."""
        with self.reading():
            self._people.get(subject)
            return self._templates.count(subject)

    def suspend(self, subject: SubjectId) -> None:
        """Known, and not let in for the time being. Raises `SubjectNotFoundError`."""
        with self.changing():
            self._people.set_status(subject, "suspended")

    def resume(self, subject: SubjectId) -> None:
        """The suspension is over. Raises `SubjectNotFoundError`."""
        with self.changing():
            self._people.set_status(subject, "active")

    def remove(self, subject: SubjectId) -> int:
        """Erase somebody: the person, the key, the templates, and their traces in the files. Gives how many templates.

        Raises `SubjectNotFoundError`. Once the person is deleted the removal stands; what a busy reader keeps from
        being finished now is finished at the next start.
        """
        with self.changing():
            templates = self.drop(subject)
        self.tidy()
        return templates

    def drop(self, subject: SubjectId) -> int:
        """Erase somebody; the caller is `changing`, and is `tidy` afterwards. Raises `SubjectNotFoundError`."""
        self._people.delete(subject)
        return self._templates.count(subject)

    def admit(self, person: Person) -> None:
        """Store a person without a face, who comes in by a card or a PIN."""
        with self.changing():
            self._people.add(person)

    def add(self, person: Person, embedder_sha256: str, vectors: Sequence[Embedding]) -> None:
        """Store a person with templates sealed; the caller is `changing`, and has checked everything."""
        self.store([self._sealed(person, FIRST, embedder_sha256, vectors)], person.enrolled_at)
        self._people.add(person)

    def replace(self, person: Person, embedder_sha256: str, vectors: Sequence[Embedding], at: datetime) -> None:
        """Store templates of somebody who is here, made `at`, sealed with a new key, in place of all that they had.

        All or nothing. The caller is `changing`, has checked everything, and is `tidy` afterwards.
        """
        face = self._sealed(person, new_face(), embedder_sha256, vectors)
        self.store([face], at)
        self._people.set_face(person.subject, face.face)

    def store(self, faces: Sequence[SealedFace], at: datetime) -> None:
        """Store faces, which count when `people.db` says so; the caller is `changing`, and sees to it."""
        with database.transaction(self._templates.connection):
            for face in faces:
                self._templates.add(face, at)

    def face_of(self, subject: SubjectId) -> list[tuple[str, str, NDArray[np.float32]]]:
        """Id, embedder's SHA-256 and vector of each of somebody's templates that opens, by whatever embedder."""
        with self.reading():
            who = self._people.consented().get(subject)
            stored = [] if who is None else self._templates.of(subject, who.face)
            keys = self._templates.keys()
        opened = []
        for embedder, sealed in stored:
            row = _Opener(self.vault, embedder, {subject: who}, keys).row(sealed) if who is not None else None
            if row is not None:
                opened.append((sealed.id, embedder, row.vector))
        return opened

    def _sealed(self, person: Person, face: str, embedder_sha256: str, vectors: Sequence[Embedding]) -> SealedFace:
        consent = next(c.reference for c in person.consents if c.purpose == RECOGNISE)
        return seal_face(self.vault, person.subject, face, consent, [(embedder_sha256, vector) for vector in vectors])

    def opened(self, embedder_sha256: str) -> Opened:
        """Open the templates that this embedder made of people who agreed to it. A bad one is counted and left out."""
        with self.reading():
            consented, keys = self._people.consented(), self._templates.keys()
            sealed, total = self._templates.made_by(embedder_sha256), self._templates.count()
        opener = _Opener(self.vault, embedder_sha256, consented, keys)
        mine = [one for one in sealed if one.subject in consented and one.face == consented[one.subject].face]
        rows = [row for row in map(opener.row, mine) if row is not None]
        return Opened(rows, foreign=total - len(sealed), unreadable=len(mine) - len(rows))

    def version(self) -> tuple[int, ...]:
        """Another one whenever anybody, here or in another process, has changed what is searched; cheap to ask.

        A card that was used is no reason to open every template again, so of `people.db` it is looked at what changed.
        """
        with self.reading():
            people, templates = [(database.version(c), c.total_changes) for c in self._both]
            if people != self._asked:
                searchable = hash((frozenset(self._people.consented().items()), frozenset(self._people.subjects())))
                self._changes += searchable != self._searchable
                self._asked, self._searchable = people, searchable
            return (self._changes, *templates)

    def sweep(self) -> bool:
        """Delete keys and templates of nobody, and faces that do not count any more. True when there were any."""
        with self.reading():
            if not self._orphans():
                return False
        with self.changing():  # somebody who was being enrolled is no orphan any more
            orphans = self._orphans()
            with database.transaction(self._templates.connection):
                for subject, face in orphans:
                    self._templates.delete(subject, face)
        return bool(orphans)

    def tidy(self) -> bool:
        """Finish every erasure that was begun. False when something is in the way and the next start must try again."""
        try:
            self.sweep()
            with self.reading():
                done = [erasure.settle(connection) for connection in self._both]
        except (BusyError, StateError) as error:
            log.warning("an erasure is not finished and will be at the next start: %s", error)
            return False
        return all(done)

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """All or nothing in `people.db`, and nobody else changes the gallery meanwhile. Raises `BusyError`."""
        with self.reading() as connection, database.transaction(connection):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection to `people.db` for this thread alone, with SQLite's errors in this gate's words."""
        with self._mine, plainly():
            yield self._people.connection

    def _orphans(self) -> set[tuple[SubjectId, str]]:
        return self._templates.keys().keys() - self._people.faces()


def counts(state: Path) -> tuple[int, int]:
    """How many people and templates are stored; needs no key, and makes nothing. Raises `StateError`."""
    if not (state / "people.db").exists() or not (state / "templates.db").exists():
        return 0, 0
    people, templates = People(state), Templates(state)
    with closing(people.connection), closing(templates.connection):
        return len(people.subjects()), templates.count()


def new_face() -> str:
    """A name for a face: 16 random hex digits."""
    return secrets.token_hex(8)


def seal_face(
    vault: Vault, subject: SubjectId, face: str, consent: str, vectors: Sequence[tuple[str, NDArray[np.float32]]]
) -> SealedFace:
    """Vectors, each after the SHA-256 of the embedder that made it, sealed with a new key as one face of somebody.

    `consent`: the reference of what they agreed to, without which nothing of it opens.
    """
    data_key, wrapped = vault.new_data_key(subject)
    templates = []
    for embedder, vector in vectors:
        template = secrets.token_hex(8)
        label = vault.template_label(subject, template, embedder, consent)
        templates.append((template, embedder, seal(data_key, vector.astype("<f4").tobytes(), label)))
    return SealedFace(subject, face, wrapped, templates)


@dataclass(frozen=True, slots=True)
class _Opener:
    """Opens the templates of one embedder."""

    vault: Vault
    embedder_sha256: str
    consented: dict[SubjectId, Consented]
    keys: dict[tuple[SubjectId, str], bytes]

    def row(self, template: Sealed) -> Row | None:
        """The template with what the search must know of its person; None when it does not open."""
        who = self.consented[template.subject]
        try:
            data_key = self.vault.data_key(template.subject, self.keys[template.subject, template.face])
            label = self.vault.template_label(template.subject, template.id, self.embedder_sha256, who.consent)
            vector: NDArray[np.float32] = np.frombuffer(unseal(data_key, template.sealed, label), "<f4")
        except (SealError, KeyError, ValueError):
            return None
        return Row(template.subject, who.household, who.status, vector)

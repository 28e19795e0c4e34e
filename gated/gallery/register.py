"""The register: people and templates in two databases that act as one. `people.db` leads, `templates.db` follows.

A person exists from the commit that adds the person to `people.db` until the commit that deletes the person there.
Templates are written before the first commit and deleted after the second. So a crash leaves at most keys and templates
without a person. The search ignores them, and the next start deletes them. The write lock of `people.db` protects both
databases.
"""

import logging
import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gated.embedding import Embedding
from gated.gallery.face_erasure import FaceErasure
from gated.gallery.sealed_templates import TemplateOpener, new_face, seal_face
from gated.gallery.search import Row
from gated.gallery.search_version import SearchVersion
from gated.people import acceptances, held_records
from gated.people.opening import Stores, open_stores
from gated.people.store import RECOGNISE, Consent, People, Person
from gated.people.template_store import FIRST, SealedFace, Templates
from gated.storage import database, sql
from gated.types import SubjectId

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OpenedTemplates:
    """All open templates of one embedder, with the numbers of foreign and unreadable templates."""

    rows: list[Row]
    foreign: int
    unreadable: int


class Register:
    """The stored people and templates of one gate. Needs no model, and opens templates only on request."""

    def __init__(self, stores: Stores, state: Path) -> None:
        self.why = stores.why
        """Why the register is a read-only copy; empty for the real one."""
        self._stores = stores
        self._people, self._templates, self.vault = stores.people, stores.templates, stores.vault
        self._lock = threading.RLock()  # one thread at a time, because a transaction belongs to the connection
        self._guard = database.Guard(self._people.connection, self._people.path, self._lock)
        self._version, self._erasure = SearchVersion(stores), FaceErasure(stores, self._guard, state)

    @classmethod
    def open(cls, state: Path, site: str, why: str = "") -> "Register":
        """Open the register in the state folder; create it if missing. Finish the work of an interrupted run.

        Open a read-only copy of the readable part if the disk accepts no writes or `why` names a damage. Raises
        `StateError` if a database or the site key cannot be used.
        """
        stores = open_stores(state, site, why)
        register = cls(stores, state)
        if not stores.why:
            register.tidy()
        return register

    def close(self) -> None:
        """Close the files. Callers may call it twice."""
        with self._lock:
            self._stores.close()

    def people(self) -> list[Person]:
        """Return all people, by household and name."""
        with self.reading():
            return self._people.all()

    def person(self, subject: SubjectId) -> Person:
        """Return one person. Raises `SubjectNotFoundError`."""
        with self.reading():
            return self._people.get(subject)

    def is_there(self, subject: SubjectId) -> bool:
        """Return whether a row with this id exists, damaged or not."""
        with self.reading():
            return self._people.has(subject)

    def template_count(self, subject: SubjectId) -> int:
        """Return the number of a person's templates, by all embedders. Raises `SubjectNotFoundError`."""
        with self.reading():
            self._people.get(subject)
            return self._templates.count(subject)

    def suspend(self, subject: SubjectId) -> None:
        """Suspend a person: the gate knows the person but denies access. Raises `SubjectNotFoundError`."""
        with self.changing():
            self._people.set_status(subject, "suspended")

    def resume(self, subject: SubjectId) -> None:
        """End the suspension of a person. Raises `SubjectNotFoundError`."""
        with self.changing():
            self._people.set_status(subject, "active")

    def remove(self, subject: SubjectId) -> int:
        """Erase a person: the row, the key, the templates and their traces in the files. Return the number of
        templates.

        Raises `SubjectNotFoundError`. The removal is final once the row is deleted. If a busy reader blocks the rest,
        the next start finishes it.
        """
        with self.changing():
            templates = self.drop(subject)
        self.tidy()
        return templates

    def drop(self, subject: SubjectId) -> int:
        """Erase a person. Return the number of templates. The caller is `changing`, and calls `tidy` afterwards. Raises
        `SubjectNotFoundError`.
        """
        self._people.drop_pending(subject)
        self._people.delete(subject)
        self._erasure.note_dropped(subject)
        return self._templates.count(subject)

    def admit(self, person: Person) -> None:
        """Store a person without a face, who enters by a card or a PIN."""
        with self.changing():
            self._people.add(person)

    def add(self, person: Person, embedder_sha256: str, vectors: Sequence[Embedding]) -> None:
        """Store a person with sealed templates. The caller is `changing`, and has checked everything."""
        self.store([self._sealed(person, FIRST, embedder_sha256, vectors)], person.enrolled_at)
        self._people.add(person)

    def store_capture(
        self,
        person: Person,
        embedder_sha256: str,
        vectors: Sequence[Embedding],
        at: datetime,
        *,
        is_counted: bool = False,
    ) -> str:
        """Store templates of a known person, captured `at` this time on the office's command. Return why they wait;
        empty if they count.

        The person's first face counts. The first face by a new model set counts if `is_counted`, as a new person. Any
        other face waits beside the valid face (`RecordState.pending`): a thief with the office's key could also command
        a capture and stand at the gate. For the same reason the capture makes no consent valid that only the office
        reports.

        All or nothing. The caller is `changing`, has checked everything, and calls `tidy` afterwards.
        """
        face, subject = self._sealed(person, new_face(), embedder_sha256, vectors), person.subject
        connection = self._people.connection
        held, had = held_records.get(connection, f"person/{subject}"), self.sets_of(subject)
        is_first_of_set = self.is_first_of_set(subject, embedder_sha256)
        self.store([face], at)
        if not had or (is_first_of_set and is_counted):
            self._people.set_face(subject, face.face)
            self._people.drop_pending(subject)
            return ""
        marks, why = (
            held_records.credential_marks_of(connection, subject),
            held_records.BULK if is_first_of_set else held_records.CHANGED_FACE,
        )
        held_records.put(connection, replace(held, quarantine=why, pending=face.face, pending_face=None, ways=marks))
        return why

    def give(self, subject: SubjectId, consents: Sequence[Consent]) -> None:
        """Store further consents that the person gave at this gate. They count at once. The caller is `changing`."""
        self._people.give(subject, consents)

    def is_first_of_set(self, subject: SubjectId, embedder_sha256: str) -> bool:
        """Return whether the person had faces here, but none by this embedder."""
        had = self.sets_of(subject)
        return bool(had) and embedder_sha256[: held_records.SET] not in had

    def is_consent_disputed(self, subject: SubjectId) -> bool:
        """Return whether only the office reports a consent beyond recognition, for a person whose face was captured
        here.
        """
        with self.reading() as connection:
            return bool(acceptances.claims(connection, {subject}))

    def store(self, faces: Sequence[SealedFace], at: datetime) -> None:
        """Store faces. They count when `people.db` names them. The caller is `changing`, and updates `people.db`."""
        with self._templates.guard.changing():
            for face in faces:
                self._templates.add(face, at)

    def face_of(self, subject: SubjectId) -> list[tuple[str, str, NDArray[np.float32]]]:
        """Return id, embedder's SHA-256 and float32 vector of each readable template of the person's valid face, by any
        embedder.
        """
        with self.reading():
            person = self._people.consented().get(subject)
            stored = [] if person is None else self._templates.of(subject, person.face)
            keys = self._templates.keys()
        opened = []
        for embedder, sealed in stored:
            row = (
                TemplateOpener(self.vault, embedder, {subject: person}, keys).row(sealed)
                if person is not None
                else None
            )
            if row is not None:
                opened.append((sealed.id, embedder, row.vector))
        return opened

    def _sealed(self, person: Person, face: str, embedder_sha256: str, vectors: Sequence[Embedding]) -> SealedFace:
        consent = next(c.reference for c in person.consents if c.purpose == RECOGNISE)
        return seal_face(self.vault, person.subject, face, consent, [(embedder_sha256, vector) for vector in vectors])

    def sets_of(self, subject: SubjectId) -> set[str]:
        """Return the embedders that made a face of the person here. Each is the first part of its SHA-256.

        A first face that waits for the hourly limit does not count.
        """
        with self.reading() as connection:
            held = held_records.get(connection, f"person/{subject}")
            waiting = held.pending if held.quarantine == held_records.BULK else None
            stored = self._templates.embedders(subject, but=waiting)
        return {*held.sets.split(), *(each[: held_records.SET] for each in stored)}

    def vectors_of(self, subject: SubjectId, face: str, embedder_sha256: str) -> list[NDArray[np.float32]]:
        """Return the float32 vectors of one face by one embedder, valid or waiting. Unreadable
        templates are left out.
        """
        with self.reading():
            person, stored = self._people.consented().get(subject), self._templates.of(subject, face)
            keys = self._templates.keys()
        opener = TemplateOpener(self.vault, embedder_sha256, {} if person is None else {subject: person}, keys)
        rows = [opener.row(each) for by, each in stored if by == embedder_sha256] if person is not None else []
        return [row.vector for row in rows if row is not None]

    def has_face(self, subject: SubjectId, face: str) -> bool:
        """Return whether a face of the person with this name is stored."""
        with self.reading():
            return self._templates.has(subject, face)

    def opened(self, embedder_sha256: str) -> OpenedTemplates:
        """Open this embedder's templates of all people with consent. Unreadable templates are counted and left out."""
        with self.reading():
            consented, keys = self._version.consented(), self._templates.keys()
            sealed, total = self._templates.made_by(embedder_sha256), self._templates.count()
        opener = TemplateOpener(self.vault, embedder_sha256, consented, keys)
        valid = {(subject, person.face) for subject, person in consented.items()}
        current = [template for template in sealed if (template.subject, template.face) in valid]
        rows = [row for row in map(opener.row, current) if row is not None]
        return OpenedTemplates(rows, foreign=total - len(sealed), unreadable=len(current) - len(rows))

    def version(self) -> tuple[int, ...]:
        """Return a value that differs after any change of the searched data, by any process. Cheap."""
        with self.reading():
            return self._version.current()

    def left_out(self) -> str:
        """Return text that names the damaged rows of people and faces; empty without such rows."""
        with self.reading():
            return "; ".join(filter(None, (self._people.left_out(), self._templates.left_out())))

    def sweep(self, among: Collection[SubjectId] | None = None) -> bool:
        """Delete keys and faces that no longer count (see `FaceErasure.sweep`)."""
        return self._erasure.sweep(among)

    def tidy(self, among: Collection[SubjectId] | None = None) -> bool:
        """Finish all open erasures (see `FaceErasure.tidy`)."""
        return self._erasure.tidy(among)

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction on `people.db` that locks out other changes of the gallery. Raises `BusyError`."""
        with self.reading() as connection, sql.transaction(connection):
            yield connection

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Give this thread sole use of the connection to `people.db`. SQLite's errors become this gate's errors."""
        return self._guard


def counts(state: Path) -> tuple[int, int]:
    """Return the numbers of stored people and templates. Needs no key, and creates nothing. Raises `StateError`."""
    if not (state / "people.db").exists() or not (state / "templates.db").exists():
        return 0, 0
    people, templates = People(state), Templates(state)
    with closing(people.connection), closing(templates.connection), people.guard:
        return len(people.subjects()), templates.count()

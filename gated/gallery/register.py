"""What is stored of everybody, in two databases that act as one: `people.db` leads, `templates.db` follows.

A person exists from the commit in `people.db` until the commit that deletes them there. Templates are written before
the one and deleted after the other, so that a crash anywhere leaves at most keys and templates of nobody, which are
never searched and are swept at the next start. The write lock of `people.db` is the lock of both.
"""

import logging
import secrets
import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gated import database
from gated.embedding import Embedding
from gated.errors import BusyError, SealError, StateError
from gated.gallery import emptied, erasure, holding, trust
from gated.gallery.people import NAME as PEOPLE
from gated.gallery.people import RECOGNISE, Consent, Consented, People, Person, plainly
from gated.gallery.search import Row
from gated.gallery.templates import FIRST, Sealed, SealedFace, Templates
from gated.gallery.vault import Vault, seal, site_key, unseal
from gated.rescue import aside, trouble
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

    def __init__(self, people: People, templates: Templates, vault: Vault, state: Path) -> None:
        self.why = trouble((people.best, templates.best))
        """Why this is a copy that takes no change; empty where it is none."""
        self._state, self._dropped = state, set[SubjectId]()
        self._people, self._templates, self.vault = people, templates, vault
        self._both = (people.connection, templates.connection)
        self._mine = threading.RLock()  # one thread at a time: a transaction belongs to the connection
        self._asked: tuple[int, ...] = ()
        self._fingerprint: int | None = None
        self._searchable = 0
        self._consented: dict[SubjectId, Consented] | None = None
        self._changes = 0

    @classmethod
    def open(cls, state: Path, site: str, why: str = "") -> "Register":
        """Open, or make, what is stored in the state folder, and finish what a crash left half done; or open a copy of
        what can be read, where the disk takes no write or `why` says what is wrong with it.

        Raises `StateError` when a database or the site key cannot be used.
        """
        with ExitStack() as opened:
            emptied.refuse(state, why)
            templates = Templates(state, why)
            opened.callback(templates.connection.close)
            people = People(state, why)
            opened.callback(people.connection.close)
            is_copy = bool(people.best.why or templates.best.why)
            with plainly():
                is_new = not is_copy and templates.is_empty() and not people.has_credentials()
                key = site_key(state, may_create=is_new)
            opened.pop_all()
        register = cls(people, templates, Vault(key, site), state)
        if not is_copy:
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

    def is_there(self, subject: SubjectId) -> bool:
        """Whether anything lies here under that id, damaged or not."""
        with self.reading():
            return self._people.has(subject)

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
        self._people.drop_pending(subject)
        self._people.delete(subject)
        self._dropped.add(subject)
        return self._templates.count(subject)

    def admit(self, person: Person) -> None:
        """Store a person without a face, who comes in by a card or a PIN."""
        with self.changing():
            self._people.add(person)

    def add(self, person: Person, embedder_sha256: str, vectors: Sequence[Embedding]) -> None:
        """Store a person with templates sealed; the caller is `changing`, and has checked everything."""
        self.store([self._sealed(person, FIRST, embedder_sha256, vectors)], person.enrolled_at)
        self._people.add(person)

    def take(
        self,
        person: Person,
        embedder_sha256: str,
        vectors: Sequence[Embedding],
        at: datetime,
        *,
        is_counted: bool = False,
    ) -> str:
        """Store templates that were made `at` of somebody who is known here, because the office ordered it; gives why
        they wait, which is empty where they count.

        Their first face counts; one by a new model set where it `is_counted` as somebody new. Another one waits beside
        the one that they have (`Holding.pending`): a thief with the office's key can order it as well, and stand there.
        For the same reason no consent that the office alone tells of counts because of it. All or nothing. The caller
        is `changing`, has checked everything, and is `tidy` afterwards.
        """
        face, subject = self._sealed(person, new_face(), embedder_sha256, vectors), person.subject
        connection = self._people.connection
        held, had = holding.get(connection, f"person/{subject}"), self.sets_of(subject)
        is_first_of_set = self.is_first_of_set(subject, embedder_sha256)
        self.store([face], at)
        if not had or (is_first_of_set and is_counted):
            self._people.set_face(subject, face.face)
            self._people.drop_pending(subject)
            return ""
        ways, why = holding.ways_of(connection, subject), holding.BULK if is_first_of_set else holding.CHANGED_FACE
        holding.put(connection, replace(held, quarantine=why, pending=face.face, pending_face=None, ways=ways))
        return why

    def give(self, subject: SubjectId, consents: Sequence[Consent]) -> None:
        """Somebody agreed to more, at this gate, and it counts at once; the caller is `changing`."""
        self._people.give(subject, consents)

    def is_first_of_set(self, subject: SubjectId, embedder_sha256: str) -> bool:
        """Whether somebody has had faces here, and none by this embedder."""
        had = self.sets_of(subject)
        return bool(had) and embedder_sha256[: holding.SET] not in had

    def is_consent_disputed(self, subject: SubjectId) -> bool:
        """Whether only the office says that somebody, whose face was taken here, agreed to more than recognition."""
        with self.reading() as connection:
            return bool(trust.claims(connection, {subject}))

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

    def sets_of(self, subject: SubjectId) -> set[str]:
        """By which embedders somebody has had a face here, each the beginning of its SHA-256. A first face by one that
        waits for its hour is none yet.
        """
        with self.reading() as connection:
            held = holding.get(connection, f"person/{subject}")
            waiting = held.pending if held.quarantine == holding.BULK else None
            stored = self._templates.embedders(subject, but=waiting)
        return {*held.sets.split(), *(each[: holding.SET] for each in stored)}

    def vectors_of(self, subject: SubjectId, face: str, embedder_sha256: str) -> list[NDArray[np.float32]]:
        """The vectors of one of somebody's faces by one embedder, whether it counts or waits; those that open."""
        with self.reading():
            who, stored = self._people.consented().get(subject), self._templates.of(subject, face)
            keys = self._templates.keys()
        opener = _Opener(self.vault, embedder_sha256, {} if who is None else {subject: who}, keys)
        rows = [opener.row(each) for by, each in stored if by == embedder_sha256] if who is not None else []
        return [row.vector for row in rows if row is not None]

    def has_face(self, subject: SubjectId, face: str) -> bool:
        """Whether a face of somebody's, by that name, is stored."""
        with self.reading():
            return self._templates.has(subject, face)

    def opened(self, embedder_sha256: str) -> Opened:
        """Open the templates that this embedder made of people who agreed to it. A bad one is counted and left out."""
        with self.reading():
            consented, keys = self._now_consented(), self._templates.keys()
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
            people, templates = map(_version, self._both)
            if people != self._asked:
                self._look_who_changed()
                self._asked = people
            return (self._changes, *templates)

    def _look_who_changed(self) -> None:
        """Something in `people.db` is another: mostly a card was used, and then nobody has to be judged again."""
        fingerprint = self._people.fingerprint()  # asked first: what changes meanwhile is seen the next time
        if fingerprint == self._fingerprint:
            return
        consented = self._people.consented()
        searchable = hash((frozenset(consented.items()), frozenset(self._people.subjects())))
        if searchable != self._searchable:
            self._changes, self._consented = self._changes + 1, consented
        self._fingerprint, self._searchable = fingerprint, searchable

    def _now_consented(self) -> dict[SubjectId, Consented]:
        """Those who agreed, as `version` has just read them where nothing has changed since; read once, not kept."""
        known, self._consented = self._consented, None
        if known is None or _version(self._people.connection) != self._asked:
            return self._people.consented()
        return known

    def left_out(self) -> str:
        """Which rows of people and faces are too damaged to be read, in words; empty where none is."""
        with self.reading():
            return "; ".join(filter(None, (self._people.left_out(), self._templates.left_out())))

    def sweep(self, among: Collection[SubjectId] | None = None) -> bool:
        """Delete keys and templates of nobody, and faces that do not count any more. True when there were any.

        `among`: look at nobody's but these.
        """
        with self.reading():
            if not self._orphans(among):
                return False
        with self.changing():  # somebody who was being enrolled is no orphan any more
            orphans = self._orphans(among)
            with database.transaction(self._templates.connection):
                for subject, face in orphans:
                    self._templates.delete(subject, face)
        return bool(orphans)

    def tidy(self, among: Collection[SubjectId] | None = None) -> bool:
        """Finish every erasure that was begun. False when something is in the way and the next start must try again.

        `among`: for whom knows that nothing was left to do for anybody else.
        """
        if database.only_looks():
            return True
        try:
            self.sweep(among)
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

    def _orphans(self, among: Collection[SubjectId] | None) -> set[tuple[SubjectId, str]]:
        """Faces of nobody. While a damaged people.db lies aside, or has damaged rows, it may know whose they are: then
        only those of whom it is known that they are gone, or that have another face now.
        """
        orphans = self._templates.faces(among) - self._people.faces(among)
        if not orphans or not (aside(self._state / PEOPLE) or self._people.left_out()):
            return set(orphans)
        known = self._people.subjects() | self._people.gone() | self._dropped
        return {(subject, face) for subject, face in orphans if subject in known}


def _version(connection: sqlite3.Connection) -> tuple[int, int]:
    """Another one whenever anybody, here or in another process, has changed anything."""
    return database.version(connection), connection.total_changes


def counts(state: Path) -> tuple[int, int]:
    """How many people and templates are stored; needs no key, and makes nothing. Raises `StateError`."""
    if not (state / "people.db").exists() or not (state / "templates.db").exists():
        return 0, 0
    people, templates = People(state), Templates(state)
    with closing(people.connection), closing(templates.connection), plainly():
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
    _opened: dict[tuple[SubjectId, str], bytes] = field(default_factory=dict, repr=False)

    def row(self, template: Sealed) -> Row | None:
        """The template with what the search must know of its person; None when it does not open."""
        who = self.consented[template.subject]
        try:
            data_key = self._key(template.subject, template.face)
            label = self.vault.template_label(template.subject, template.id, self.embedder_sha256, who.consent)
            vector: NDArray[np.float32] = np.frombuffer(unseal(data_key, template.sealed, label), "<f4")
        except (SealError, KeyError, ValueError):
            return None
        return Row(template.subject, who.household, who.status, vector)

    def _key(self, subject: SubjectId, face: str) -> bytes:
        """The data key of a face, which all of its templates have. Raises `SealError` and `KeyError`."""
        if (key := self._opened.get((subject, face))) is None:
            key = self._opened[subject, face] = self.vault.data_key(subject, self.keys[subject, face])
        return key

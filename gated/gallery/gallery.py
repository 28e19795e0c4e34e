"""The gallery: the stored people and templates, and the index for the face search. The brain and `enrolment` use it."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gated.composite import Centring, Composite
from gated.embedding import Embedding
from gated.errors import BusyError, StateError, TornError
from gated.gallery.register import Register
from gated.gallery.search import Candidate, GalleryRows, Index
from gated.people.store import Consent, Person
from gated.storage.read_only import is_read_only_mode
from gated.storage.reopening import Reopening
from gated.types import SubjectId

if TYPE_CHECKING:  # loaded when a record waits for acceptance, or with the link to the office
    from gated.gallery.accepted import AcceptedRecord
    from gated.gallery.holdings import Holdings

log = logging.getLogger(__name__)


class Gallery:
    """One site's register, with all templates of one embedder open in memory.

    Another process may enrol, suspend or remove people at any time; `reload_if_changed` follows such changes. The index
    is replaced as a whole, so a search in another thread sees either the old or the new index.
    """

    def __init__(
        self, registers: Reopening[Register], embedder_sha256: str, dimension: int, composite: Composite | None = None
    ) -> None:
        self._registers = registers
        self.embedder_sha256 = embedder_sha256
        self.dimension = dimension
        self._composite = composite
        self.foreign_count = 0
        """Number of templates of other embedders. These are stored but not searched."""
        self.unreadable_count = 0
        """Number of templates that do not open or are no valid embedding. These are stored but not searched."""
        self.left_out = ""
        """Text that names the rows too damaged to read; empty without such rows."""
        self._seen: tuple[int, ...] = ()
        self._counted: tuple[int, ...] = ()
        self._to_accept = (0, 0)
        self._index = Index((), dimension, composite)
        self._index_number = 0
        self._switching = threading.Lock()
        """Held to change the embedder, and to put a loaded index in use."""

    @classmethod
    def open(
        cls, state: Path, site: str, embedder_sha256: str, dimension: int, composite: Composite | None = None
    ) -> "Gallery":
        """Open the gallery in the state folder; create it if missing. `composite`: the parts of an embedding, with
        their centring; None: one part, not centred. Raises `StateError` if the gallery cannot be used.
        """
        gallery = cls(Reopening(lambda _: Register.open(state, site), state), embedder_sha256, dimension, composite)
        try:
            gallery._follow()
        except BaseException:
            gallery.close()
            raise
        return gallery

    @classmethod
    def open_best(
        cls, state: Path, site: str, embedder_sha256: str, dimension: int, composite: Composite | None = None
    ) -> "Gallery":
        """Open the readable part of the gallery, possibly nothing. `reload_if_changed` later tries for a better one.
        Raises nothing.
        """
        registers = Reopening(lambda why: Register.open(state, site, why), state)
        gallery = cls(registers, embedder_sha256, dimension, composite)
        try:
            try:
                gallery._follow()
            except TornError as error:
                gallery._registers.salvage(str(error))
                gallery._follow()
        except (BusyError, StateError) as error:
            log.error("no face is recognised: %s", error)
            gallery._registers.failed()
        return gallery

    def close(self) -> None:
        """Close the files. Callers may call it twice."""
        self._registers.close()

    @property
    def _register(self) -> Register:
        return self._registers.get()

    @property
    def trouble(self) -> str:
        """Return why the gallery differs from the files on the disk or cannot be changed; empty without a problem."""
        return self._registers.why

    def switch_embedder(self, embedder_sha256: str, dimension: int, composite: Composite | None = None) -> None:
        """Search the templates of this embedder from now on. `dimension`: the length of its embeddings. `composite`:
        see `open`.
        """
        new = Index((), dimension, composite)
        with self._switching:
            if (embedder_sha256, dimension) != (self.embedder_sha256, self.dimension):
                self._index = new
                self._index_number += 1
            self.embedder_sha256, self.dimension, self._composite = embedder_sha256, dimension, composite
            self._seen = ()

    @property
    def centring(self) -> Centring:
        """The centring of the search. Compare faces with it, and never two embeddings by their dot product."""
        return self._index.centring

    @property
    def size(self) -> int:
        """Return the number of people in the index. This is the N of every error rate."""
        return self._index.size

    @property
    def template_count(self) -> int:
        """Return the number of templates in the index."""
        return len(self._index)

    def enrolled(self) -> GalleryRows:
        """Return everybody in the index, centred. Each change of the gallery gives another matrix."""
        return self._index.enrolled()

    @property
    def index_number(self) -> int:
        """The number of indexes since the start. It rises with each change of the searched people."""
        return self._index_number

    def has_face(self, subject: SubjectId) -> bool:
        """Return whether the search can find a person."""
        return subject in self._index

    def search(self, probe: Embedding, limit: int = 2) -> tuple[Candidate, ...]:
        """Return the best `limit` people, best first, always with one person of another household; see `Index.search`.

        The result includes suspended people: the access decision refuses them, not the search. Raises `EmbeddingError`.
        """
        return self._index.search(probe, limit)

    def reload_if_changed(self) -> bool:
        """Load changes by this or another process. Return True if anything changed. The call is cheap without changes.

        Raises `BusyError`, and `StateError` if the disk fails. After an error the search continues with the old index,
        and the next call opens the files again.
        """
        if self._registers.improve():
            self._seen = ()
        try:
            if self._register.version() == self._seen:
                return False
            if not (self._register.why or is_read_only_mode()) and self._register.sweep():
                self._register.tidy()
            return self._follow()
        except StateError:
            self._registers.failed()
            raise

    def people(self) -> list[Person]:
        """Return all people, by household and name."""
        return self._register.people()

    def person(self, subject: SubjectId) -> Person:
        """Return one person. Raises `SubjectNotFoundError`."""
        return self._register.person(subject)

    @contextmanager
    def enrolling(self) -> Iterator[None]:
        """Lock the gallery against other changes, with the index up to date. Raises `BusyError`."""
        with self._register.changing():
            self._follow()
            yield
        self._follow()

    def add(self, person: Person, vectors: Sequence[Embedding]) -> None:
        """Store a checked person inside `enrolling`. Use `enrolment.enrol` to enrol a person; it does the checks."""
        self._register.add(person, self.embedder_sha256, vectors)

    def store_capture(
        self, person: Person, vectors: Sequence[Embedding], at: datetime, *, is_counted: bool = False
    ) -> str:
        """Store templates of a checked, known person inside `enrolling`. Return why they wait."""
        return self._register.store_capture(person, self.embedder_sha256, vectors, at, is_counted=is_counted)

    def give(self, subject: SubjectId, consents: Sequence[Consent]) -> None:
        """Store further consents that a person gave at this gate, inside `enrolling`."""
        self._register.give(subject, consents)

    def is_consent_disputed(self, subject: SubjectId) -> bool:
        """Return the result of `Register.is_consent_disputed`."""
        return self._register.is_consent_disputed(subject)

    def confirm(
        self, subject: SubjectId, digest: bytes, probes: Sequence[Embedding], threshold: float
    ) -> "AcceptedRecord | None":
        """Confirm a waiting face as in `Holdings.confirm`, and update the index."""
        accepted = self._holdings().confirm(
            subject, digest, probes, self.embedder_sha256, threshold, centring=self.centring
        )
        if accepted is not None:
            self._follow()
            self._register.tidy()
        return accepted

    def to_accept(self, me: str) -> tuple[int, int]:
        """Return the number of other gates' keys and of people's consents that wait for acceptance at this gate.

        `me`: the name of this gate. The call is cheap if nothing has changed.
        """
        holdings = self._holdings()
        changes = id(self._register), *holdings.changes()
        if changes != self._counted:
            gates = [each for each in holdings.neighbours() if not each.is_trusted and each.gate != me]
            self._to_accept, self._counted = (len(gates), len(holdings.disputed())), changes
        return self._to_accept

    def _holdings(self) -> "Holdings":
        """Return the register as the office's records change it."""
        from gated.gallery.holdings import Holdings

        return Holdings(self._register)

    def tidy(self) -> None:
        """Wipe the traces of replaced data. The next start finishes a wipe that another process blocks now."""
        self._register.tidy()

    def _follow(self) -> bool:
        """Load the stored data into the index. One thread at a time: otherwise an older load could replace a newer
        index.
        """
        with self._register.reading():
            version = self._register.version()  # read first, so that the next call sees changes made during the load
            if version == self._seen:
                return False
            self._load(version)
        return True

    def _load(self, version: tuple[int, ...]) -> None:
        """Load an index. After a switch of the embedder meanwhile, drop it: the next call loads the right one."""
        embedder, dimension, composite = self.embedder_sha256, self.dimension, self._composite
        opened = self._register.opened(embedder)
        index = Index(opened.rows, dimension, composite)
        unreadable = opened.unreadable + index.dropped
        if unreadable > self.unreadable_count:
            log.warning("%d templates do not open and are not searched; was the site key replaced?", unreadable)
        self.foreign_count, self.unreadable_count = opened.foreign, unreadable
        self.left_out = self._register.left_out()
        with self._switching:
            is_same = (embedder, dimension) == (self.embedder_sha256, self.dimension)
            if is_same and composite is self._composite:
                self._index, self._seen = index, version
                self._index_number += 1

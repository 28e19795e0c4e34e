"""The office's records at this gate: what arrives becomes people, rights and faces, or is asked for again.

Versions only rise. What takes away counts at once and in whatever order it comes; everything else counts when nothing
before it is missing. `batch` judges records, `gallery.replica` stores them, `snapshot` keeps what is not whole yet.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from gated.errors import EnrolmentError, SealError, WireError
from gated.events import (
    Event,
    FaceShared,
    PersonRemoved,
    PersonResumed,
    PersonSuspended,
    RecordQuarantined,
    RecordsApplied,
)
from gated.gallery.holding import Holding
from gated.gallery.replica import PERSON, Change, Holdings, Outcome
from gated.sync.batch import Batch, Faces
from gated.sync.jose import Party
from gated.sync.messages import Delta, Gone, Message, Receipt, Record, RecordMark, Request, Shared, SnapshotPart, Word
from gated.sync.pull import PATIENCE_S, Pull
from gated.sync.quarantine import Allowance
from gated.sync.records import digest_of, key_of, takes_away
from gated.sync.sharing import seal_face
from gated.sync.snapshot import Staging
from gated.sync.wire import Peer
from gated.types import SubjectId

log = logging.getLogger(__name__)

TRANSFER = "transfer"
"""The purpose of a consent to take a face to another gate."""
MAX_JUMP = 10_000_000
"""A number further above ours than this is no office's counting."""


@dataclass(frozen=True, slots=True)
class _Incurable:
    """A snapshot that was taken and left a difference all the same, and who is gone here that it names."""

    version: int
    digest: str
    returning: tuple[tuple[str, int], ...]


class Replica:
    """Follows the office. Used from one thread at a time; every method may raise `StateError` and `BusyError`."""

    def __init__(  # noqa: PLR0917 - what a gate has, in one breath
        self,
        state: Path,
        peer: Peer,
        embedder_sha256: str,
        dimension: int,
        threshold: float,
        most_new_per_hour: int,
        report: Callable[[Event], None],
        on_change: Callable[[], None],
    ) -> None:
        """`report` is given facts for the journal; `on_change` is called when somebody may come in who might not, or
        the reverse, after it is on disk.
        """
        self._peer, self._report, self._on_change = peer, report, on_change
        self._faces = Faces(embedder_sha256, dimension, threshold)
        self._allowance = Allowance(most_new_per_hour)
        with ExitStack() as opened:
            self._holdings = Holdings.open(state, peer.site)
            opened.callback(self._holdings.close)
            self._staging = Staging(state, peer.me)
            opened.callback(self._staging.close)
            self._mark = self._look()
            self._opened = opened.pop_all()
        self._pull = Pull(peer.site, peer.gate)
        self._incurable: _Incurable | None = None
        self._doubts: set[str] = set()
        self._owed: dict[str, int] = {}
        """Removals that are to be answered for."""
        self._is_tidy, self._tidied_at = True, 0.0

    def close(self) -> None:
        """Give the files back. May be called twice."""
        self._opened.close()

    @property
    def mark(self) -> RecordMark:
        """How far this gate is."""
        if self._holdings.changes() != self._marked_at:
            self._mark = self._look()
        return self._mark

    def hear(self, message: Delta | SnapshotPart, now: float) -> list[Message]:
        """Records arrived: what is to be said because of them (receipts, requests)."""
        newest = message.upto if isinstance(message, Delta) else message.version
        if self._is_absurd(newest) or any(record.n > newest for record in message.records):
            self._doubt("records with numbers that cannot be; they are not looked at")
            return []
        said = self._hear_delta(message, now) if isinstance(message, Delta) else self._hear_part(message, now)
        return [*said, *self._settle(now), *self._ask(now)]

    def hear_word(self, word: Word, now: float) -> list[Message]:
        """The office said where it is: a request, where we are not."""
        mark = self.mark
        if word.version < mark.version:
            self._doubt("the office has older records than this gate; they change nothing here")
            return []
        if self._is_absurd(word.version):
            self._doubt("the office's records have jumped too far; nothing is asked for")
            return []
        self._pull.target = word.version  # what an older office once promised is nothing to wait for
        self._compare(word, mark)
        return [*self._settle(now), *self._remind(word, now), *self._ask(now)]

    def due(self, now: float) -> list[Message]:
        """Requests that were not answered in time, again, and receipts that something stood in the way of."""
        if self._pull.is_overdue(now):
            return [*self._settle(now), *self._ask(now)]
        if self._owed and now >= self._tidied_at + PATIENCE_S:
            return self._receipts(now)
        return []

    def restart(self) -> None:
        """A new connection: what was asked on the old one is forgotten."""
        self._pull.restart()

    def suspend(self, subject: str, n: int) -> bool:
        """Somebody is not let in from now on, as record `n` says; False when nobody here is called so."""
        held, version = self._holdings.get(PERSON + subject), self._holdings.version
        is_known = self._holdings.person(SubjectId(subject)) is not None
        if held.is_gone or (held.n >= n and not held.is_wanted):
            return is_known
        ahead = replace(held, suspended_n=max(held.suspended_n, min(n, version + MAX_JUMP)))
        self._commit([Change(ahead, is_suspending=True)], version)
        return is_known

    def share(self, subject: str, to: str) -> Shared:
        """Somebody's templates, sealed to another gate. Raises `EnrolmentError` without their consent on record here,
        and where the gate or the face is not known.
        """
        person, keys = self._holdings.person(SubjectId(subject)), self._holdings.keys_of(to)
        if person is None or TRANSFER not in {consent.purpose for consent in person.consents}:
            raise EnrolmentError(
                f"{subject}: has not agreed here that their face goes to another gate; nothing is sent"
            )
        if keys is None:
            raise EnrolmentError(f"{to}: is no gate whose keys are known here; nothing is sent")
        opened = self._holdings.register.face_of(person.subject)
        templates = [(name, vector) for name, embedder, vector in opened if embedder == self._faces.embedder_sha256]
        if not templates:
            raise EnrolmentError(f"{subject}: has no face here that this model set can use; enrol them anew")
        try:
            face = seal_face(Party.parse(keys), subject, self._faces.embedder_sha256, templates)
        except WireError as error:
            raise EnrolmentError(f"{to}: its keys are none ({error}); pair it with the office again") from error
        self._report(FaceShared(subject, to))
        return Shared(site=self._peer.site, gate=self._peer.gate, subject=subject, to=to, face=face)

    def _hear_delta(self, delta: Delta, now: float) -> list[Message]:
        version = self._holdings.version
        self._pull.target = max(self._pull.target, delta.upto)
        if delta.after > version:
            return self._follow(filter(takes_away, delta.records), version, now)
        if delta.upto > version:
            self._pull.progress(now)
        news = [record for record in delta.records if record.n > version or isinstance(record, Gone)]
        return self._follow(news, max(version, delta.upto), now)

    def _hear_part(self, part: SnapshotPart, now: float) -> list[Message]:
        version = self._holdings.version
        if part.version < version or (part.version == version and not self._pull.wants_snapshot):
            return []
        self._pull.target = max(self._pull.target, part.version)
        out = self._follow((r for r in part.records if takes_away(r) and self._is_here(r)), version, now)
        if self._staging.take(part):
            self._pull.progress(now)
        return out

    def _is_here(self, record: Record) -> bool:
        return self._holdings.person(SubjectId(key_of(record).removeprefix(PERSON))) is not None

    def _compare(self, word: Word, mark: RecordMark) -> None:
        """Whether we have other records than the office at the same version, while nothing is on its way."""
        is_other = self._pull.target == mark.version and word.digest != mark.digest
        self._pull.wants_snapshot = is_other and not self._is_incurable(word)
        title, said = self._staging.title, (word.version, word.digest)
        is_of_use = self._pull.wants_snapshot and title is not None and (title.version, title.digest) == said
        if title is not None and title.version <= mark.version and not is_of_use:
            self._staging.drop()

    def _is_incurable(self, word: Word) -> bool:
        last = self._incurable
        return last is not None and (word.version, word.digest) == (last.version, last.digest)

    def _remind(self, word: Word, now: float) -> list[Message]:
        """Tell an office once more who is gone: it has not heard it, or it would not have them still."""
        if self._incurable is None or not self._is_incurable(word):
            return []
        return self._receipts(now, self._incurable.returning)

    def _follow(self, records: Iterable[Record], version: int, now: float) -> list[Message]:
        """Take these records together, and rise to `version`."""
        batch = self._batch(self._allowance.left(now))
        removed = []
        for record in sorted(records, key=lambda record: record.n):
            batch.add(record)
            if isinstance(record, Gone):
                removed.append((record.key, record.n))
        self._commit(batch.changes(), version)
        self._allowance.take(batch.joining, now)
        return self._receipts(now, [*removed, *batch.returning])

    def _settle(self, now: float) -> list[Message]:
        """A snapshot that is whole takes the place of what there is."""
        title = self._staging.title
        if title is not None and title.version < self._holdings.version:
            self._staging.drop()  # deltas were faster
        if title is None or not self._staging.is_complete:
            return []
        is_first = self._holdings.is_empty()
        batch = self._batch(None if is_first else self._allowance.left(now))
        try:
            named = {key_of(record): record.n for record in self._added(batch)}
        except SealError:
            named = {}
        if digest_of(named.items()) != title.digest:
            self._doubt("a snapshot that does not add up; it is asked for anew")
            self._staging.drop()
            return []
        removed = [(key, title.version) for key, _ in self._holdings.known(title.version) if key not in named]
        batch.end((key for key, _ in removed), title.version)
        self._commit(batch.changes(), title.version)
        self._allowance.take(0 if is_first else batch.joining, now)
        self._pull.wants_snapshot = False
        if self._pull.target == title.version and self.mark.digest != title.digest:
            self._doubt("this gate holds newer records than the office's snapshot; they stay")
            self._incurable = _Incurable(title.version, title.digest, tuple(batch.returning))
        self._staging.drop()
        return self._receipts(now, [*removed, *batch.returning])

    def _added(self, batch: Batch) -> Iterator[Record]:
        for record in self._staging.records():
            batch.add(record)
            if not isinstance(record, Gone):
                yield record

    def _batch(self, room: int | None) -> Batch:
        return Batch(self._holdings, self._peer.me, self._faces, room)

    def _commit(self, changes: Sequence[Change], version: int) -> None:
        """Store it, tell of it, and wipe the traces of what went."""
        if not changes and version == self._holdings.version:
            return
        outcome = self._holdings.apply(changes, version, datetime.now(UTC))
        for fact in _facts(changes, outcome, version):
            self._report(fact)
        for subject in outcome.waiting:
            log.warning("a card of %s is another's still; it is given when that one gives it up", subject)
        if changes:
            self._on_change()
            self._is_tidy = self._holdings.register.tidy()

    def _receipts(self, now: float, removed: Iterable[tuple[str, int]] = ()) -> list[Message]:
        """Who is gone, for good: not before the key is destroyed, so what cannot be wiped now is told later."""
        self._owed |= {key: n for key, n in removed if key.startswith(PERSON)}
        if self._owed and not self._is_tidy:
            self._is_tidy, self._tidied_at = self._holdings.register.tidy(), now
        if not self._is_tidy:
            return []
        owed, self._owed = self._owed, {}
        held = [(self._holdings.get(key), n) for key, n in owed.items()]
        return [self._receipt(row, n) for row, n in held if row.is_gone and row.n >= n]

    def _receipt(self, held: Holding, n: int) -> Receipt:
        subject = held.key.removeprefix(PERSON)
        at = held.at or ""
        return Receipt(
            site=self._peer.site, gate=self._peer.gate, subject=subject, n=n, templates=held.templates, at=at
        )

    def _ask(self, now: float) -> list[Request]:
        return self._pull.ask(self._holdings.version, self._staging.title, self._staging.missing(), now)

    def _look(self) -> RecordMark:
        self._marked_at = self._holdings.changes()
        quarantined = len(self._holdings.quarantined())
        digest = digest_of(self._holdings.live())
        return RecordMark(self._holdings.version, digest, quarantined, self._holdings.newest)

    def _is_absurd(self, n: int) -> bool:
        return n > self._holdings.version + MAX_JUMP

    def _doubt(self, what: str) -> None:
        """Log it, once."""
        if what not in self._doubts:
            self._doubts.add(what)
            log.warning("%s", what)


def _facts(changes: Sequence[Change], outcome: Outcome, version: int) -> Iterator[Event]:
    """What the journal is told of a batch."""
    is_order = bool(changes) and all(change.is_suspending for change in changes)
    if not is_order:
        yield RecordsApplied(version, outcome.added, outcome.changed, len(outcome.removed))
    for subject, templates in outcome.removed.items():
        yield PersonRemoved(subject, templates)
    for subject in outcome.suspended:
        yield PersonSuspended(subject)
    for subject in outcome.resumed:
        yield PersonResumed(subject)
    for change in changes:
        if change.holding.quarantine is not None:
            yield RecordQuarantined(change.holding.key.removeprefix(PERSON), change.holding.quarantine)

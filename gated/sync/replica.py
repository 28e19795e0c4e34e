"""The office's records at this gate: store them as people, access rules and faces, and request missing ones.

The version only rises. Records that reduce access count at once, in any order. Every other record counts only when no
earlier one is missing. `batch` judges records, `gallery.replica` stores them, and `snapshot` keeps incomplete ones.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from pathlib import Path

from msgspec import Struct

from gated.composite import Composite
from gated.errors import BusyError, SealError, StateError
from gated.events import Event
from gated.gallery.holdings import Holdings
from gated.gallery.record_changes import PERSON, Change
from gated.protocol.envelope import Peer
from gated.protocol.face_messages import SharedFace
from gated.protocol.key_messages import VerifierKeys
from gated.protocol.record_keys import digest_of, fingerprint, key_of, removes_access
from gated.protocol.record_messages import Delta, QuarantinedRecord, RecordRequest, SnapshotPart
from gated.protocol.status_messages import Heartbeat, RecordMark
from gated.protocol.wire_records import Record, Tombstone
from gated.protocol.wire_types import Message
from gated.storage.vault import CARD, PIN
from gated.sync.acceptance import accept, announce
from gated.sync.applied_events import applied_events
from gated.sync.batch import Batch
from gated.sync.command_desk import CommandOutcome
from gated.sync.denied_subjects import DeniedSubjects
from gated.sync.face_departures import FaceDepartures
from gated.sync.person_changes import Faces
from gated.sync.quarantine import Allowance
from gated.sync.record_requests import RecordRequests
from gated.sync.removal_receipts import RemovalReceipts
from gated.sync.snapshot import SnapshotStore
from gated.types import SubjectId

log = logging.getLogger(__name__)

DAMAGE_S = 600.0
"""Interval between two checks for damage to the stored records, in seconds."""
MAX_JUMP = 10_000_000
"""Largest step of a record number above the gate's version. A larger one is not the office's honest counting."""


class _Incurable(Struct, frozen=True):
    """A snapshot that was applied and still left a difference, with the removed subjects that it names."""

    version: int
    digest: str
    returning: tuple[tuple[str, int], ...]


class Replica:
    """The gate's copy of the office's records. Used from one thread at a time.

    Every method may raise `StateError` and `BusyError`.
    """

    def __init__(  # noqa: PLR0917 - one call takes all parts of a gate
        self,
        state: Path,
        peer: Peer,
        embedder_sha256: str,
        dimension: int,
        threshold: float,
        most_new_per_hour: int,
        report: Callable[[Event], None],
        on_change: Callable[[], None],
        revoked: DeniedSubjects | None = None,
        most_new_in_batch: int = 0,
        composite: Composite | None = None,
    ) -> None:
        """Open the records in the state folder.

        `report` receives events for the journal. `on_change` is called after access has changed on disk. `revoked`
        holds subjects whose removal or suspension is not on disk yet. `composite`: the parts of an embedding, with
        their centring.
        """
        self._revoked = revoked or DeniedSubjects(lambda _: None)
        self._peer, self._report, self._on_change = peer, report, on_change
        self._faces = Faces(embedder_sha256, dimension, threshold, composite)
        self._in_all = most_new_in_batch
        with ExitStack() as opened:
            self._holdings = Holdings.open_best(state, peer.site)
            opened.callback(self._holdings.close)
            self._staging = SnapshotStore(state, peer.me)
            opened.callback(self._staging.close)
            self._mark = self._read_mark()
            before = self._holdings.allowed
            self._opened = opened.pop_all()
        self._departures = FaceDepartures(self._holdings, peer, embedder_sha256, report)
        self._allowance = Allowance(most_new_per_hour, most_new_in_batch, before)
        self.wall: datetime | None = None
        """The time of day (aware), None while the clock is not trusted. The caller sets it before each message."""
        self._pull = RecordRequests(peer.site, peer.gate)
        self._incurable: _Incurable | None = None
        self._doubts: set[str] = set()
        self.is_office_outdated = False
        """Whether the office sent a readable card number or PIN. None of them was taken."""
        self._receipts, self._damage_check_at = RemovalReceipts(self._holdings, peer), -inf

    def close(self) -> None:
        """Close the files. May be called twice."""
        self._opened.close()

    @property
    def mark(self) -> RecordMark:
        """Return the version, digest and counts of the records at this gate."""
        if self._holdings.changes() != self._marked_at:
            self._departures.update_trust()
            self._mark = self._read_mark()
        return self._mark

    def handle_records(self, message: Delta | SnapshotPart, now: float) -> list[Message]:
        """Handle arrived records. Return the messages to send: receipts and requests."""
        newest = message.upto if isinstance(message, Delta) else message.version
        if self._is_absurd(newest) or any(record.n > newest for record in message.records):
            self._doubt("records with impossible numbers were ignored")
            return []
        requests = self._handle_delta(message, now) if isinstance(message, Delta) else self._handle_part(message, now)
        return [*requests, *self._finish(now), *self._ask(now)]

    def handle_heartbeat(self, heartbeat: Heartbeat, now: float) -> list[Message]:
        """Handle a heartbeat, which names the office's version.

        Return the messages to send: keys, receipts and requests.
        """
        mark, keys = self.mark, self._keys(heartbeat)
        if heartbeat.version < mark.version:
            self._doubt("the office has older records than this gate; they change nothing here")
            return keys
        if self._is_absurd(heartbeat.version):
            self._doubt("the office's record numbers jumped too far; requesting nothing")
            return keys
        self._pull.target = heartbeat.version  # replaces a higher target that the office no longer has
        self._compare(heartbeat, mark)
        return [*keys, *self._finish(now), *self._remind(heartbeat, now), *self._ask(now)]

    def _keys(self, heartbeat: Heartbeat) -> list[Message]:
        """Return this gate's keys for cards and PINs if the office has none or other ones."""
        vault = self._holdings.register.vault
        card, pin = vault.key_for(CARD), vault.key_for(PIN)
        self.is_office_outdated &= not heartbeat.verifiers
        if heartbeat.verifiers == fingerprint(card, pin):
            return []
        if heartbeat.verifiers:
            self._doubt("the office has other keys of this gate for cards and PINs: pair the gate again")
        return [VerifierKeys(site=self._peer.site, gate=self._peer.gate, card=card, pin=pin)]

    @property
    def office_version(self) -> tuple[int, bool]:
        """Return the highest number at the office, and whether it holds other records under the same number."""
        return self._pull.target, self._pull.wants_snapshot

    def due(self, now: float) -> list[Message]:
        """Return overdue requests, delayed receipts, and signatures of gates that were accepted here."""
        self._allowance.begin(now)
        if now >= self._damage_check_at:
            self._damage_check_at = now + DAMAGE_S
            self._holdings.want_damaged()
        requests = self._departures.due()
        if self._pull.is_overdue(now):
            return [*requests, *self._finish(now), *self._ask(now)]
        if self._receipts.is_overdue(now):
            return [*requests, *self._receipts.collect(now)]
        return requests

    def restart(self) -> None:
        """Start a new connection: forget the requests on the old one."""
        self._pull.restart()
        self._departures.restart()

    def suspend(self, subject: str, n: int) -> bool:
        """Suspend a subject ahead of record `n`, which says the same. Return whether this gate knows the subject."""
        held, version = self._holdings.get(PERSON + subject), self._holdings.version
        is_known = self._holdings.person(SubjectId(subject)) is not None
        if held.is_gone or (held.n >= n and not held.is_wanted):
            return is_known
        ahead = replace(held, suspended_n=max(held.suspended_n, min(n, version + MAX_JUMP)))
        self._commit([Change(ahead, is_suspending=True)], version)
        return is_known

    def deny_unstored(self, message: Delta | SnapshotPart) -> None:
        """Apply the removals and suspensions of records that cannot be stored, in memory.

        Nothing is acknowledged: the office sends the records again until they are stored.
        """
        for record in filter(removes_access, message.records):
            kind, _, subject = key_of(record).partition("/")
            if kind == "person":
                self.revoke(subject, record.n)

    def revoke(self, subject: str, n: int) -> None:
        """Deny a subject access in memory, until record `n` is stored."""
        if n > self._number(subject):
            self._revoked.add(subject, n)

    def _number(self, subject: str) -> int:
        """Return the newest number that is stored for a subject; 0 if it cannot be read."""
        try:
            held = self._holdings.get(PERSON + subject)
        except (BusyError, StateError):
            return 0
        return max(held.n if not held.is_wanted else 0, held.suspended_n)

    def quarantined(self) -> list[QuarantinedRecord]:
        """Return the quarantined records, with the reasons."""
        rows = self._holdings.quarantined()
        return [QuarantinedRecord(row.key.removeprefix(PERSON), row.quarantine or "", row.n) for row in rows]

    def announce(self, people: int, window_h: float) -> CommandOutcome:
        """Take the office's announcement that `people` subjects join within `window_h` hours."""
        return announce(self._holdings, self._allowance, self._in_all, people, window_h, self.wall)

    def accept(self, subjects: Sequence[str], operator: str) -> CommandOutcome:
        """Take the office's acceptance of subjects who are quarantined as `bulk`."""
        return accept(self._holdings, self._allowance, subjects, operator, self._report)

    def may_join(self, subject: SubjectId, embedder_sha256: str, now: float) -> bool:
        """Return whether a face that is taken here by the office's command may count at once.

        A first face by a new model set counts as a new subject, on disk when this returns. Without room it must wait.
        """
        if not self._holdings.register.is_first_of_set(subject, embedder_sha256):
            return True
        if self._room(now) < 1:
            return False
        allowed = self._allowance.spend(self._holdings.allowed, 1, now, self.wall)
        self._holdings.allow(allowed)
        self._allowance.note_joined(allowed, now)
        return True

    def share(self, subject: str, to: str) -> SharedFace:
        """Return a subject's templates, sealed to another gate. Raises the errors of `FaceDepartures.share`."""
        return self._departures.share(subject, to)

    def _handle_delta(self, delta: Delta, now: float) -> list[Message]:
        version = self._holdings.version
        self._pull.target = max(self._pull.target, delta.upto)
        if delta.after > version:
            return self._follow(filter(removes_access, delta.records), version, now)
        if delta.upto > version:
            self._pull.progress(now)
        changes = [record for record in delta.records if record.n > version or isinstance(record, Tombstone)]
        return self._follow(changes, max(version, delta.upto), now)

    def _handle_part(self, part: SnapshotPart, now: float) -> list[Message]:
        version = self._holdings.version
        if part.version < version or (part.version == version and not self._pull.wants_snapshot):
            return []
        self._pull.target = max(self._pull.target, part.version)
        out = self._follow((r for r in part.records if removes_access(r) and self._is_known_person(r)), version, now)
        if self._staging.store_part(part):
            self._pull.progress(now)
        return out

    def _is_known_person(self, record: Record) -> bool:
        return self._holdings.person(SubjectId(key_of(record).removeprefix(PERSON))) is not None

    def _compare(self, heartbeat: Heartbeat, mark: RecordMark) -> None:
        """Decide whether the gate wants a snapshot.

        It wants one if its records differ at the office's version and no record is on its way.
        """
        is_other = self._pull.target == mark.version and heartbeat.digest != mark.digest
        self._pull.wants_snapshot = is_other and not self._is_incurable(heartbeat)
        title, announced = self._staging.title, (heartbeat.version, heartbeat.digest)
        is_of_use = self._pull.wants_snapshot and title is not None and (title.version, title.digest) == announced
        if title is not None and title.version <= mark.version and not is_of_use:
            self._staging.drop()

    def _is_incurable(self, heartbeat: Heartbeat) -> bool:
        last = self._incurable
        return last is not None and (heartbeat.version, heartbeat.digest) == (last.version, last.digest)

    def _remind(self, heartbeat: Heartbeat, now: float) -> list[Message]:
        """Return the receipts for removed subjects again: the office would not hold them if it had heard."""
        if self._incurable is None or not self._is_incurable(heartbeat):
            return []
        return self._receipts.collect(now, self._incurable.returning)

    def _follow(self, records: Iterable[Record], version: int, now: float) -> list[Message]:
        """Apply these records together, and raise the version to `version`."""
        batch = self._batch(self._room(now))
        removed = []
        for record in sorted(records, key=lambda record: record.n):
            batch.add(record)
            if isinstance(record, Tombstone):
                removed.append((record.key, record.n))
        self._commit(batch.changes(), version, batch.joining, now)
        self._refuse_readable(batch)
        return self._receipts.collect(now, [*removed, *batch.returning])

    def _finish(self, now: float) -> list[Message]:
        """Apply a complete snapshot in place of the stored records. Return the receipts."""
        title = self._staging.title
        if title is not None and title.version < self._holdings.version:
            self._staging.drop()  # newer deltas came first
        if title is None or not self._staging.is_complete:
            return []
        is_first = self._holdings.is_new()
        batch = self._batch(None if is_first else self._room(now))
        try:
            named = {key_of(record): record.n for record in self._added(batch)}
        except SealError:
            named = {}
        if digest_of(named.items()) != title.digest:
            self._doubt("the digest of the snapshot is wrong; requesting it again")
            self._staging.drop()
            return []
        removed = [(key, title.version) for key, _ in self._holdings.known(title.version) if key not in named]
        batch.end((key for key, _ in removed), title.version)
        self._commit(batch.changes(), title.version, 0 if is_first else batch.joining, now)
        self._refuse_readable(batch)
        self._pull.wants_snapshot = False
        if self._pull.target == title.version and self.mark.digest != title.digest:
            self._doubt("this gate has newer records than the office's snapshot; the newer records stay")
            self._incurable = _Incurable(title.version, title.digest, tuple(batch.returning))
        self._staging.drop()
        return self._receipts.collect(now, [*removed, *batch.returning])

    def _refuse_readable(self, batch: Batch) -> None:
        if batch.is_readable:
            self.is_office_outdated = True
            self._doubt(
                "the office sends readable card numbers and PINs, and this gate accepts none of them: update the office"
            )

    def _added(self, batch: Batch) -> Iterator[Record]:
        for record in self._staging.records():
            batch.add(record)
            if not isinstance(record, Tombstone):
                yield record

    def _batch(self, room: int | None) -> Batch:
        return Batch(self._holdings, self._peer.me, self._faces, room)

    def _room(self, now: float) -> int:
        """Return how many new subjects may join now."""
        return self._allowance.remaining(self._holdings.allowed, now, self.wall)

    def _commit(self, changes: Sequence[Change], version: int, joining: int = 0, now: float = 0.0) -> None:
        """Store the changes, report them, and erase removed data. `joining` is the number of new subjects."""
        if not changes and version == self._holdings.version:
            return
        allowed = None
        if joining:
            allowed = self._allowance.spend(self._holdings.allowed, joining, now, self.wall)
        outcome = self._holdings.apply(changes, version, datetime.now(UTC), allowed)
        if allowed is not None:
            self._allowance.note_joined(allowed, now)
        for fact in applied_events(changes, outcome, version):
            self._report(fact)
        self._departures.report_pending(changes)
        for subject in outcome.waiting:
            log.warning(
                "a card of %s still belongs to another person; this person gets it when the other one loses it", subject
            )
        if changes:
            self._on_change()
            self._revoked.forget_stored(self._number)
            self._receipts.erase(changes)

    def _ask(self, now: float) -> list[RecordRequest]:
        return self._pull.ask(self._holdings.version, self._staging.title, self._staging.missing(), now)

    def _read_mark(self) -> RecordMark:
        self._marked_at = self._holdings.changes()
        quarantined, live = len(self._holdings.quarantined()), self._holdings.live()
        people = sum(key.startswith(PERSON) for key, _ in live) - quarantined
        return RecordMark(self._holdings.version, digest_of(live), quarantined, self._holdings.newest, max(0, people))

    def _is_absurd(self, n: int) -> bool:
        return n > self._holdings.version + MAX_JUMP

    def _doubt(self, text: str) -> None:
        """Log a warning, once per text."""
        if text not in self._doubts:
            self._doubts.add(text)
            log.warning("%s", text)

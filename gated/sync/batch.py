"""Judge all records of a message before the first one counts. Find the new records, and records that look like
poisoning.

Writes nothing. All slow work (opening seals, comparing faces) happens here, outside the transaction that stores the
batch. Used by `replica`.
"""

from collections.abc import Iterable
from dataclasses import replace

from gated.errors import WireError
from gated.gallery.holdings import Holdings
from gated.gallery.record_changes import PERSON, Change
from gated.people.held_records import BULK, CHANGED_FACE, SET, RecordState
from gated.people.store import RECOGNISE, Status
from gated.protocol.face_messages import SealedFace
from gated.protocol.jose import Identity
from gated.protocol.record_keys import key_of
from gated.protocol.wire_records import (
    PersonRecord,
    Record,
    Tombstone,
)
from gated.sync.person_changes import Faces, PersonChanges, PersonDraft, recognise_reference
from gated.sync.person_records import dossier_of, is_readable
from gated.sync.quarantine import DUPLICATE, VECTOR, find_duplicates
from gated.sync.record_contents import content_of
from gated.sync.sealed_faces import open_face
from gated.types import SubjectId


class Batch:
    """The records of one delta or one snapshot."""

    def __init__(self, holdings: Holdings, me: Identity, faces: Faces, room: int | None) -> None:
        """Take `room`, the number of new subjects that may join; None for no limit."""
        self._holdings, self._me, self._faces, self._room = holdings, me, faces, room
        self._person_changes = PersonChanges(holdings, faces)
        self._drafts: dict[str, PersonDraft] = {}
        self._others: dict[str, Change] = {}
        self._new: set[str] = set()
        self.is_readable = False
        """Whether a record has a readable card number or PIN: the office is too old."""
        self.returning: list[tuple[str, int]] = []
        """Keys and numbers of removed subjects that an office with an old backup sends again. They stay
        removed, and the office gets a receipt.
        """

    @property
    def joining(self) -> int:
        """Return how many new subjects join. A first face by a new model set counts as a new subject."""
        return len(self._new)

    def add(self, record: Record) -> None:
        """Judge a record if it is newer than the stored one of its key, or if this gate wants the same number again.

        Call it in the order of the numbers.
        """
        held = self._holdings.get(key_of(record))
        if held.is_gone and isinstance(record, PersonRecord):
            self._keep_removed(record, held)
        elif record.n > held.n or (record.n == held.n and held.is_wanted):
            self._judge(record, held)

    def end(self, keys: Iterable[str], n: int) -> None:
        """Turn these keys into tombstones with number `n`."""
        for key in keys:
            self._others[key] = Change(RecordState(key, n, is_gone=True))

    def changes(self) -> list[Change]:
        """Return the changes to store, after the comparison of faces."""
        self._refuse_duplicates()
        persons = (self._person_changes.change(draft) for draft in self._drafts.values())
        return [*self._others.values(), *map(_spent, persons)]

    def _keep_removed(self, record: PersonRecord, held: RecordState) -> None:
        """Keep the tombstone of a person, with the higher number."""
        self._others[held.key] = Change(replace(held, n=max(held.n, record.n)))
        self.returning.append((held.key, record.n))

    def _judge(self, record: Record, held: RecordState) -> None:
        key = held.key
        self._drafts.pop(key, None)
        held = replace(held, n=record.n, is_gone=False, is_wanted=False)
        if not self._keeps_waiting(held, record):
            held = replace(held, quarantine=None, pending=None, pending_face=None, ways="")
        match record:
            case PersonRecord():
                self._judge_person(record, held)
            case Tombstone():
                self._others[key] = Change(RecordState(key, record.n, is_gone=True))
            case _:
                self._others[key] = Change(held, content_of(record))

    def _judge_person(self, record: PersonRecord, held: RecordState) -> None:
        known = self._holdings.person(SubjectId(record.subject))
        if known is None and not self._may_join(held):
            self._others[held.key] = Change(replace(held, quarantine=BULK))
            return
        self._others.pop(held.key, None)
        status: Status = "suspended" if record.n < held.suspended_n else record.status
        self.is_readable |= is_readable(record)
        draft = self._drafts[held.key] = PersonDraft(held, dossier_of(record, status), known)
        if draft.consent is not None and record.face is not None:
            self._judge_face(draft, record.face)

    def _may_join(self, held: RecordState) -> bool:
        """Return whether a new subject may join, and count it. An accepted subject always may, and does not count."""
        if held.accepted == BULK or held.key in self._new:
            return True
        if self._room is not None and len(self._new) >= self._room:
            return False
        self._new.add(held.key)
        return True

    def _judge_face(self, draft: PersonDraft, face: SealedFace) -> None:
        """Open a new face and compare it with the stored one. Quarantine a face that is invalid."""
        if draft.known is not None and face.id == draft.holding.face:
            draft.keeps_face = True
            return
        try:
            faces = self._faces
            vectors = open_face(self._me, face, draft.subject, faces.embedder_sha256, faces.dimension)
            faces.check_parts(face.embedder_sha256, vectors)
        except WireError:
            draft.holding, draft.keeps_face = replace(draft.holding, quarantine=VECTOR), True
            return
        draft.vectors, draft.face, draft.embedder_sha256 = tuple(vectors), face.id, face.embedder_sha256
        self._compare(draft)

    def _keeps_waiting(self, held: RecordState, record: Record) -> bool:
        """Return whether a face from this gate must keep waiting.

        It keeps waiting if the record names the same consent to be recognised.
        """
        if held.pending is None or held.pending_face is not None or not isinstance(record, PersonRecord):
            return False
        known = self._holdings.person(SubjectId(record.subject))
        papers = [consent.reference for consent in record.consents if consent.purpose == RECOGNISE]
        return known is not None and [recognise_reference(known)] == papers

    def _compare(self, draft: PersonDraft) -> None:
        """Mark a face that differs from the stored one, or count a first face by a new model set like a new subject."""
        if draft.known is None or self._is_known_face(draft):
            return
        had = self._holdings.register.sets_of(draft.subject)
        if draft.embedder_sha256[:SET] in had:
            draft.is_changed = draft.keeps_face = True
            draft.holding = replace(draft.holding, quarantine=CHANGED_FACE)
        elif had and not self._may_join(draft.holding):
            draft.holding, draft.vectors, draft.keeps_face = replace(draft.holding, quarantine=BULK), (), True

    def _is_known_face(self, draft: PersonDraft) -> bool:
        """Return whether all vectors are stored already, bit for bit.

        This is so if the same face was sealed again, or has fewer vectors.
        """
        opened = self._holdings.register.face_of(draft.subject)
        stored = {vector.tobytes() for _, embedder, vector in opened if embedder == draft.embedder_sha256}
        return all(vector.tobytes() in stored for vector in draft.vectors)

    def _refuse_duplicates(self) -> None:
        """Quarantine each face that belongs to another subject.

        A subject who loses their face in the same batch does not count.
        """
        own_embedder = self._faces.embedder_sha256
        arriving = [d for d in self._drafts.values() if d.vectors and d.embedder_sha256 == own_embedder]
        if not arriving:
            return
        leaving = {
            change.holding.key.removeprefix(PERSON) for change in self._others.values() if change.holding.is_gone
        }
        leaving |= {draft.subject for draft in self._drafts.values() if self._person_changes.loses_face(draft)}
        stored = [row for row in self._holdings.register.opened(own_embedder).rows if row.subject not in leaving]
        allowed = {draft.subject for draft in arriving if draft.holding.accepted == DUPLICATE}
        faces = [(draft.subject, draft.vectors) for draft in arriving]
        found = find_duplicates(stored, faces, self._faces.threshold, allowed=allowed, composite=self._faces.composite)
        for draft in arriving:
            if draft.subject in found:
                draft.holding, draft.vectors = replace(draft.holding, quarantine=DUPLICATE), ()
                draft.is_changed = False


def _spent(change: Change) -> Change:
    """Return the change without an acceptance that is used up. An acceptance (`BULK`) is for one record only."""
    held = change.holding
    is_spent = held.accepted == BULK and held.quarantine != BULK
    return replace(change, holding=replace(held, accepted=None)) if is_spent else change

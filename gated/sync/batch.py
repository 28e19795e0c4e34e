"""Judge records that arrive together before any of them counts: which are new, and which look like poisoning.

Writes nothing. All slow work (opening seals, comparing faces) happens here, outside the transaction that stores the
batch. Used by `replica`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from gated.embedding import Embedding
from gated.errors import CredentialError, WireError
from gated.gallery.holdings import Holdings
from gated.gallery.person_data import PersonData
from gated.gallery.record_changes import PERSON, Change, Content, GateKeys, NamedCalendar, NamedSchedule, SharedRules
from gated.gallery.sealed_templates import new_face, seal_face
from gated.people.access_rule import plain_role
from gated.people.held_records import BULK, CHANGED_FACE, SET, RecordState
from gated.people.schedule_values import schedule_of
from gated.people.store import RECOGNISE, Person, Status
from gated.protocol.jose import Identity
from gated.protocol.record_keys import key_of
from gated.protocol.vouching import parsed
from gated.protocol.wire_records import (
    GateRecord,
    HouseholdRecord,
    PersonRecord,
    Record,
    RoleRecord,
    ScheduleRecord,
    Tombstone,
)
from gated.sync.person_records import days_of, dossier_of, is_readable, rights_of
from gated.sync.quarantine import DUPLICATE, VECTOR, find_duplicates
from gated.sync.sealed_faces import open_face
from gated.types import SubjectId

MOST_SETS = 64
"""Most embedders that are remembered for one subject."""


@dataclass(frozen=True, slots=True)
class Faces:
    """The requirements for a face that this gate can search.

    `embedder_sha256` names the embedder, `dimension` is the length of a vector, `threshold` the score of a match.
    """

    embedder_sha256: str
    dimension: int
    threshold: float


@dataclass(slots=True)
class _Draft:
    """A person record in judgement. Its face may turn out to belong to another subject."""

    holding: RecordState
    dossier: PersonData
    known: Person | None
    face: str | None = None
    """The office's id of a new face. `embedder_sha256` and `vectors` describe that face."""
    embedder_sha256: str = ""
    vectors: tuple[Embedding, ...] = ()
    keeps_face: bool = False
    is_changed: bool = False
    """The new face differs from the stored one and waits for acceptance."""

    @property
    def subject(self) -> SubjectId:
        return self.dossier.person.subject

    @property
    def consent(self) -> str | None:
        """Reference of the consent to be recognised; None without that consent."""
        return _recognise(self.dossier.person)


class Batch:
    """The records of one delta or one snapshot."""

    def __init__(self, holdings: Holdings, me: Identity, faces: Faces, room: int | None) -> None:
        """Take `room`, the number of new subjects that may join; None for no limit."""
        self._holdings, self._me, self._faces, self._room = holdings, me, faces, room
        self._drafts: dict[str, _Draft] = {}
        self._others: dict[str, Change] = {}
        self._new: set[str] = set()
        self.is_readable = False
        """Whether a record has a readable card number or PIN: the office is too old."""
        self.returning: list[tuple[str, int]] = []
        """Keys and numbers of removed subjects that the office names again, because it runs on an old backup. They stay
        removed, and the office gets a receipt.
        """

    @property
    def joining(self) -> int:
        """Return how many new subjects join. A first face by a new model set counts as a new subject."""
        return len(self._new)

    def add(self, record: Record) -> None:
        """Take a record if it is newer than the stored one of its key, or if this gate wants the same number again.

        Call it in the order of the numbers.
        """
        key = key_of(record)
        held = self._holdings.get(key)
        if held.is_gone and isinstance(record, PersonRecord):
            self._others[key] = Change(replace(held, n=max(held.n, record.n)))
            self.returning.append((key, record.n))
            return
        if record.n < held.n or (record.n == held.n and not held.is_wanted):
            return
        self._drafts.pop(key, None)
        held = replace(held, n=record.n, is_gone=False, is_wanted=False)
        if not self._waits_here(held, record):
            held = replace(held, quarantine=None, pending=None, pending_face=None, ways="")
        if isinstance(record, PersonRecord):
            self._add_person(record, held)
        elif isinstance(record, Tombstone):
            self._others[key] = Change(RecordState(key, record.n, is_gone=True))
        else:
            self._others[key] = Change(held, _content(record))

    def end(self, keys: Iterable[str], n: int) -> None:
        """Turn these keys into tombstones with number `n`."""
        for key in keys:
            self._others[key] = Change(RecordState(key, n, is_gone=True))

    def changes(self) -> list[Change]:
        """Return the changes to store, after the comparison of faces."""
        self._refuse_twins()
        return [*self._others.values(), *(_spent(self._change(draft)) for draft in self._drafts.values())]

    def _add_person(self, record: PersonRecord, held: RecordState) -> None:
        key, known = held.key, self._holdings.person(SubjectId(record.subject))
        if known is None and held.accepted != BULK and key not in self._new:
            if self._room is not None and len(self._new) >= self._room:
                self._others[key] = Change(replace(held, quarantine=BULK))
                return
            self._new.add(key)
        self._others.pop(key, None)
        status: Status = "suspended" if record.n < held.suspended_n else record.status
        self.is_readable |= is_readable(record)
        draft = self._drafts[key] = _Draft(held, dossier_of(record, status), known)
        if draft.consent is None:
            return
        if record.face is not None and (known is None or record.face.id != held.face):
            try:
                draft.vectors = tuple(
                    open_face(self._me, record.face, record.subject, self._faces.embedder_sha256, self._faces.dimension)
                )
                draft.face, draft.embedder_sha256 = record.face.id, record.face.embedder_sha256
                self._compare(draft)
            except WireError:
                draft.holding, draft.keeps_face = replace(held, quarantine=VECTOR), True
        else:
            draft.keeps_face = record.face is not None

    def _waits_here(self, held: RecordState, record: Record) -> bool:
        """Return whether a face that was taken at this gate keeps waiting.

        It keeps waiting if the record names the same consent to be recognised.
        """
        if held.pending is None or held.pending_face is not None or not isinstance(record, PersonRecord):
            return False
        known = self._holdings.person(SubjectId(record.subject))
        papers = [consent.reference for consent in record.consents if consent.purpose == RECOGNISE]
        return known is not None and [_recognise(known)] == papers

    def _compare(self, draft: _Draft) -> None:
        """Mark a face that differs from the stored one, or count a first face by a new model set like a new subject."""
        if draft.known is None or self._is_known_face(draft):
            return
        had = self._holdings.register.sets_of(draft.subject)
        key = draft.holding.key
        if draft.embedder_sha256[:SET] in had:
            draft.is_changed = draft.keeps_face = True
            draft.holding = replace(draft.holding, quarantine=CHANGED_FACE)
        elif had and draft.holding.accepted != BULK and key not in self._new:
            if self._room is not None and len(self._new) >= self._room:
                draft.holding, draft.vectors, draft.keeps_face = replace(draft.holding, quarantine=BULK), (), True
            else:
                self._new.add(key)

    def _is_known_face(self, draft: _Draft) -> bool:
        """Return whether all vectors are stored already, bit for bit.

        That is so if the same face was sealed again, or has fewer vectors.
        """
        opened = self._holdings.register.face_of(draft.subject)
        stored = {vector.tobytes() for _, embedder, vector in opened if embedder == draft.embedder_sha256}
        return all(vector.tobytes() in stored for vector in draft.vectors)

    def _refuse_twins(self) -> None:
        """Quarantine each face that belongs to another subject.

        A subject who loses their face in the same batch does not count.
        """
        ours = self._faces.embedder_sha256
        arriving = [d for d in self._drafts.values() if d.vectors and d.embedder_sha256 == ours]
        if not arriving:
            return
        leaving = {
            change.holding.key.removeprefix(PERSON) for change in self._others.values() if change.holding.is_gone
        }
        leaving |= {draft.subject for draft in self._drafts.values() if self._loses_face(draft)}
        stored = [row for row in self._holdings.register.opened(ours).rows if row.subject not in leaving]
        allowed = {draft.subject for draft in arriving if draft.holding.accepted == DUPLICATE}
        faces = [(draft.subject, draft.vectors) for draft in arriving]
        found = find_duplicates(stored, faces, self._faces.threshold, allowed=allowed)
        for draft in arriving:
            if draft.subject in found:
                draft.holding, draft.vectors = replace(draft.holding, quarantine=DUPLICATE), ()
                draft.is_changed = False

    def _loses_face(self, draft: _Draft) -> bool:
        """Return whether the stored face goes: an office's face for a new one, any face without consent."""
        return draft.consent is None or (not draft.keeps_face and self._is_of_the_office(draft))

    def _is_of_the_office(self, draft: _Draft) -> bool:
        """Return whether the stored face came from the office and was not made at this gate."""
        is_here = draft.known is not None and draft.holding.stored_face is not None
        return is_here and self._holdings.face(draft.subject) == draft.holding.stored_face

    def _change(self, draft: _Draft) -> Change:
        """Return the change for one subject: the dossier, and the face that belongs to it."""
        if draft.consent is not None and draft.vectors:
            return self._waiting(draft, draft.consent) if draft.is_changed else self._with_face(draft, draft.consent)
        if self._loses_face(draft):
            dossier = replace(draft.dossier, face=new_face())  # an id without templates
            lost = replace(draft.holding, face=None, stored_face=None, sets=self._sets_of(draft))
            return Change(lost, dossier)
        return self._with_consent(draft)

    def _waiting(self, draft: _Draft, consent: str) -> Change:
        """Return the change for a subject whose new face waits.

        The known face stays, and the new one is sealed beside it.
        """
        vectors = [(draft.embedder_sha256, vector) for vector in draft.vectors]
        face = seal_face(self._holdings.register.vault, draft.subject, new_face(), consent, vectors)
        stays = self._with_consent(draft)
        ways = self._holdings.credential_marks_of(draft.subject)
        holding = replace(
            stays.holding, pending=face.face, pending_face=draft.face, sets=self._sets_of(draft), ways=ways
        )
        return replace(stays, holding=holding, waiting=face)

    def _sets_of(self, draft: _Draft) -> str:
        """Return the embedders of all faces that the subject has had here, separated by spaces.

        Keeps at most `MOST_SETS`, and always this gate's embedder.
        """
        stored = self._holdings.register.sets_of(draft.subject) if draft.known is not None else set()
        had = {*draft.holding.sets.split(), *stored, *filter(None, [draft.embedder_sha256[:SET]])}
        ours = had & {self._faces.embedder_sha256[:SET]}
        return " ".join(sorted(ours | set(sorted(had)[:MOST_SETS])))

    def _with_face(self, draft: _Draft, consent: str) -> Change:
        vectors = [(draft.embedder_sha256, vector) for vector in draft.vectors]
        face = seal_face(self._holdings.register.vault, draft.subject, new_face(), consent, vectors)
        holding = replace(draft.holding, face=draft.face, stored_face=face.face, sets=self._sets_of(draft))
        holding = replace(holding, accepted=None)  # the acceptance was for this face only
        if holding.quarantine == BULK:  # a face taken here still waits and would replace this one
            holding = replace(holding, quarantine=CHANGED_FACE)
        return Change(holding, replace(draft.dossier, face=face.face), face)

    def _with_consent(self, draft: _Draft) -> Change:
        """Return the change that keeps the stored face, sealed again if the reference of the consent changed."""
        before = None if draft.known is None else _recognise(draft.known)
        if draft.consent is None or before is None or before == draft.consent:
            return Change(draft.holding, draft.dossier)
        register = self._holdings.register
        vectors = [(embedder, vector) for _, embedder, vector in register.face_of(draft.subject)]
        if not vectors:
            return Change(draft.holding, draft.dossier)
        face = seal_face(register.vault, draft.subject, new_face(), draft.consent, vectors)
        stored = face.face if self._is_of_the_office(draft) else draft.holding.stored_face
        return Change(replace(draft.holding, stored_face=stored), replace(draft.dossier, face=face.face), face)


def _content(record: HouseholdRecord | RoleRecord | ScheduleRecord | GateRecord) -> Content:
    """Return the content to store for a record that names no person; None for a role with an invalid name.

    Households, roles and schedules keep the spelling of their key. The office removes them by that spelling.
    """
    match record:
        case HouseholdRecord():
            return SharedRules("household", record.household, rights_of(record.rights))
        case RoleRecord():
            try:
                plain_role(record.role)
            except CredentialError:
                return None
            return SharedRules("role", record.role, rights_of(record.rights))
        case ScheduleRecord() if record.holidays or record.workdays:
            return NamedCalendar(record.name, days_of(record.holidays), days_of(record.workdays))
        case ScheduleRecord():
            return NamedSchedule(record.name, schedule_of(record.days, record.start, record.end))
        case GateRecord():
            party = parsed(record.keys)
            return GateKeys(record.gate, record.keys if party is None else party.dump().decode(), tuple(record.vouched))


def _spent(change: Change) -> Change:
    """Return the change without an acceptance that is used up. An acceptance (`BULK`) is for one record only."""
    held = change.holding
    is_spent = held.accepted == BULK and held.quarantine != BULK
    return replace(change, holding=replace(held, accepted=None)) if is_spent else change


def _recognise(person: Person) -> str | None:
    return next((consent.reference for consent in person.consents if consent.purpose == RECOGNISE), None)

"""Turn a judged person record into the change to store: the person, and the face of that person. Used by `batch`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gated.composite import Composite
from gated.embedding import Embedding
from gated.errors import WireError
from gated.gallery.holdings import Holdings
from gated.gallery.person_data import PersonData
from gated.gallery.record_changes import Change
from gated.gallery.sealed_templates import new_face, seal_face
from gated.people.held_records import BULK, CHANGED_FACE, SET, RecordState
from gated.people.store import RECOGNISE, Person
from gated.types import SubjectId

MOST_SETS = 64
"""Most embedders that are remembered for one subject."""


@dataclass(frozen=True, slots=True)
class Faces:
    """The requirements for a face that this gate can search.

    `embedder_sha256` names the embedder, `dimension` is the length of a vector, `threshold` the score of a
    match, `composite` the parts of a vector with their centring.
    """

    embedder_sha256: str
    dimension: int
    threshold: float
    composite: Composite | None = None

    def check_parts(self, embedder_sha256: str, vectors: Sequence[Embedding]) -> None:
        """Raise `WireError` if a vector of our embedder has a part that no embedder made. It could not be searched."""
        if self.composite is None or embedder_sha256 != self.embedder_sha256:
            return
        if not all(self.composite.fitting(vector[None]).all() for vector in vectors):
            raise WireError("a face with a damaged part")


@dataclass(slots=True)
class PersonDraft:
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
        """Return the subject of the record."""
        return self.dossier.person.subject

    @property
    def consent(self) -> str | None:
        """Reference of the consent to be recognised; None without that consent."""
        return recognise_reference(self.dossier.person)


class PersonChanges:
    """Makes the changes of one batch. Seals faces; writes nothing."""

    def __init__(self, holdings: Holdings, faces: Faces) -> None:
        self._holdings, self._faces = holdings, faces

    def loses_face(self, draft: PersonDraft) -> bool:
        """Return whether the stored face goes: an office's face for a new one, any face without consent."""
        return draft.consent is None or (not draft.keeps_face and self._is_of_the_office(draft))

    def _is_of_the_office(self, draft: PersonDraft) -> bool:
        """Return whether the stored face came from the office and was not made at this gate."""
        is_stored = draft.known is not None and draft.holding.stored_face is not None
        return is_stored and self._holdings.face(draft.subject) == draft.holding.stored_face

    def change(self, draft: PersonDraft) -> Change:
        """Return the change for one subject: the dossier, and the face that belongs to it."""
        if draft.consent is not None and draft.vectors:
            with_face = self._with_waiting_face if draft.is_changed else self._with_face
            return with_face(draft, draft.consent)
        if self.loses_face(draft):
            dossier = replace(draft.dossier, face=new_face())  # an id without templates
            lost = replace(draft.holding, face=None, stored_face=None, sets=self._sets_of(draft))
            return Change(lost, dossier)
        return self._with_consent(draft)

    def _with_waiting_face(self, draft: PersonDraft, consent: str) -> Change:
        """Return the change for a subject whose new face waits.

        The known face stays, and the new face is sealed beside it.
        """
        vectors = [(draft.embedder_sha256, vector) for vector in draft.vectors]
        face = seal_face(self._holdings.register.vault, draft.subject, new_face(), consent, vectors)
        stays = self._with_consent(draft)
        marks = self._holdings.credential_marks_of(draft.subject)
        holding = replace(
            stays.holding, pending=face.face, pending_face=draft.face, sets=self._sets_of(draft), ways=marks
        )
        return replace(stays, holding=holding, waiting=face)

    def _sets_of(self, draft: PersonDraft) -> str:
        """Return the embedders of all faces that the subject has had here, separated by spaces.

        Keeps at most `MOST_SETS`, and always this gate's embedder.
        """
        stored = self._holdings.register.sets_of(draft.subject) if draft.known is not None else set()
        had = {*draft.holding.sets.split(), *stored, *filter(None, [draft.embedder_sha256[:SET]])}
        own_sets = had & {self._faces.embedder_sha256[:SET]}
        return " ".join(sorted(own_sets | set(sorted(had)[:MOST_SETS])))

    def _with_face(self, draft: PersonDraft, consent: str) -> Change:
        vectors = [(draft.embedder_sha256, vector) for vector in draft.vectors]
        face = seal_face(self._holdings.register.vault, draft.subject, new_face(), consent, vectors)
        holding = replace(draft.holding, face=draft.face, stored_face=face.face, sets=self._sets_of(draft))
        holding = replace(holding, accepted=None)  # the acceptance was for this face only
        if holding.quarantine == BULK:  # a face taken here still waits and would replace this one
            holding = replace(holding, quarantine=CHANGED_FACE)
        return Change(holding, replace(draft.dossier, face=face.face), face)

    def _with_consent(self, draft: PersonDraft) -> Change:
        """Return the change that keeps the stored face, sealed again if the reference of the consent changed."""
        before = None if draft.known is None else recognise_reference(draft.known)
        if draft.consent is None or before is None or before == draft.consent:
            return Change(draft.holding, draft.dossier)
        register = self._holdings.register
        vectors = [(embedder, vector) for _, embedder, vector in register.face_of(draft.subject)]
        if not vectors:
            return Change(draft.holding, draft.dossier)
        face = seal_face(register.vault, draft.subject, new_face(), draft.consent, vectors)
        stored = face.face if self._is_of_the_office(draft) else draft.holding.stored_face
        return Change(replace(draft.holding, stored_face=stored), replace(draft.dossier, face=face.face), face)


def recognise_reference(person: Person) -> str | None:
    """Return the reference of the consent to be recognised; None without that consent."""
    return next((consent.reference for consent in person.consents if consent.purpose == RECOGNISE), None)

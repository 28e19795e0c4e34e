"""Somebody joins the gallery: with consent, as one person, and as nobody who is in it already."""

import secrets
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from gated.embedding import Embedding, check_embedding
from gated.errors import EmbeddingError, EnrolmentError
from gated.gallery.gallery import Gallery
from gated.gallery.people import RECOGNISE, Consent, Person
from gated.types import SubjectId

LONGEST_TEXT = 200
UNPRINTABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's controls, formats (they turn text around), surrogates and line breaks; rare hanzi are none of them."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Done: this is the person's id, and so many templates were made."""

    subject: SubjectId
    templates: int
    waits: str = ""
    """Why they do not count yet. "changed": of another face here, which counts until somebody at the gate accepts this
    one. "bulk": of as many first faces by a new model set as an hour may bring.
    """
    is_consent_held: bool = False
    """Only the office says that they agreed to more than recognition."""
    consents: tuple[str, ...] = ()
    """What they agreed to here beside being recognised."""


def enrol(
    gallery: Gallery,
    name: str,
    household: str,
    embeddings: Sequence[Embedding],
    *,
    consent: str,
    notice: str,
    threshold: float,
    at: datetime,
    purposes: Sequence[str] = (),
) -> Enrolled:
    """Store a new person with one template for each embedding; on disk when it returns, or not at all.

    `consent`: reference of the signed paper or record; `notice`: version of the notice that was read; `threshold`: the
    score from which two faces are one person's; `at`: aware; `purposes`: what they agreed to beside being recognised.
    Raises `EnrolmentError` when a text is missing, a picture
    shows another person than the others, or the face is enrolled already (the message names that id, never the name);
    `BusyError` and `StateError` when nothing could be stored.
    """
    paper, version = plain_text("consent", consent), plain_text("notice", notice)
    consented = tuple(Consent(purpose, paper, version, at) for purpose in (RECOGNISE, *purposes))
    subject = SubjectId(secrets.token_hex(8))
    person = Person(subject, plain_text("name", name), plain_text("household", household), "active", at, consented)
    vectors = _one_face(embeddings, gallery.dimension, threshold)
    with gallery.enrolling():
        _refuse_duplicate(gallery, vectors, threshold)
        gallery.add(person, vectors)
    return Enrolled(person.subject, len(vectors), consents=tuple(purposes))


def enrol_known(
    gallery: Gallery,
    subject: SubjectId,
    embeddings: Sequence[Embedding],
    *,
    threshold: float,
    at: datetime,
    before: Callable[[], None] = lambda: None,
    is_counted: bool = False,
    given: Callable[[], Sequence[Consent]] = tuple,
) -> Enrolled:
    """Store one template for each embedding of somebody who is known here and agreed to it, as the office ordered.

    Where they have another face, this one waits. `is_counted`: a first one by a new model set is counted as somebody
    new; else it waits as well. `given`: asked last what they agree to here; it counts at once, unless the face waits.

    `before` is called last, when nothing has to be waited for any more; what it raises leaves everything as it was. On
    disk when it returns, or not at all. Raises as `enrol` does, and `SubjectNotFoundError`.
    """
    vectors = _one_face(embeddings, gallery.dimension, threshold)
    with gallery.enrolling():
        person = gallery.person(subject)
        recognition_consent(person)
        _refuse_duplicate(gallery, vectors, threshold, but=subject)
        before()
        more = given()
        waits = gallery.take(person, vectors, at, is_counted=is_counted)
        more = () if waits else more
        gallery.give(subject, more)
    gallery.tidy()
    is_consent_held = not waits and gallery.is_consent_disputed(subject)
    return Enrolled(subject, len(vectors), waits, is_consent_held, tuple(consent.purpose for consent in more))


def recognition_consent(person: Person) -> Consent:
    """What somebody agreed to before their face may be kept. Raises `EnrolmentError` where they did not."""
    for consent in person.consents:
        if consent.purpose == RECOGNISE:
            return consent
    raise EnrolmentError(f"{person.subject}: has not agreed to be recognised; ask for that consent first")


def plain_text(field: str, value: str) -> str:
    """The text without blanks around it; its content stays out of the error. Raises `EnrolmentError`."""
    text = value.strip()
    if not text:
        raise EnrolmentError(f"{field}: is empty; nobody is enrolled without it")
    if len(text) > LONGEST_TEXT:
        raise EnrolmentError(f"{field}: has {len(text)} characters; write at most {LONGEST_TEXT}")
    if any(unicodedata.category(character) in UNPRINTABLE for character in text):
        raise EnrolmentError(f"{field}: has control characters or line breaks in it; write plain text")
    return text


def _one_face(embeddings: Sequence[Embedding], dimension: int, threshold: float) -> list[Embedding]:
    """The embeddings, checked, all of one person."""
    vectors = _vectors(embeddings, dimension)
    _refuse_strangers(vectors, threshold)
    return vectors


def _vectors(embeddings: Sequence[Embedding], dimension: int) -> list[Embedding]:
    if not embeddings:
        raise EnrolmentError("no picture gave a face to enrol; take one with the face large, sharp and evenly lit")
    checked = []
    for number, embedding in enumerate(embeddings, 1):
        try:
            checked.append(check_embedding(embedding, dimension))
        except EmbeddingError as error:
            raise EnrolmentError(f"picture {number}: {error}") from error
    return checked


def _refuse_strangers(vectors: Sequence[Embedding], threshold: float) -> None:
    """Every picture must show the person of the most typical one, the one nearest to all."""
    stacked = np.stack(vectors)
    scores = stacked @ stacked.T
    typical = int(scores.sum(axis=1).argmax())
    others = [number for number, score in enumerate(scores[typical], 1) if not score >= threshold]
    if others:
        which = ", ".join(map(str, others))
        advice = "leave it out, or take it anew"
        raise EnrolmentError(f"picture {which}: does not show the same person as picture {typical + 1}; {advice}")


def _refuse_duplicate(
    gallery: Gallery, vectors: Sequence[Embedding], threshold: float, but: SubjectId | None = None
) -> None:
    """Nobody who is found already, `but` the one whose face is taken anew."""
    for number, vector in enumerate(vectors, 1):
        for candidate in gallery.search(vector, limit=2):
            if candidate.subject != but and not candidate.score < threshold:
                advice = "a twin needs another way in, an old enrolment must be removed first"
                raise EnrolmentError(
                    f"picture {number}: this face is enrolled as {candidate.subject} already; {advice}"
                )

"""Enrolment: checks the consent, that all pictures show one person, and that the face is not enrolled already."""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime

import numpy as np
from msgspec import Struct

from gated.embedding import Embedding, check_embedding
from gated.errors import EmbeddingError, EnrolmentError
from gated.gallery.gallery import Gallery
from gated.people.plain_text import plain_text
from gated.people.store import RECOGNISE, Consent, Person
from gated.types import SubjectId


class Enrolled(Struct, frozen=True):
    """Result of an enrolment: the person's id and the number of templates."""

    subject: SubjectId
    templates: int
    waits: str = ""
    """Why the templates wait and do not count yet; empty if they count. "changed": the person has another face here.
    That face counts until somebody at the gate accepts the new one. "bulk": the hourly limit of first faces by a new
    model set is reached.
    """
    is_consent_held: bool = False
    """Whether only the office reports the person's consents beyond recognition. These consents stay on hold."""
    consents: tuple[str, ...] = ()
    """Purposes that the person agreed to here, beside recognition."""


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
    pictures: Sequence[str] = (),
) -> Enrolled:
    """Store a new person with one template for each embedding. The data is on disk at return; on an error nothing is
    stored.

    `consent`: reference of the signed paper or record. `notice`: version of the notice that the person read.
    `threshold`: minimum score for two pictures of one person. `at`: time, aware. `purposes`: consents beside
    recognition. `pictures`: name of each picture, for messages; empty: they are numbered from 1.

    Raises `EnrolmentError` if a text is missing, a picture shows another person than the others, or the face is already
    enrolled. The message names the enrolled id, never the name. Raises `BusyError` and `StateError` if nothing could be
    stored.
    """
    paper, version = plain_text("consent", consent), plain_text("notice", notice)
    consented = tuple(Consent(purpose, paper, version, at) for purpose in (RECOGNISE, *purposes))
    subject = SubjectId(secrets.token_hex(8))
    person = Person(subject, plain_text("name", name), plain_text("household", household), "active", at, consented)
    named = pictures or _numbered(embeddings)
    vectors = _one_face(embeddings, named, gallery, threshold)
    with gallery.enrolling():
        _refuse_duplicate(gallery, vectors, named, threshold)
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
    pictures: Sequence[str] = (),
) -> Enrolled:
    """Store templates of a known person who has agreed to it: one template for each embedding.

    If the person already has a face, the new face waits. `is_counted`: count a first face by a new model set as a new
    person; otherwise that face waits too. `given`: called last; returns further consents that the person gives here.
    These count at once, unless the face waits. `pictures`: as in `enrol`.

    `before` is called when all other checks have passed. An error from it leaves everything unchanged. The data is on
    disk at return; on an error nothing is stored. Raises the errors of `enrol`, and `SubjectNotFoundError`.
    """
    named = pictures or _numbered(embeddings)
    vectors = _one_face(embeddings, named, gallery, threshold)
    with gallery.enrolling():
        person = gallery.person(subject)
        recognition_consent(person)
        _refuse_duplicate(gallery, vectors, named, threshold, but=subject)
        before()
        more = given()
        waits = gallery.store_capture(person, vectors, at, is_counted=is_counted)
        more = () if waits else more
        gallery.give(subject, more)
    gallery.tidy()
    is_consent_held = not waits and gallery.is_consent_disputed(subject)
    return Enrolled(subject, len(vectors), waits, is_consent_held, tuple(consent.purpose for consent in more))


def recognition_consent(person: Person) -> Consent:
    """Return the person's consent to recognition, which the gate needs to store a face. Raises `EnrolmentError` without
    one.
    """
    for consent in person.consents:
        if consent.purpose == RECOGNISE:
            return consent
    raise EnrolmentError(f"{person.subject}: has not agreed to be recognised; ask for that consent first")


def _numbered(pictures: Sequence[Embedding]) -> list[str]:
    return [f"picture {number}" for number in range(1, len(pictures) + 1)]


def _one_face(
    embeddings: Sequence[Embedding], named: Sequence[str], gallery: Gallery, threshold: float
) -> list[Embedding]:
    """Return the checked embeddings. Raises `EnrolmentError` unless all show one person, as the search compares."""
    checked = _each(embeddings, named, lambda embedding: check_embedding(embedding, gallery.dimension))
    _refuse_strangers(_each(checked, named, gallery.centring.of), named, threshold)
    return checked


def _each(
    embeddings: Sequence[Embedding], named: Sequence[str], change: Callable[[Embedding], Embedding]
) -> list[Embedding]:
    """Return every embedding, changed. Raises `EnrolmentError` that names the picture if one is no valid embedding."""
    if not embeddings:
        raise EnrolmentError("no picture gave a face to enrol; take one with the face large, sharp and evenly lit")
    changed = []
    for name, embedding in zip(named, embeddings, strict=True):
        try:
            changed.append(change(embedding))
        except EmbeddingError as error:
            raise EnrolmentError(f"{name}: {error}") from error
    return changed


def _refuse_strangers(vectors: Sequence[Embedding], named: Sequence[str], threshold: float) -> None:
    """Raise `EnrolmentError` unless every picture shows the same person as the most typical picture.

    `vectors`: one centred embedding for each picture. The most typical picture has the highest sum of scores with all
    pictures.
    """
    stacked = np.stack(vectors)
    scores = stacked @ stacked.T
    typical = int(scores.sum(axis=1).argmax())
    others = [name for name, score in zip(named, scores[typical], strict=True) if not score >= threshold]
    if others:
        advice = "leave it out, or take it anew"
        raise EnrolmentError(f"{', '.join(others)}: does not show the same person as {named[typical]}; {advice}")


def _refuse_duplicate(
    gallery: Gallery, vectors: Sequence[Embedding], named: Sequence[str], threshold: float, but: SubjectId | None = None
) -> None:
    """Raise `EnrolmentError` if a picture matches an enrolled person. `but`: the person whose face
    is captured again.
    """
    for name, vector in zip(named, vectors, strict=True):
        for candidate in gallery.search(vector, limit=2):
            if candidate.subject != but and not candidate.score < threshold:
                advice = "a twin needs another way in, an old enrolment must be removed first"
                raise EnrolmentError(f"{name}: this face is enrolled as {candidate.subject} already; {advice}")

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from gated.embedding import Embedding
from gated.gallery.enrolment import Enrolled, enrol
from gated.gallery.gallery import Gallery
from gated.gallery.register import Register
from gated.people.credential_store import Credentials
from gated.people.store import Person
from gated.types import SubjectId

DIMENSION = 32
EMBEDDER = "ab" * 32
AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)

Face = Callable[..., Embedding]
Open = Callable[..., Gallery]
Join = Callable[..., Enrolled]
Live = Callable[..., SubjectId]


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def face() -> Face:
    """Return a function that makes a unit vector for a person number. Pictures of one person lie near each other."""

    def make(person: int, picture: int = 0) -> Embedding:
        vector = np.random.default_rng(person).standard_normal(DIMENSION)
        if picture:
            vector += 0.15 * np.random.default_rng((person, picture)).standard_normal(DIMENSION)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    return make


@pytest.fixture
def opened(state: Path) -> Iterator[Open]:
    """Return a function that opens galleries on the state folder. They close at the end of the test."""
    made: list[Gallery] = []

    def make(site: str = "site", embedder: str = EMBEDDER) -> Gallery:
        made.append(Gallery.open(state, site, embedder, DIMENSION))
        return made[-1]

    yield make
    for gallery in made:
        gallery.close()


@pytest.fixture
def gallery(opened: Open) -> Gallery:
    return opened()


@pytest.fixture
def join(face: Face) -> Join:
    """Return a function that enrols the person with a number."""

    def make(gallery: Gallery, person: int, pictures: int = 1, household: str | None = None) -> Enrolled:
        return enrol(
            gallery,
            f"Resident Number {person}",
            household or f"Block 4 Flat {person}",
            [face(person, picture) for picture in range(pictures)],
            consent=f"paper-2026-{person:05}",
            notice="notice-3",
            threshold=0.7,
            at=AT,
        )

    return make


@pytest.fixture
def register(state: Path) -> Iterator[Register]:
    register = Register.open(state, "site")
    yield register
    register.close()


@pytest.fixture
def live(register: Register) -> Live:
    """Return a function that adds a resident without a face."""

    def make(letter: str, household: str = "2-401") -> SubjectId:
        subject = SubjectId(letter * 16)
        register.admit(Person(subject, f"Neighbour {letter}", household, "active", AT, ()))
        return subject

    return make


@pytest.fixture
def store(state: Path, register: Register) -> Iterator[Credentials]:
    store = Credentials.open(state, "site")
    yield store
    store.close()

"""Any sequence of joining, suspending, resuming, leaving and restarting, compared with a plain dictionary."""

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from gated.embedding import Embedding
from gated.errors import EnrolmentError, SubjectNotFoundError
from gated.gallery.enrolment import enrol
from gated.gallery.gallery import Gallery
from gated.gallery.register import Register
from gated.types import SubjectId
from tests.gallery.changes import resume, suspend

DIMENSION = 16
FACES = np.eye(DIMENSION, dtype=np.float32)
"""One orthogonal unit vector a person, so that no two people look alike."""


class GalleryMachine(RuleBasedStateMachine):
    subjects = Bundle("subjects")

    def __init__(self) -> None:
        super().__init__()
        self.state = Path(tempfile.mkdtemp())
        self.gallery = self.open()
        self.brain = self.open()  # another process that follows the changes
        self.model: dict[SubjectId, tuple[int, str, int]] = {}
        """The expected face, status and number of templates of each subject."""

    def open(self) -> Gallery:
        return Gallery.open(self.state, "site", "ab" * 32, DIMENSION)

    def teardown(self) -> None:
        self.gallery.close()
        self.brain.close()
        shutil.rmtree(self.state)

    def is_enrolled(self, face: int) -> bool:
        return any(face == known for known, _, _ in self.model.values())

    @rule(target=subjects, face=st.integers(0, DIMENSION - 1), pictures=st.integers(1, 3), flat=st.integers(0, 3))
    def join(self, face: int, pictures: int, flat: int) -> SubjectId:
        pictured: list[Embedding] = [FACES[face]] * pictures
        arguments = {"consent": "paper", "notice": "n", "threshold": 0.6, "at": datetime(2026, 3, 1, tzinfo=UTC)}
        if self.is_enrolled(face):
            with pytest.raises(EnrolmentError):
                enrol(self.gallery, "A", f"{flat}", pictured, **arguments)
            return SubjectId("nobody")
        enrolled = enrol(self.gallery, "A", f"{flat}", pictured, **arguments)
        self.model[enrolled.subject] = (face, "active", pictures)
        return enrolled.subject

    @rule(subject=subjects, status=st.sampled_from(["suspended", "active"]))
    def set_status(self, subject: SubjectId, status: str) -> None:
        change = suspend if status == "suspended" else resume
        if subject not in self.model:
            with pytest.raises(SubjectNotFoundError):
                change(self.gallery, subject)
            return
        change(self.gallery, subject)
        face, _, pictures = self.model[subject]
        self.model[subject] = (face, status, pictures)

    @rule(subject=consumes(subjects), by_command=st.booleans())
    def leave(self, subject: SubjectId, by_command: bool) -> None:
        remover = Register.open(self.state, "site") if by_command else self.gallery._register
        if subject in self.model:
            assert remover.remove(subject) == self.model.pop(subject)[2]
        with pytest.raises(SubjectNotFoundError):
            remover.remove(subject)
        self.gallery.reload_if_changed()
        if by_command:
            remover.close()

    @rule()
    def restart(self) -> None:
        self.gallery.close()
        self.gallery = self.open()

    @invariant()
    def both_find_exactly_who_is_enrolled(self) -> None:
        self.brain.reload_if_changed()
        for gallery in (self.gallery, self.brain):
            found = {c.subject: c.status for c in gallery.search(FACES[0], limit=100)}
            assert found == {subject: status for subject, (_, status, _) in self.model.items()}
            assert gallery.size == len(self.model)
            assert gallery.template_count == sum(pictures for _, _, pictures in self.model.values())

    @invariant()
    def everybody_is_found_by_their_face_and_nobody_by_another(self) -> None:
        for subject, (face, status, _) in self.model.items():
            first = self.brain.search(FACES[face])[0]
            assert (first.subject, first.status, first.score) == (subject, status, 1.0)
        for face in {*range(DIMENSION)} - {known for known, _, _ in self.model.values()}:
            assert all(candidate.score < 0.6 for candidate in self.brain.search(FACES[face]))


GalleryMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
test_any_sequence_of_changes = GalleryMachine.TestCase

"""The events of a decision about a face have its evidence, rounded, and nothing else of the person."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.access.face_events import denied, granted
from gated.access.face_policy import FaceDecision, FaceReason
from gated.access.second_credential import FirstCredential
from gated.access.visits import VisitOutcome
from gated.events import MAIN
from gated.types import CredentialKind, SubjectId

ANN = SubjectId("a" * 16)
GRANT = FaceDecision(True, FaceReason.MATCH, 3, ANN, 0.812345, 0.912345)

scores = st.none() | st.floats(-1, 1)


def granted_now(first=None):
    """Return the event of a grant 0.25 s after its last frame."""
    return granted(
        VisitOutcome("v1", GRANT, 10.0), ANN, 0.812345, 0.912345,
        threshold=0.654321, gallery_size=7, embedder_sha256="e" * 64, decided_at=10.25, first=first,
    )  # fmt: skip


def test_a_grant_has_rounded_evidence_and_its_latency():
    event = granted_now()
    assert (event.score, event.pad_score, event.threshold) == (0.8123, 0.9123, 0.6543)
    assert (event.visit, event.subject, event.frames, event.gallery_size) == ("v1", ANN, 3, 7)
    assert (event.latency_s, event.also) == (0.25, None)


@pytest.mark.parametrize("kind", [CredentialKind.CARD, CredentialKind.PIN])
def test_a_grant_after_another_credential_names_its_kind(kind):
    assert granted_now(FirstCredential(ANN, kind, MAIN, 20.0)).also == kind.value


@given(scores, scores, st.floats(0, 1), st.floats(0, 10))
def test_a_denial_keeps_what_is_unknown_and_rounds_the_rest(score, pad_score, threshold, late_s):
    decision = FaceDecision(False, FaceReason.UNDECIDED, 2, None, score, pad_score)
    event = denied(
        VisitOutcome("v1", decision, 0.0), decision.reason, threshold=threshold, gallery_size=1, decided_at=late_s
    )
    assert (event.score is None) == (score is None)
    assert (event.pad_score is None) == (pad_score is None)
    for rounded, exact in ((event.score, score), (event.pad_score, pad_score), (event.threshold, threshold)):
        assert exact is None or abs(rounded - exact) <= 0.00006
    assert event.latency_s == round(late_s, 4)
    assert event.subject is None


def test_a_denial_by_an_access_rule_names_the_rule_and_the_person():
    event = denied(VisitOutcome("v1", GRANT, 10.0), "lockdown", threshold=0.6, gallery_size=1, decided_at=10.1)
    assert (event.reason, event.subject, event.frames) == ("lockdown", ANN, 3)

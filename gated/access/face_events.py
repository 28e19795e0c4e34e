"""Make the events of a decision about a face. Pure. Used by `face_service`.

The events have scores, thresholds and times as evidence, rounded to four digits. They have no embedding and no picture.
"""

from gated.access.second_credential import FirstCredential
from gated.access.visits import VisitOutcome
from gated.events import AccessDenied, AccessGranted
from gated.types import SubjectId


def granted(
    outcome: VisitOutcome,
    subject: SubjectId,
    score: float,
    pad_score: float,
    *,
    threshold: float,
    gallery_size: int,
    embedder_sha256: str,
    decided_at: float,
    first: FirstCredential | None,
) -> AccessGranted:
    """Return the event of a granted visit. `threshold`: the one that counts for this person. `decided_at`: monotonic,
    in seconds. `first`: the credential of another kind that the person showed before.
    """
    return AccessGranted(
        visit=outcome.visit,
        subject=subject,
        score=round(score, 4),
        threshold=round(threshold, 4),
        gallery_size=gallery_size,
        pad_score=round(pad_score, 4),
        frames=outcome.decision.frames,
        embedder_sha256=embedder_sha256,
        latency_s=round(decided_at - outcome.frame_at, 4),
        also=None if first is None else first.kind.value,
    )


def denied(
    outcome: VisitOutcome, reason: str, *, threshold: float, gallery_size: int, decided_at: float
) -> AccessDenied:
    """Return the event of a denied visit. `threshold`: the one for everybody. `decided_at`: monotonic, in seconds."""
    decision = outcome.decision
    return AccessDenied(
        visit=outcome.visit,
        reason=reason,
        threshold=round(threshold, 4),
        gallery_size=gallery_size,
        frames=decision.frames,
        latency_s=round(decided_at - outcome.frame_at, 4),
        subject=decision.subject,
        score=None if decision.score is None else round(decision.score, 4),
        pad_score=None if decision.pad_score is None else round(decision.pad_score, 4),
    )

"""The messages between vision and the brain, their only connection.

Vision never sends or receives a name, and sends no picture. The embedding is raw bytes and is checked on arrival.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gated.config import CameraSettings, FaceSettings, ModelSettings
from gated.face.manifest import ModelSet
from gated.runtime.confinement import Lack
from gated.threshold_table import ThresholdTable

PASS_PREFIX = "G1."  # noqa: S105 - a mark, not a secret
"""Start of the text of a visitor pass. No other code leaves the vision process."""
MAX_PASS = 300
"""Most characters of a pass. A longer text is dropped."""


MAX_WORDS = 2000
"""Most characters of a text for people."""
MAX_EMBEDDING_BYTES = 8192
"""Four times the largest embedding in use: 512 numbers of four bytes."""
MOST_LACKS = 8
"""Most entries of `VisionConfined.lacks`."""


class VisionSettings(msgspec.Struct, frozen=True, tag="vision_settings"):
    """The first message, brain to vision: all that vision may know."""

    camera: CameraSettings
    models: ModelSettings
    face: FaceSettings
    passes: bool = False
    """Whether to scan for visitor passes."""


class Quality(msgspec.Struct, frozen=True):
    """Measures of one face. None of them may test for open eyes: it would exclude blind people."""

    eye_px: float
    """Distance between the eye landmarks, in px of the main picture."""
    sharpness: float
    """Variance of the Laplacian of the aligned crop's brightness, grey levels squared."""
    luminance: float
    """Mean brightness of the aligned crop, 0 to 255."""
    side_ratio: float
    """Brightness of the left half over the right half."""
    saturated: float
    """Share of the crop's pixels at 250 or above."""
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    colour: float | None = None
    """How far the picture's colours are from one tint (`face.colour`). None: not measured, or too dark."""


Problem = Literal[
    "too_small",
    "too_near",
    "background",
    "blurred",
    "too_dark",
    "too_bright",
    "uneven_light",
    "no_colour",
    "turned_away",
]
"""Why a face is not searched for. A closed list, because problems are counted by name."""


class Observation(msgspec.Struct, frozen=True, tag="observation"):
    """One face in one frame.

    `problem`: why there is no embedding. `embedding`: little-endian float32, unit length; None if `problem` is set.
    """

    track: int
    frame: int
    frame_at: float
    box: tuple[float, float, float, float]
    """x, y, width, height in px of the main picture."""
    detection_score: float
    quality: Quality | None = None
    problem: Problem | None = None
    pad_score: float | None = None
    embedding: Annotated[bytes, Meta(max_length=MAX_EMBEDDING_BYTES)] | None = None
    plane_log_odds: float | None = None
    """Evidence of the track so far, from its motion: above 0 for a head, below 0 for a flat picture. It replaces the
    value of earlier frames. None: no motion was measured.
    """
    is_covered: bool = False
    """Whether the lower half of the face seems covered. Only enrolment uses it. False if it was not checked."""


class TrackEnded(msgspec.Struct, frozen=True, tag="track_ended"):
    """A face left the view, or was unseen for longer than the tracker's patience."""

    track: int
    at: float


class CodeSeen(msgspec.Struct, frozen=True, tag="code_seen"):
    """The text of a possible visitor pass. Only the brain can check it. Never logged."""

    text: Annotated[str, Meta(max_length=MAX_PASS)]
    frame_at: float


class VisionConfined(msgspec.Struct, frozen=True, tag="vision_confined"):
    """Vision's first message, before it reads any picture. `lacks`: the confinement that is missing; empty is best."""

    lacks: Annotated[tuple[Lack, ...], Meta(max_length=MOST_LACKS)]


class VisionReady(msgspec.Struct, frozen=True, tag="vision_ready"):
    """The models are verified and the camera gives frames."""

    model_set: str
    grade: str
    embedder: str
    """Name of the embedder, or names joined by "+". Templates of another embedder cannot be compared."""
    embedder_sha256: str
    dimension: int
    threshold: float
    pad_threshold: float
    table: ThresholdTable | None = None
    """Thresholds by the number of people, if the gate calibrates on its gallery."""


def ready_with(chosen: ModelSet) -> VisionReady:
    """Return the `VisionReady` for a verified set. The brain checks it against its own manifest."""
    return VisionReady(
        model_set=chosen.name,
        grade=chosen.grade,
        embedder=chosen.embedder_name,
        embedder_sha256=chosen.embedder_sha256,
        dimension=chosen.dimension,
        threshold=chosen.threshold,
        pad_threshold=chosen.pad_threshold,
        table=chosen.table,
    )


class VisionPulse(msgspec.Struct, frozen=True, tag="vision_pulse"):
    """Sent at least twice a second while frames arrive. Silence means that vision hangs."""

    frame_at: float
    frames: int
    faces: int
    exhausted: bool = False


class VisionTrouble(msgspec.Struct, frozen=True, tag="vision_trouble"):
    """Vision cannot continue, and why. The worker then ends and is restarted."""

    kind: Literal["camera", "models"]
    message: Annotated[str, Meta(max_length=MAX_WORDS)]


FromVision = Observation | TrackEnded | CodeSeen | VisionConfined | VisionReady | VisionPulse | VisionTrouble

"""What the vision worker and the brain say to each other; the only door between them.

Vision sends no name and no picture, and never learns one. The vector crosses as raw bytes and is checked on arrival.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from gated.config import CameraSettings, FaceSettings, ModelSettings

PASS_PREFIX = "G1."  # noqa: S105 - a mark, not a secret
"""What the text of a visitor pass begins with; no other code ever leaves the vision worker."""
MAX_PASS = 300
"""A text of more characters is no pass, and not read any further."""


class VisionSettings(msgspec.Struct, frozen=True, tag="vision_settings"):
    """The first message, brain to worker: everything that the worker may know."""

    camera: CameraSettings
    models: ModelSettings
    face: FaceSettings
    passes: bool = False
    """Whether to look for visitor passes as well."""


class Quality(msgspec.Struct, frozen=True):
    """What was measured on one face. Nothing asks whether eyes are open, and nothing may: it would shut people out."""

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


class Observation(msgspec.Struct, frozen=True, tag="observation"):
    """One face in one frame.

    `problem` says why there is no embedding: "too_small", "background", "blurred", "too_dark", "too_bright",
    "uneven_light" or "turned_away".
    `embedding`: little-endian float32, unit length; None whenever `problem` is set.
    """

    track: int
    frame: int
    frame_at: float
    box: tuple[float, float, float, float]
    """x, y, width, height in px of the main picture."""
    detection_score: float
    quality: Quality | None = None
    problem: str | None = None
    pad_score: float | None = None
    embedding: bytes | None = None


class TrackEnded(msgspec.Struct, frozen=True, tag="track_ended"):
    """A face left the view, or was lost for longer than the tracker's patience."""

    track: int
    at: float


class CodeSeen(msgspec.Struct, frozen=True, tag="code_seen"):
    """Something that begins like a visitor pass was held up; only the brain can tell what it is worth. Never logged."""

    text: Annotated[str, Meta(max_length=MAX_PASS)]
    frame_at: float


class VisionReady(msgspec.Struct, frozen=True, tag="vision_ready"):
    """The models have proved themselves and the camera gives frames."""

    model_set: str
    grade: str
    embedder: str
    """Name of the embedder; a template made by another one is of no use here."""
    embedder_sha256: str
    dimension: int
    threshold: float
    pad_threshold: float


class VisionPulse(msgspec.Struct, frozen=True, tag="vision_pulse"):
    """Sent at least twice a second while frames are fresh; silence means that vision hangs."""

    frame_at: float
    frames: int
    faces: int
    exhausted: bool = False


class VisionTrouble(msgspec.Struct, frozen=True, tag="vision_trouble"):
    """Vision cannot see and says why; the worker ends after it and is started again."""

    kind: str
    """"camera" or "models"."""
    message: str


FromVision = Observation | TrackEnded | CodeSeen | VisionReady | VisionPulse | VisionTrouble

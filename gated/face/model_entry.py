"""One model in `models/manifest.toml`: its file, origin, input and known answer, and the fields of each role.

`manifest` reads them. The modules that load, download, convert and verify models use them.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gated.bounded import MIB
from gated.face.embedder_parts import decoded_mean

MOST_BYTES = 256 * MIB
"""Limit for a file whose size the manifest does not give. The largest model has 40 MiB."""
PLAIN = r"^[A-Za-z0-9][A-Za-z0-9_.-]*\Z"
"""A name without folders, so it cannot lead out of its own folder. `\\Z`, because `$` accepts a newline at the end."""
Name = Annotated[str, Meta(pattern=PLAIN, description="a name without folders")]
LINE = r"^[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]*\Z"
Line = Annotated[str, Meta(pattern=LINE, description="one line of text")]
"""One line of text without control characters, which a terminal would obey."""

FileName = Annotated[str, Meta(pattern=PLAIN, description="a file name without folders")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z", description="64 small hex digits")]
Url = Annotated[str, Meta(pattern=r"^https://[!-~]+\Z", description="https://...")]
Size = Annotated[int, Meta(ge=1)]
SOURCES = {"copy": 1, "openvino": 2, "minifasnet": 1}
"""Number of source files of each converter."""

Grade = Literal["demo", "evaluation", "site"]

Side = Annotated[int, Meta(ge=16, le=2048)]
Point = tuple[float, float]
Triple = tuple[float, float, float]
Positive = Annotated[float, Meta(gt=0)]
Threshold = Annotated[float, Meta(gt=0, lt=1)]


class ManifestData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The base of everything in the manifest. An unknown key is an error."""


class InputLayout(ManifestData, frozen=True):
    """How pixels become the input: float32 (1, 3, height, width), value = (pixel x scale - mean) / std per channel.

    `mean` and `std` are in the channel order of the model. `name`: the required name of the input, or None for any.
    """

    size: tuple[Side, Side]
    """Width and height in px."""
    order: Literal["rgb", "bgr"]
    scale: Positive = 1.0
    mean: Triple = (0.0, 0.0, 0.0)
    std: tuple[Positive, Positive, Positive] = (1.0, 1.0, 1.0)
    name: str | None = None


class KnownAnswer(ManifestData, frozen=True):
    """Numbers that the model must output for the pattern of `onnx.known_input`, each within `tolerance`."""

    values: Annotated[tuple[tuple[str, Annotated[int, Meta(ge=0)], float], ...], Meta(min_length=1)]
    """Name of an output, flat index into it, expected number."""
    tolerance: Positive


class Source(ManifestData, frozen=True):
    """One file of a model's publisher."""

    file: FileName
    url: Url
    sha256: Sha256
    size_bytes: Size | None = None

    @property
    def most_bytes(self) -> int:
        """So many bytes the file may have."""
        return MOST_BYTES if self.size_bytes is None else self.size_bytes


class ModelEntry(ManifestData, frozen=True, tag_field="role"):
    """The fields of every model."""

    file: FileName
    sha256: Sha256
    """Digest of `file`, which is the output of `convert`."""
    licence: Line
    grade: Grade
    input: InputLayout
    measured: Line = ""
    """Measured results, for people."""
    training_data: Line = ""
    """Pictures that the model was trained on, in words. The owner reads this before the model is installed."""
    sources: tuple[Source, ...] = ()
    """The publisher's files. `convert` makes `file` from them."""
    convert: Literal["copy", "openvino", "minifasnet"] = "copy"
    """Converter in `gated.face.convert`. "copy": the only source is the model itself."""
    url: Url | None = None
    """Short form of `sources` for a model that is copied: the address of `file`."""
    size_bytes: Size | None = None
    known_answer: KnownAnswer | None = None
    """A model without one is refused."""
    macs: Annotated[int, Meta(ge=1)] | None = None
    """Multiply-accumulates for one input of `input.size`, in convolutions and matrix products."""

    def __post_init__(self) -> None:
        """Check that the sources fit the converter. Raises `ValueError`."""
        files = [source.file for source in self.sources]
        if len(set(files)) < len(files):
            raise ValueError(f"{self.file}: two of its sources have the same name")
        if self.url is not None and self.sources:
            raise ValueError(f"{self.file}: give url or sources, not both")
        if len(files) != SOURCES[self.convert] and (files or self.convert != "copy"):
            raise ValueError(f"{self.file}: convert = {self.convert!r} needs {SOURCES[self.convert]} sources")
        if self.convert == "copy" and any(source.sha256 != self.sha256 for source in self.sources):
            raise ValueError(f"{self.file}: is a copy of its source, so both need the same sha256")

    @property
    def most_bytes(self) -> int:
        """So many bytes the file may have."""
        return MOST_BYTES if self.size_bytes is None else self.size_bytes

    @property
    def origins(self) -> tuple[Source, ...]:
        """The files to download. Empty if the manifest has no address."""
        if self.url is not None:
            return (Source(self.file, self.url, self.sha256, self.size_bytes),)
        return self.sources


class DetectorEntry(ModelEntry, frozen=True, tag="detector"):
    """Finds faces, with YuNet's outputs."""

    second_look: Annotated[int, Meta(ge=32, le=640, multiple_of=32)] | None = None
    """Side in px of the input for one face alone. None if the input has a fixed size."""


CropScale = Annotated[float, Meta(ge=1, le=10)]


class PadEntry(ModelEntry, frozen=True, tag="pad", kw_only=True):
    """Scores PAD on a crop of the box scaled by `crop_scale`. The defaults fit MiniFASNet."""

    crop_scale: CropScale
    bona_fide: Annotated[int, Meta(ge=0)]
    """Index of "bona fide" in the output."""
    output: Literal["probabilities", "logits"] = "probabilities"
    """Form of the output. Logits become probabilities by softmax."""
    border: Literal["shift", "reflect"] = "shift"
    """The crop at the border of the picture. shift: reduced until it fits, then shifted inside, with the shape of the
    box. reflect: square, and the picture is mirrored at its border.
    """
    group: str = ""
    """The nets of one group are averaged as probabilities. Log-odds of the groups are added."""
    weight: Positive = 1.0
    """Factor of the group's log-odds. All nets of a group have the same."""
    least_scale: CropScale = 1.0
    """Least crop scale at which the net was measured. If the picture ends closer to the face, the net abstains."""
    face_px: tuple[Positive, Positive] | None = None
    """Least and greatest side of the face box, in px, at which the net was measured. None: any."""


class EmbedderEntry(ModelEntry, frozen=True, tag="embedder", kw_only=True):
    """Embeds an aligned face."""

    landmarks: tuple[Point, Point, Point, Point, Point]
    """Template: the five landmarks in px of the input."""
    dimension: Annotated[int, Meta(ge=16, le=2048)]
    threshold: Threshold
    """Cosine similarity from which two embeddings count as one person, unless a site has measured its own threshold."""
    mean: str = ""
    """Mean of the unit embeddings of a general population: base64 of `dimension` little-endian float16 numbers."""
    mean_from: Line = ""
    """Origin of `mean`, for people."""

    def __post_init__(self) -> None:
        """Raise `ValueError` as the base does, and for a mean that is no mean of unit vectors."""
        ModelEntry.__post_init__(self)
        decoded_mean(self.mean, self.dimension)

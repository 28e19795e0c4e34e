"""Seal a face for one receiving gate, and open and check it there. Used by `face_departures` and `batch`."""

from collections.abc import Sequence
from hashlib import sha256

import msgspec
import numpy as np
from numpy.typing import NDArray

from gated.embedding import Embedding, check_embedding
from gated.errors import EmbeddingError, SealError, WireError
from gated.protocol.face_messages import FaceTemplates, SealedFace
from gated.protocol.jose import Identity, Party
from gated.protocol.limits import MAX_TEMPLATES
from gated.wording import UNDECODABLE

MAX_VECTOR_BYTES = 27_000
"""Largest size of all vectors of one face, in bytes. Sealed, they grow by 16/9 and still fit into a record
(`MAX_PLAIN_BYTES`).
"""


def seal_face(
    to: Party, subject: str, embedder_sha256: str, templates: Sequence[tuple[str, NDArray[np.float32]]]
) -> SealedFace:
    """Return templates (id and vector) of one subject and one embedder, sealed for one reader. Seals as many as fit.

    Vectors travel as little-endian float32.
    """
    fitting = templates[: min(MAX_TEMPLATES, MAX_VECTOR_BYTES // (4 * templates[0][1].size))]
    name = sha256("".join(template for template, _ in fitting).encode()).hexdigest()[:32]
    vectors = [vector.astype("<f4").tobytes() for _, vector in fitting]
    sealed = to.seal(msgspec.json.encode(FaceTemplates(subject, embedder_sha256, vectors)))
    return SealedFace(id=name, embedder_sha256=embedder_sha256, count=len(vectors), sealed=sealed.decode())


def open_face(me: Identity, face: SealedFace, subject: str, embedder_sha256: str, dimension: int) -> list[Embedding]:
    """Return the vectors of a face that is sealed to this gate. Vectors of our embedder must have `dimension` numbers.

    Raises `WireError` unless the subject, the embedder and the count match the record, and each vector is a valid
    embedding.
    """
    try:
        templates = msgspec.json.decode(me.open(face.sealed.encode()), type=FaceTemplates)
        vectors = [np.frombuffer(raw, "<f4") for raw in templates.vectors]
        is_own_model = face.embedder_sha256 == embedder_sha256
        checked = [check_embedding(vector, dimension if is_own_model else vector.size) for vector in vectors]
    except (SealError, EmbeddingError, ValueError, *UNDECODABLE) as error:
        raise WireError(f"an invalid face ({type(error).__name__})") from error
    stated, is_stated = (templates.subject, templates.embedder_sha256, len(checked)), (subject, face.embedder_sha256)
    if stated != (*is_stated, face.count):
        raise WireError("the face does not match its record")
    return checked

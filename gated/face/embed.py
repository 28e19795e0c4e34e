"""Turns a face into its embedding: each embedder of the set aligns the face and gives one part. `pipeline` uses it."""

import numpy as np
from numpy.typing import NDArray

from gated.embedding import Embedding, check_embedding
from gated.errors import EmbeddingError
from gated.face.align import aligned, similarity
from gated.face.model_entry import EmbedderEntry
from gated.face.onnx import Model
from gated.face.sample import Planes, Sampler
from gated.face.tensor import InputTensor
from gated.frame import Pixels


class Embedder:
    """One embedding network with its alignment and its input tensor."""

    def __init__(self, model: Model, entry: EmbedderEntry) -> None:
        self.model, self.entry = model, entry
        self.tensor, self._aligner = InputTensor(entry.input), Sampler(entry.input.size)

    def align(self, picture: Pixels, landmarks: NDArray[np.float32]) -> Planes | None:
        """Return the aligned (3, H, W) crop of a face. None if the landmarks are in one place.

        The crop is valid until the next call.
        """
        upright = similarity(landmarks, self.entry.landmarks)
        return None if upright is None else aligned(picture, upright, self._aligner)

    def embed(self, crop: Planes) -> Embedding:
        """Return the unit vector of an aligned (3, H, W) crop. Raises `EmbeddingError` unless the output is finite."""
        vector = next(iter(self.model.run(self.tensor.fill(crop)).values())).reshape(-1)
        with np.errstate(all="ignore"):
            unit = vector / np.sqrt(np.square(vector, dtype=np.float64).sum())
        return check_embedding(unit.astype(np.float32), self.entry.dimension)

    def part(self, picture: Pixels, landmarks: NDArray[np.float32]) -> Embedding:
        """Align a face and return its unit vector: the part of this embedder.

        Raises `EmbeddingError` if the face is not aligned or the part is not finite: a part is never left out.
        """
        crop = self.align(picture, landmarks)
        if crop is None:
            raise EmbeddingError("all landmarks of a face are in one place")
        return self.embed(crop)

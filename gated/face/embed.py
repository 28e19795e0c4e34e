"""Turns an aligned face into its embedding."""

import numpy as np

from gated.embedding import Embedding, check_embedding
from gated.face.manifest import EmbedderEntry
from gated.face.onnx import Model
from gated.face.sample import Planes
from gated.face.tensor import InputTensor


class Embedder:
    """The embedding network with its input tensor."""

    def __init__(self, model: Model, entry: EmbedderEntry) -> None:
        self.model, self._entry = model, entry
        self.tensor = InputTensor(entry.input)

    def embed(self, crop: Planes) -> Embedding:
        """Return the unit vector of an aligned (3, H, W) crop. Raises `EmbeddingError` unless the output is finite."""
        vector = next(iter(self.model.run(self.tensor.fill(crop)).values())).reshape(-1)
        with np.errstate(all="ignore"):
            unit = vector / np.sqrt(np.square(vector, dtype=np.float64).sum())
        return check_embedding(unit.astype(np.float32), self._entry.dimension)

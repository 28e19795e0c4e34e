"""A model's input tensor: one array, allocated once, filled from pixels as the manifest says."""

import numpy as np
from numpy.typing import NDArray

from gated.face.model_entry import InputLayout
from gated.face.sample import Planes


class InputTensor:
    """A model's input, reused for every frame."""

    def __init__(self, layout: InputLayout, size: tuple[int, int] | None = None) -> None:
        width, height = size or layout.size
        self.array = np.zeros((1, 3, height, width), np.float32)
        step = 1 if layout.order == "rgb" else -1
        self.rgb: Planes = self.array[0, ::step]
        """(3, H, W): a view of the same memory with red first."""
        mean, std = (np.array(v, np.float32)[::step, None, None] for v in (layout.mean, layout.std))
        self._gain: NDArray[np.float32] = np.float32(layout.scale) / std
        self._offset: NDArray[np.float32] = -mean / std
        self._plain = bool((self._gain == 1).all() and not self._offset.any())

    def fill(self, planes: Planes | NDArray[np.uint8]) -> NDArray[np.float32]:
        """Write (3, h, w) pixels into the top left corner. Return the model's input, (1, 3, H, W).

        Pixels outside of the corner keep their old values.
        """
        target = self.rgb[:, : planes.shape[1], : planes.shape[2]]
        if self._plain:
            np.copyto(target, planes)
        else:
            np.multiply(planes, self._gain, out=target)
            np.add(target, self._offset, out=target)
        return self.array

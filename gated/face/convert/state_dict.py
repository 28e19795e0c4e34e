"""Reads the weights in a state dict that PyTorch 1.0 to 1.5 saved: five pickles, then the storages.

Layout of the file (torch/serialization.py, `_legacy_load`): a magic number, the protocol version, facts about the
machine, the state dict, the keys of its storages; then for each key the count of numbers as int64, and the numbers
themselves, little-endian. A tensor is a part of a storage. `minifasnet` uses it.
"""

from dataclasses import dataclass
from io import BytesIO
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gated.errors import ModelError
from gated.face.convert.pickled_data import Call, Name, Persistent, PickledData

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
TYPES = {"torch.FloatStorage": "<f4", "torch.LongStorage": "<i8"}
"""The kinds of storage that are read, with their numpy type."""
TENSOR = "torch._utils._rebuild_tensor_v2"
NAMES = frozenset({"collections.OrderedDict", TENSOR, *TYPES})
MOST_DIMENSIONS = 4
ZIP = b"PK\x03\x04"

StateDict = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class _Part:
    """A tensor as the pickle describes it: a part of a storage of `count` numbers, from number `start` on."""

    key: str
    type: str
    count: int
    start: int
    shape: tuple[int, ...]


def read_state_dict(data: bytes) -> StateDict:
    """Return the tensors by name. Raises `ModelError` with the reason, for a file that is damaged or hostile."""
    if data.startswith(ZIP):
        raise ModelError("it is a ZIP file of a newer PyTorch; save it with _use_new_zipfile_serialization=False")
    file = BytesIO(data)
    if _read(file) != MAGIC or _read(file) != PROTOCOL:
        raise ModelError("it is no state dict of PyTorch")
    machine = _read(file)
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ModelError("its numbers are not little-endian")
    parts = _parts(_read(file))
    storages = _storages(file, parts, _read(file))
    return {name: _tensor(part, storages[part.key]) for name, part in parts.items()}


def _read(file: BytesIO) -> Any:
    return PickledData(NAMES).read(file)


def _parts(found: Any) -> dict[str, _Part]:
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise ModelError("it has no tensors by name")
    return {name: _part(name, call) for name, call in found.items()}


def _part(name: str, call: Any) -> _Part:
    """Return the description of one tensor. Accepts only a tensor that is contiguous in its storage."""
    match call:
        case Call(
            function,
            (
                Persistent(("storage", Name(kind), str(key), str(), int(count), None)),
                int(start),
                tuple(shape),
                stride,
                *_,
            ),
        ) if function == TENSOR and kind in TYPES:
            if (
                len(shape) <= MOST_DIMENSIONS
                and all(type(each) is int and each > 0 for each in shape)
                and stride == _strides(shape)
            ):
                return _Part(key, TYPES[kind], count, start, shape)
    raise ModelError(f"its {name[:80]!r} is no plain tensor of float32 or int64")


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(prod(shape[place + 1 :]) for place in range(len(shape)))


def _storages(file: BytesIO, parts: dict[str, _Part], keys: Any) -> dict[str, NDArray[Any]]:
    """Read every storage that a tensor names, up to the end of the file."""
    wanted = {part.key: part for part in parts.values()}
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or sorted(keys) != sorted(wanted):
        raise ModelError("its list of storages does not match its tensors")
    storages = {key: _storage(file, wanted[key]) for key in keys}
    if file.read(1):
        raise ModelError("it has more data after its last storage")
    return storages


def _storage(file: BytesIO, part: _Part) -> NDArray[Any]:
    count, size_bytes = int.from_bytes(file.read(8), "little"), np.dtype(part.type).itemsize
    remaining_bytes = len(file.getbuffer()) - file.tell()
    if count != part.count or count * size_bytes > remaining_bytes:
        raise ModelError("a storage is shorter or longer than its tensors need")
    return np.frombuffer(file.read(count * size_bytes), part.type)


def _tensor(part: _Part, storage: NDArray[Any]) -> NDArray[Any]:
    end = part.start + prod(part.shape)
    if part.start < 0 or end > storage.size or storage.dtype != part.type:
        raise ModelError("a tensor goes beyond its storage")
    values = storage[part.start : end].reshape(part.shape)
    if not np.isfinite(values).all():
        raise ModelError("a weight is not a finite number")
    return values

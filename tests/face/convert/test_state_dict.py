"""The reader of PyTorch's state dicts returns the numbers that were saved, and refuses anything else in words."""

import io
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gated.errors import ModelError
from gated.face.convert.state_dict import read_state_dict

SMALL = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a.count": np.array([5], np.int64)}


@pytest.fixture(scope="module")
def small(write):
    return write(SMALL)


def test_the_numbers_that_were_saved_come_back(small):
    found = read_state_dict(small)
    assert list(found) == list(SMALL)
    for name, values in SMALL.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


def test_a_whole_network_comes_back(pth, state):
    found = read_state_dict(pth)
    assert found.keys() == state.keys()
    assert all(np.array_equal(found[name], state[name]) for name in state)


@pytest.mark.parametrize("cut", [0, 1, 10, 14, 20, 100, 200, 300, -1, -8, -30])
def test_a_file_that_was_cut_is_refused(small, cut):
    with pytest.raises(ModelError):
        read_state_dict(small[:cut])


def test_a_file_that_goes_on_is_refused(small):
    with pytest.raises(ModelError, match="has more data after its last storage"):
        read_state_dict(small + b"\0")


def test_a_zip_of_a_newer_pytorch_is_named():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("archive/data.pkl", bytes(10_000_000))
    with pytest.raises(ModelError, match="ZIP file of a newer PyTorch"):
        read_state_dict(file.getvalue())


@pytest.mark.parametrize("values", [np.nan, np.inf, -np.inf])
def test_a_weight_that_is_not_finite_is_refused(write, values):
    with pytest.raises(ModelError, match="not a finite number"):
        read_state_dict(write(SMALL | {"b": np.array([1, values], np.float32)}))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"K\x02K\x03\x86", b"K\x03K\x02\x86", "no plain tensor"),  # shape 3 x 2, strides of 2 x 3
        (b"K\x03K\x01\x86", b"K\x01K\x01\x86", "no plain tensor"),  # a view that overlaps itself
        (b"K\x02K\x03\x86", b"M\xff\xffK\x03\x86", "goes beyond its storage"),
        (b"K\x06N", b"K\x07N", "shorter or longer"),
        (b"FloatStorage", b"Flout", "torch.Flout"),
        (b"little_endianq\x02\x88", b"little_endianq\x02\x89", "not little-endian"),
        (b"QK\x00", b"QK\x01", "goes beyond its storage"),
        (b"a.weight", b"a.count\0", None),
        (b"_rebuild_tensor_v2", b"_rebuild_tensor_v3", "_rebuild_tensor_v3"),
    ],
)
def test_a_tensor_that_does_not_fit_its_storage_is_refused(small, old, new, reason):
    assert old in small
    changed = small.replace(old, new, 1)
    if reason is None:
        assert "a.count\0" in read_state_dict(changed)
        return
    with pytest.raises(ModelError, match=reason):
        read_state_dict(changed)


@pytest.mark.parametrize(
    "pickles",
    [
        [3],
        [0x1950A86A20F9469CFC6C, 1002],
        [0x1950A86A20F9469CFC6C, 1001, 5],
        [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, [1, 2]],
        [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, OrderedDict(a=1)],
        [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {5: 1}],
        [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {}, [[[["x"]]]]],
        [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {}, ["x"]],
    ],
)
def test_other_pickles_are_refused(pickles):
    with pytest.raises(ModelError):
        read_state_dict(b"".join(pickle.dumps(each, 2) for each in pickles))


def test_a_file_without_tensors_is_read():
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {}, []]
    assert read_state_dict(b"".join(pickle.dumps(each, 2) for each in parts)) == {}


@given(st.data())
@settings(max_examples=300)
def test_changed_bytes_are_read_or_refused(small, data):
    damaged = bytearray(small)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(small) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read_state_dict(bytes(damaged))
    except ModelError as error:
        assert str(error).isprintable()
    else:
        assert sum(values.nbytes for values in found.values()) <= len(small)

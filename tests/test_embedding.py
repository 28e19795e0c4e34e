import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.embedding import check_embedding
from gated.errors import EmbeddingError


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


def test_a_unit_vector_passes_as_it_is():
    vector = unit(3, -4, 12)
    assert check_embedding(vector, 3) is vector


def test_a_checked_embedding_is_contiguous_float32():
    wide = np.zeros((3, 4), np.float64)
    wide[:, 1] = unit(1, 2, 2)
    checked = check_embedding(wide[:, 1], 3)
    assert checked.dtype == np.float32
    assert checked.flags.c_contiguous
    np.testing.assert_allclose(checked, unit(1, 2, 2))


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf"), 1e38, 3.4e38])
def test_one_odd_number_is_enough_to_be_refused(odd):
    vector = unit(1, 1, 1, 1)
    vector[2] = odd
    with pytest.raises(EmbeddingError):
        check_embedding(vector, 4)


@pytest.mark.parametrize("length", [0.0, 1e-30, 0.5, 0.989, 1.011, 2.0])
def test_only_unit_length_passes(length):
    with pytest.raises(EmbeddingError, match="length"):
        check_embedding(unit(1, 2, 3) * np.float32(length), 3)


@pytest.mark.parametrize("length", [0.9901, 1.0, 1.0099])
def test_rounding_is_forgiven(length):
    check_embedding(unit(1, 2, 3) * np.float32(length), 3)


@pytest.mark.parametrize("shape", [(), (3,), (5,), (1, 4), (4, 1), (0,)])
def test_another_shape_is_refused_and_named(shape):
    with pytest.raises(EmbeddingError, match=r"where \(4,\) is needed"):
        check_embedding(np.ones(shape, np.float32), 4)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.bool_, np.complex64])
def test_numbers_of_another_kind_are_refused(dtype):
    with pytest.raises(EmbeddingError, match="floating-point"):
        check_embedding(np.array([1, 0, 0], dtype), 3)


def test_the_message_does_not_show_the_vector():
    with pytest.raises(EmbeddingError) as refused:
        check_embedding(np.array([0.123456, 0.654321], np.float32), 2)
    assert "0.123" not in str(refused.value)


@given(bits=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=8))
def test_only_finite_unit_vectors_pass_whatever_the_bits(bits):
    vector = np.array(bits, np.uint32).view(np.float32)
    try:
        checked = check_embedding(vector, len(bits))
    except EmbeddingError:
        with np.errstate(all="ignore"):
            norm = np.linalg.norm(vector.astype(np.float64))
        assert not 0.99 <= norm <= 1.01
    else:
        assert np.isfinite(checked).all()
        assert 0.989 < np.linalg.norm(checked) < 1.011


@given(values=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=16).filter(lambda v: np.linalg.norm(v) > 1e-3))
def test_every_normalised_vector_passes(values):
    check_embedding(unit(*values), len(values))

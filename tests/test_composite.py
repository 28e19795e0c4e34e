"""Composite embeddings: one unit vector with a part by each embedder, and its centring."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gated.composite import Centring, Composite
from gated.embedding import check_embedding
from gated.errors import EmbeddingError

SIZES, DIMENSION = (16, 24), 40
TWO = Composite.of(SIZES, (0.25, 0.75))
numbers = arrays.arrays(np.float32, DIMENSION, elements=st.floats(-1, 1, width=32))
weights = st.floats(0.01, 0.99)


def random_unit(seed: int, size: int) -> np.ndarray:
    vector = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    return vector / np.linalg.norm(vector)


def parts_of(vector: np.ndarray) -> list[np.ndarray]:
    """Return the unit parts of any vector."""
    parts = [vector[: SIZES[0]], vector[SIZES[0] :]]
    assume(all(np.linalg.norm(part) > 0.1 for part in parts))
    return [(part / np.linalg.norm(part)).astype(np.float32) for part in parts]


def centred_on(mean: np.ndarray, share: float = 0.5) -> Centring:
    return Centring(Composite.of(SIZES, (share, 1 - share)), mean.astype(np.float32))


@given(numbers, numbers, weights)
def test_the_score_of_composites_is_the_weighted_mean_of_the_cosines(first, second, share):
    composite = Composite.of(SIZES, (share, 1 - share))
    ours, theirs = parts_of(first), parts_of(second)
    cosines = [float(a @ b) for a, b in zip(ours, theirs, strict=True)]
    expected = share * cosines[0] + (1 - share) * cosines[1]
    assert float(composite.join(ours) @ composite.join(theirs)) == pytest.approx(expected, abs=1e-5)


@given(numbers)
def test_a_composite_is_a_valid_embedding(numbers):
    whole = TWO.join(parts_of(numbers))
    assert check_embedding(whole, DIMENSION) is whole


def test_one_part_is_the_embedding_itself():
    vector = random_unit(1, 16)
    assert Composite.single(16).join([vector]) is vector
    assert Composite.single(16).centring.of(vector) is vector


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 0.0, 1e30])
@pytest.mark.parametrize("at", [0, 1])
def test_an_odd_part_never_gives_a_composite(odd, at):
    parts = [random_unit(1, SIZES[0]), random_unit(2, SIZES[1])]
    parts[at] = np.full(SIZES[at], odd, np.float32)
    with pytest.raises(EmbeddingError):
        TWO.join(parts)


@pytest.mark.parametrize("odd", [np.nan, np.inf, 0.0])
@pytest.mark.parametrize("at", [0, 1])
def test_an_odd_part_never_gives_a_centred_embedding_and_never_scores(odd, at):
    centring = centred_on(np.full(DIMENSION, 0.02))
    whole = centring.composite.join([random_unit(1, SIZES[0]), random_unit(2, SIZES[1])])
    damaged = whole.copy()
    damaged[centring.composite.slices[at]] = odd
    with pytest.raises(EmbeddingError, match="damaged part"):
        centring.of(damaged)
    assert centring.score(damaged, whole) == centring.score(whole, damaged) == -np.inf


def test_a_vector_of_length_1_in_one_part_alone_is_refused():
    """It passes the check of the whole vector."""
    alone = np.concatenate([np.zeros(SIZES[0], np.float32), random_unit(1, SIZES[1])])
    assert check_embedding(alone, DIMENSION) is alone
    with pytest.raises(EmbeddingError, match="damaged part"):
        centred_on(np.full(DIMENSION, 0.02)).of(alone)


def test_a_part_at_the_mean_has_no_direction_and_is_refused():
    """Their difference is rounding noise, which could match anybody."""
    parts = [random_unit(1, SIZES[0]), random_unit(2, SIZES[1])]
    with pytest.raises(EmbeddingError):
        centred_on(np.concatenate(parts)).of(centred_on(np.zeros(DIMENSION)).composite.join(parts))


@given(numbers, arrays.arrays(np.float32, DIMENSION, elements=st.floats(-0.125, 0.125, width=32)), weights)
def test_a_centred_embedding_is_what_the_formula_says_and_a_unit_vector(numbers, mean, share):
    centring = centred_on(mean, share)
    parts = parts_of(numbers)
    centred = centring.of(centring.composite.join(parts))
    assert np.linalg.norm(centred) == pytest.approx(1, abs=1e-5)
    moved = [part - mean[place] for part, place in zip(parts, centring.composite.slices, strict=True)]
    expected = [
        np.sqrt(weight) * part / np.linalg.norm(part)
        for weight, part in zip(centring.composite.weights, moved, strict=True)
    ]
    np.testing.assert_allclose(centred, np.concatenate(expected), atol=1e-5)


@given(numbers)
def test_centring_leaves_the_stored_embedding_unchanged(numbers):
    whole = TWO.join(parts_of(numbers))
    before = whole.copy()
    centred_on(np.full(DIMENSION, 0.03), 0.25).of(whole)
    np.testing.assert_array_equal(whole, before)


def test_rows_and_single_embeddings_are_centred_alike():
    whole = np.stack([TWO.join([random_unit(n, 16), random_unit(99 + n, 24)]) for n in range(20)])
    centring = Centring(TWO, random_unit(7, DIMENSION) * np.float32(0.2))
    rows = whole.copy()
    assert centring.centre(rows).all()
    np.testing.assert_allclose(rows, np.stack([centring.of(each) for each in whole]), atol=1e-6)


def test_bad_rows_become_zero_and_are_named():
    rows = np.stack([TWO.join([random_unit(n, 16), random_unit(99 + n, 24)]) for n in range(4)])
    rows[1, 3], rows[2, :16] = np.nan, 0
    assert Centring(TWO, np.zeros(DIMENSION, np.float32)).centre(rows).tolist() == [True, False, False, True]
    assert not rows[1:3].any()


def test_without_a_mean_centring_changes_nothing():
    whole = TWO.join([random_unit(1, 16), random_unit(2, 24)])
    assert TWO.centring.of(whole) is whole
    assert TWO.centring.version == ""
    assert TWO.centring.score(whole, whole) == pytest.approx(1, abs=1e-6)


def test_the_version_of_a_centring_follows_its_mean():
    mean = random_unit(1, DIMENSION) * np.float32(0.1)
    assert Centring(TWO, mean).version == Centring(TWO, mean.copy()).version
    assert Centring(TWO, mean).version != Centring(TWO, np.nextafter(mean, np.float32(1))).version
    assert len(Centring(TWO, mean).version) == 16

import numpy as np
import pytest

from gated.embedding import check_embedding
from gated.errors import EmbeddingError

CROP = np.random.default_rng(0).integers(0, 256, (3, 112, 112)).astype(np.float32)


def test_an_embedding_is_a_unit_vector(pipeline):
    embedding = pipeline.embedders[0].embed(CROP)
    assert check_embedding(embedding, 48) is embedding


def test_the_same_crop_gives_the_same_embedding(pipeline):
    np.testing.assert_array_equal(pipeline.embedders[0].embed(CROP), pipeline.embedders[0].embed(CROP.copy()))


def test_contrast_does_not_change_the_embedding(pipeline):
    faint = CROP * np.float32(0.5) + 20
    assert pipeline.embedders[0].embed(CROP) @ pipeline.embedders[0].embed(faint) > 0.999


def test_a_zero_output_is_an_error(pipeline):
    with pytest.raises(EmbeddingError):
        pipeline.embedders[0].embed(np.zeros_like(CROP))


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_odd_numbers_never_become_an_embedding(pipeline, odd):
    crop = CROP.copy()
    crop[0, 5, 5] = odd
    with pytest.raises(EmbeddingError):
        pipeline.embedders[0].embed(crop)

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.face.embedder_parts import composite_sha256, decoded_mean, shares

DIGESTS = ["ab" * 32, "cd" * 32]


def packed(*numbers: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}e", *numbers)).decode()


def test_no_weights_are_equal_weights():
    assert shares([], 4) == (0.25,) * 4


@given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=4))
def test_weights_have_the_sum_1_and_keep_their_proportions(weights):
    scaled = shares(weights, len(weights))
    assert sum(scaled) == pytest.approx(1)
    assert scaled[0] * weights[-1] == pytest.approx(scaled[-1] * weights[0])


def test_the_origin_of_one_embedder_is_its_own_digest():
    """Galleries that were made before sets had several embedders stay valid."""
    assert composite_sha256(DIGESTS[:1], (1.0,)) == DIGESTS[0]


def test_every_other_model_order_or_weight_is_another_origin():
    origins = {
        composite_sha256(digests, weights)
        for digests in (DIGESTS, DIGESTS[::-1], [*DIGESTS, "ef" * 32])
        for weights in ([0.5, 0.5, 0.0][: len(digests)], [0.4, 0.6, 0.0][: len(digests)])
    }
    assert len(origins) == 6
    assert all(len(origin) == 64 for origin in origins)


def test_the_origin_of_a_composite_never_changes_between_releases():
    """Another value would make every gallery foreign."""
    origin = composite_sha256(DIGESTS, (0.5, 0.5))
    assert origin == "4da5041caf30a4d1163472f0b1cab5d894bc150da9e24ed6805596da15168d31"


def test_a_mean_is_read_as_float16():
    assert decoded_mean(packed(0.5, -0.25, 0.125), 3) == (0.5, -0.25, 0.125)
    assert decoded_mean("", 3) == ()


@pytest.mark.parametrize(
    "odd",
    [packed(0.1), packed(0.1, 0.1, 0.1, 0.1), packed(float("nan"), 0, 0), packed(float("inf"), 0, 0), packed(1, 0, 0)],
)
def test_a_mean_of_another_length_or_no_mean_of_unit_vectors_is_refused(odd):
    with pytest.raises(ValueError, match="mean: "):
        decoded_mean(odd, 3)


def test_a_mean_that_is_no_base64_is_refused():
    with pytest.raises(ValueError, match=r".+"):
        decoded_mean("äöü!", 3)

import pytest

from gated.composite import Composite
from gated.gallery.search_bench import search_ratio

TWO = Composite.of((128, 256), (0.5, 0.5), [[0.01] * 128, [0.01] * 256])


@pytest.mark.parametrize("composite", [None, TWO], ids=["one part", "two centred parts"])
@pytest.mark.parametrize("templates", [10_000, 100_000])
def test_the_price_of_a_search_is_measured(templates: int, composite, capsys: pytest.CaptureFixture[str]) -> None:
    """Prints the ratio but does not limit it, because a busy machine must not fail the test. The budget is 1.2."""
    best = min(
        (search_ratio(templates, composite, rounds=20) for _ in range(3)), key=lambda measured: measured["ratio"]
    )
    with capsys.disabled():
        print(f"\n  search of {best['templates']}: {best['search_us']:.0f} us, {best['ratio']:.2f} x the bare product")
    assert (best["templates"], best["dimension"]) == (templates, 128 if composite is None else 384)
    assert best["ratio"] == pytest.approx(best["search_us"] / best["bare_us"])

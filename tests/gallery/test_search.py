import math
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gated.embedding import Embedding
from gated.errors import EmbeddingError
from gated.gallery.search import Index, Row
from gated.types import SubjectId

DIMENSION = 8
ODD_NUMBERS = [math.nan, math.inf, -math.inf, 3e38, 1e-40, 0.0, 2.0]


def unit(*numbers: float) -> Embedding:
    vector = np.zeros(DIMENSION)
    vector[: len(numbers)] = numbers
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def row(subject: str, household: str, vector: Embedding, status: str = "active") -> Row:
    return Row(SubjectId(subject), household, status, vector)


def found(index: Index, probe: Embedding, limit: int = 2) -> list[str]:
    return [candidate.subject for candidate in index.search(probe, limit)]


@st.composite
def galleries(draw: st.DrawFn) -> tuple[list[Row], Embedding]:
    """Draw up to 40 templates of up to 12 people in up to 4 households, and a probe. Equal vectors are likely."""
    seeds = draw(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 30)), max_size=40))
    rows = [
        row(f"p{person:02}", f"h{person % 4}", face(seed), "suspended" if person % 5 == 0 else "active")
        for person, seed in seeds
    ]
    return rows, face(draw(st.integers(0, 40)))


def face(seed: int) -> Embedding:
    return unit(*np.random.default_rng(seed).standard_normal(DIMENSION))


def by_brute_force(rows: list[Row], probe: Embedding) -> dict[str, float]:
    best: dict[str, float] = {}
    for each in rows:
        score = sum(float(a) * float(b) for a, b in zip(each.vector, probe, strict=True))
        best[each.subject] = max(score, best.get(each.subject, -math.inf))
    return best


@given(galleries(), st.integers(1, 6))
@settings(max_examples=300)
def test_a_search_finds_the_same_as_an_exhaustive_comparison(drawn: tuple[list[Row], Embedding], limit: int) -> None:
    rows, probe = drawn
    best = by_brute_force(rows, probe)
    result = Index(rows, DIMENSION).search(probe, limit)
    ranked = sorted(best.values(), reverse=True)
    firsts = result[:limit]
    assert len(firsts) == min(limit, len(best))
    assert [c.score for c in firsts] == pytest.approx(ranked[: len(firsts)], abs=1e-5)
    assert all(c.score == pytest.approx(best[c.subject], abs=1e-5) for c in result)
    assert len({c.subject for c in result}) == len(result)
    statuses = {each.subject: (each.status, each.household) for each in rows}
    assert all((c.status, c.household) == statuses[c.subject] for c in result)


@given(galleries(), st.integers(1, 6))
@settings(max_examples=300)
def test_the_best_of_another_household_is_always_among_the_found(
    drawn: tuple[list[Row], Embedding], limit: int
) -> None:
    rows, probe = drawn
    result = Index(rows, DIMENSION).search(probe, limit)
    if not result:
        return
    best = by_brute_force(rows, probe)
    home = result[0].household
    elsewhere = [best[each.subject] for each in rows if each.household != home]
    rivals = [c.score for c in result if c.household != home]
    if elsewhere:
        assert max(rivals) == pytest.approx(max(elsewhere), abs=1e-5)
    else:
        assert not rivals
    assert len(result) <= limit + 1


def test_a_person_is_found_once_with_the_best_of_all_their_templates() -> None:
    index = Index([row("ann", "1", unit(1)), row("ann", "1", unit(1, 1)), row("bob", "2", unit(0, 1))], DIMENSION)
    first, second = index.search(unit(1, 0.9))
    assert (first.subject, second.subject) == ("ann", "bob")
    assert first.score == pytest.approx(float(unit(1, 1) @ unit(1, 0.9)), abs=1e-6)


def test_a_sister_does_not_hide_the_neighbour() -> None:
    family = [row(f"sister {i}", "1", unit(1, i / 100)) for i in range(5)]
    index = Index([*family, row("neighbour", "2", unit(1, 0.5))], DIMENSION)
    assert found(index, unit(1)) == ["sister 0", "sister 1", "neighbour"]
    assert found(index, unit(1), limit=1) == ["sister 0", "neighbour"]


def test_people_of_one_household_alone_are_found_without_a_neighbour() -> None:
    index = Index([row(f"sister {i}", "1", unit(1, i / 100)) for i in range(3)], DIMENSION)
    assert found(index, unit(1)) == ["sister 0", "sister 1"]


def test_the_suspended_are_found_as_suspended() -> None:
    (candidate,) = Index([row("ann", "1", unit(1), "suspended")], DIMENSION).search(unit(1))
    assert candidate.status == "suspended"


def test_an_empty_gallery_finds_nobody() -> None:
    index = Index([], DIMENSION)
    assert index.search(unit(1)) == ()
    assert (index.size, len(index), index.dropped) == (0, 0, 0)


def test_people_and_templates_are_counted() -> None:
    index = Index([row("ann", "1", unit(1)), row("ann", "1", unit(1, 1)), row("bob", "2", unit(0, 1))], DIMENSION)
    assert (index.size, len(index)) == (2, 3)


@given(st.integers(0, DIMENSION - 1), st.sampled_from([n for n in ODD_NUMBERS if n != 0.0]))
def test_an_odd_number_in_a_probe_finds_nobody(place: int, number: float) -> None:
    probe = unit(*[1] * DIMENSION)
    probe[place] = number
    index = Index([row("ann", "1", unit(1)), row("bob", "2", unit(0, 1))], DIMENSION)
    if number == 1e-40:  # the sum barely differs, so also shorten the vector
        probe *= 0.9
    with pytest.raises(EmbeddingError):
        index.search(probe)


any_vector = arrays.arrays(
    np.float32, st.sampled_from([DIMENSION, DIMENSION - 1, DIMENSION + 1, 0]), elements=st.floats(width=32)
)


def is_fit(vector: Embedding) -> bool:
    wide = vector.astype(np.float64)
    return vector.shape == (DIMENSION,) and bool(np.isfinite(wide).all()) and 0.99 <= math.sqrt(wide @ wide) <= 1.01


@given(any_vector)
@settings(max_examples=500)
def test_whatever_the_bits_of_a_probe_only_a_finite_unit_vector_is_searched_for(probe: Embedding) -> None:
    index = Index([row("ann", "1", unit(1)), row("bob", "2", unit(0, 1))], DIMENSION)
    if is_fit(probe):
        assert all(math.isfinite(candidate.score) for candidate in index.search(probe))
    else:
        with pytest.raises(EmbeddingError):
            index.search(probe)


@given(st.lists(any_vector, max_size=6))
@settings(max_examples=300)
def test_whatever_the_bits_of_a_template_only_a_finite_unit_vector_is_found(vectors: list[Embedding]) -> None:
    good = [row("ann", "1", unit(1)), row("bob", "2", unit(0, 1))]
    bad = [row(f"bad {i}", f"{i}", vector) for i, vector in enumerate(vectors)]
    index = Index([good[0], *bad, good[1]], DIMENSION)
    assert index.dropped == sum(not is_fit(vector) for vector in vectors)
    result = index.search(unit(1), limit=10)
    assert {c.subject for c in result} == {"ann", "bob"} | {b.subject for b in bad if is_fit(b.vector)}
    assert all(math.isfinite(c.score) and -1.03 < c.score < 1.03 for c in result)


@pytest.mark.parametrize("odd", [np.zeros(DIMENSION, np.int64), np.ones((1, DIMENSION), np.float32), np.array(1.0)])
def test_a_probe_of_another_kind_is_refused(odd: Embedding) -> None:
    with pytest.raises(EmbeddingError):
        Index([row("ann", "1", unit(1))], DIMENSION).search(odd)


def test_a_probe_in_doubles_is_searched_for_like_any_other() -> None:
    index = Index([row("ann", "1", unit(1))], DIMENSION)
    assert index.search(unit(1, 2).astype(np.float64)) == index.search(unit(1, 2))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_memory_that_goes_bad_under_us_makes_no_candidate(odd: float) -> None:
    index = Index([row("ann", "1", unit(1)), row("bob", "2", unit(0, 1)), row("eve", "3", unit(0, 0, 1))], DIMENSION)
    index._matrix[1, 0] = odd
    result = index.search(unit(1, 1))
    assert [c.subject for c in result] == ["ann", "eve"]
    assert all(math.isfinite(c.score) for c in result)
    index._matrix[:] = odd
    assert index.search(unit(1, 1)) == ()


def test_the_matrix_lies_in_one_piece_for_the_arithmetic() -> None:
    index = Index([row("ann", "1", unit(1)), row("bob", "2", unit(0, 1))], DIMENSION)
    assert index._matrix.flags.c_contiguous
    assert index._matrix.dtype == np.float32


def test_a_candidate_does_not_show_where_somebody_lives() -> None:
    (candidate,) = Index([row("ann", "block 4", unit(1))], DIMENSION).search(unit(1))
    assert "block 4" not in repr(candidate)


def test_searches_in_many_threads_do_not_disturb_each_other() -> None:
    vectors = [face(seed) for seed in range(200)]
    index = Index([row(f"{i}", f"{i}", vector) for i, vector in enumerate(vectors)], DIMENSION)
    wrong: list[int] = []

    def search(offset: int) -> None:
        for i in range(300):
            who = (i * 7 + offset) % 200
            if found(index, vectors[who])[0] != str(who):
                wrong.append(who)

    threads = [threading.Thread(target=search, args=(offset,)) for offset in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong

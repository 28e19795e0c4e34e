"""Labels come from files alone, and a difference between groups is given with the bounds of both."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gated.errors import ConfigError
from gated.evaluation.confidence import Rate
from gated.evaluation.groups import differential, labels, read_groups
from gated.evaluation.rates import scores_of


@pytest.fixture
def written(tmp_path):
    def write(*lines: str):
        path = tmp_path / "groups.csv"
        path.write_text("\n".join(lines))
        return path

    return write


@pytest.mark.parametrize(
    ("cell", "found"), [("", set()), ("women", {"women"}), (" women ; over 65;", {"women", "over 65"}), (";;", set())]
)
def test_several_labels_are_separated_by_semicolons(cell, found):
    assert labels(cell) == found


def test_lines_of_one_person_are_joined(written):
    path = written("name,group", "ann, women", "bob,men;over 65", "ann,over 65", "")
    assert read_groups(path, {"ann", "bob", "cid"}) == {"ann": {"women", "over 65"}, "bob": {"men", "over 65"}}


def test_every_wrong_line_is_named_at_once(written):
    path = written("ann,women", "eve,women", "bob")
    with pytest.raises(ConfigError) as raised:
        read_groups(path, {"ann", "bob"})
    assert len(raised.value.problems) == 2
    assert "line 2: no person with pictures has the name 'eve'" in str(raised.value)
    assert "line 3" in str(raised.value)


@pytest.mark.parametrize("text", ["", "name,group"])
def test_a_file_without_labels_is_an_error(written, text):
    with pytest.raises(ConfigError, match="has no name of a person"):
        read_groups(written(text), {"ann"})


def test_the_ratio_is_of_the_worst_group_over_the_best():
    found = differential("FMR", {"a": Rate.of(1, 100), "b": Rate.of(8, 100), "c": Rate.of(2, 100)})
    assert (found.worst, found.best, found.ratio) == ("b", "a", 8.0)
    assert found.at_least == pytest.approx(Rate.of(8, 100).low / Rate.of(1, 100).high)
    assert "ratio 8.0" in str(found)


def test_of_groups_without_errors_the_largest_is_the_best():
    found = differential("FMR", {"a": Rate.of(0, 10), "b": Rate.of(0, 1000), "c": Rate.of(5, 10)})
    assert (found.worst, found.best, found.ratio) == ("c", "b", None)
    assert found.at_least > 50
    assert "unknown" in str(found)


@pytest.mark.parametrize("rates", [{}, {"a": Rate.of(1, 2)}, {"a": Rate.of(1, 2), "b": Rate.of(0, 0)}])
def test_one_group_has_no_difference(rates):
    assert differential("FNMR", rates) is None


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 500)), min_size=2, max_size=6))
def test_two_groups_are_compared_and_the_proved_ratio_is_never_above_the_measured_one(counts):
    assume(all(errors <= n for errors, n in counts))
    rates = {str(number): Rate.of(*count) for number, count in enumerate(counts)}
    found = differential("FNIR", rates)
    assert found.worst != found.best
    assert found.worst_rate.value == max(rate.value for rate in rates.values())
    assert found.best_rate.value == min(rate.value for rate in rates.values())
    assert found.ratio is None or found.at_least <= found.ratio
    assert 0 <= found.at_least < float("inf")


def test_a_label_changes_no_overall_rate(ready, rules):
    from gated.evaluation.pairs import Compared
    from gated.evaluation.report import report_pairs

    everybody = Compared(scores_of([0.9, 0.3]), scores_of([0.6, 0.1]), Rate.of(0, 4))
    half = Compared(scores_of([0.9]), scores_of([0.6]), Rate.of(0, 3))
    rest = Compared(scores_of([0.3]), scores_of([0.1]), Rate.of(0, 3))
    plain = report_pairs("x", ready, 0.5, everybody)
    labelled = report_pairs(
        "x", ready, 0.5, Compared(everybody.mated, everybody.non_mated, Rate.of(0, 4), {"a": half, "b": rest})
    )
    assert (labelled.rate("FMR"), labelled.rate("FNMR")) == (plain.rate("FMR"), plain.rate("FNMR"))
    assert (labelled.rate("FMR", "a"), labelled.rate("FMR", "b")) == (Rate.of(1, 1), Rate.of(0, 1))
    assert {(d.name, d.worst, d.best) for d in labelled.differentials} == {("FMR", "a", "b"), ("FNMR", "b", "a")}
    assert plain.differentials == []

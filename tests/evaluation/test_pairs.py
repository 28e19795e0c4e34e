"""Pairs from a file: all errors are reported at once, and each picture is analysed once."""

import pytest

from gated.errors import ConfigError, PictureError
from gated.evaluation.confidence import Rate
from gated.evaluation.pairs import Compared, compare, read_pairs
from gated.evaluation.rates import scores_of

RED, GREEN, BLACK = (200, 0, 0), (0, 200, 0), (0, 0, 0)
PINK = (200, 20, 20)


@pytest.fixture
def listed(tmp_path, paint):
    """A function that writes a CSV beside a few pictures and returns its path."""
    for name, colour in (("ann_1.png", RED), ("ann_2.png", PINK), ("bob_1.png", GREEN), ("wall.png", BLACK)):
        paint(f"pictures/{name}", colour)

    def write(*lines: str):
        path = tmp_path / "pictures" / "pairs.csv"
        path.write_text("\n".join(lines))
        return path

    return write


def test_paths_are_relative_to_the_csv_file(listed, tmp_path):
    (pair,) = read_pairs(listed("ann_1.png,ann_2.png,same"))
    assert pair.first == tmp_path / "pictures" / "ann_1.png"
    assert pair.is_mated


def test_a_header_and_blanks_are_accepted(listed):
    pairs = read_pairs(listed("first,second,answer", "", " ann_1.png , bob_1.png , Different ", ""))
    assert [pair.is_mated for pair in pairs] == [False]


def test_every_wrong_line_is_reported_at_once(listed):
    path = listed("ann_1.png,ann_2.png,same", "ann_1.png,bob_1.png,perhaps", "ann_1.png", "gone.png,ann_1.png,same")
    with pytest.raises(ConfigError) as raised:
        read_pairs(path)
    assert len(raised.value.problems) == 3
    assert "line 2" in str(raised.value)
    assert "line 3" in str(raised.value)
    assert "gone.png" in str(raised.value)


@pytest.mark.parametrize("text", ["", "first,second,answer"])
def test_a_file_without_pairs_is_an_error(listed, text):
    with pytest.raises(ConfigError, match="no pair"):
        read_pairs(listed(text))


def test_a_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.csv.*cannot be read"):
        read_pairs(tmp_path / "none.csv")


def test_a_fourth_cell_holds_groups(listed):
    first, second = read_pairs(listed("ann_1.png,ann_2.png,same,women;over 65", "ann_1.png,bob_1.png,different"))
    assert (first.groups, second.groups) == ({"women", "over 65"}, frozenset())


def test_a_pair_counts_in_each_of_its_groups(listed, colours):
    path = listed("ann_1.png,ann_2.png,same,a;b", "ann_1.png,bob_1.png,different,b", "ann_1.png,wall.png,same,c")
    done = compare(colours, read_pairs(path), lambda: None)
    sizes = {group: (it.mated.size, it.non_mated.size) for group, it in done.groups.items()}
    assert sizes == {"a": (1, 0), "b": (1, 1), "c": (0, 0)}
    assert done.groups["c"].failure_to_acquire == Rate.of(1, 2)
    assert colours.photos == 4, "labels analyse no picture twice"


def test_mated_and_non_mated_scores_are_separate(listed, colours):
    path = listed("ann_1.png,ann_2.png,same", "ann_1.png,bob_1.png,different", "ann_2.png,bob_1.png,different")
    done = compare(colours, read_pairs(path), lambda: None)
    assert done.mated.size == 1
    assert done.mated[0] > 0.98
    assert (done.non_mated < 0.2).all()
    assert done.not_separated(0.5) == Rate.of(0, 3)


def test_each_picture_is_analysed_once(listed, colours):
    steps = []
    path = listed(*["ann_1.png,ann_2.png,same"] * 5, "ann_1.png,bob_1.png,different")
    compare(colours, read_pairs(path), lambda: steps.append(1))
    assert colours.photos == len(steps) == 3


def test_a_picture_without_a_face_is_a_failure_to_acquire_and_no_comparison(listed, colours):
    path = listed("ann_1.png,wall.png,same", "ann_1.png,ann_2.png,same")
    done = compare(colours, read_pairs(path), lambda: None)
    assert done.failure_to_acquire == Rate.of(1, 3)
    assert done.mated.size == 1


def test_a_file_other_than_a_picture_is_an_error(listed, colours, tmp_path):
    (tmp_path / "pictures" / "text.png").write_text("no picture")
    with pytest.raises(PictureError, match=r"text\.png"):
        compare(colours, read_pairs(listed("ann_1.png,text.png,same")), lambda: None)


def test_pairs_on_the_wrong_side_of_the_threshold_are_not_separated():
    done = Compared(scores_of([0.9, 0.5, 0.4]), scores_of([0.5, 0.1]), Rate.of(0, 4))
    assert done.not_separated(0.5) == Rate.of(2, 5)

"""The report: every figure with its conditions, the same for people, programs and the picture."""

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

import gated
from gated.evaluation.confidence import Rate
from gated.evaluation.enrolled import Applicant, enrol_all
from gated.evaluation.pairs import Compared
from gated.evaluation.rates import NO_SCORE, scores_of
from gated.evaluation.report import BIN, Report, report_pairs, report_visits


@pytest.fixture
def report(ready, rules, outcome):
    looks = np.array([0.1, 0.2])
    residents = [outcome(subject="a", granted="a", score=s, mated=s, non_mated=looks) for s in (0.9, 0.7, 0.55)]
    strangers = [outcome(score=s) for s in (0.4, 0.1, NO_SCORE)]
    axes = np.eye(64, dtype=np.float32)
    enrolled = enrol_all([Applicant("a", "1", [axes[0]]), Applicant("b", "2", [axes[1]])], 64, rules.threshold)
    return report_visits("somewhere", ready, rules, enrolled, [*residents, *strangers], target_fpir=0.003)


@pytest.fixture
def pairs_report(ready):
    compared = Compared(scores_of([0.9, 0.8, 0.4]), scores_of([0.3, 0.2]), Rate.of(0, 5))
    return report_pairs("2 pairs", ready, 0.5, compared)


def test_a_report_names_its_models_gallery_and_thresholds(report, ready, rules):
    assert (report.gallery_size, report.templates) == (2, 2)
    assert (report.threshold, report.pad_threshold, report.frames) == (0.5, 0.5, 3)
    assert (report.model_set, report.embedder_sha256) == (ready.model_set, ready.embedder_sha256)
    assert all(measure.rate.n for measure in report.measures)


def test_a_rate_is_found_by_its_name(report):
    assert report.rate("FNIR") == Rate.of(0, 3)
    assert report.rate("FTE") == report.rate("alike") == Rate.of(0, 2)
    assert report.rate("APCER") is None
    assert report.rate("FNIR", "children") is None


def test_distributions_count_each_visit_once(report):
    for side, n, unscored in ((report.mated, 3, 0), (report.non_mated, 3, 1)):
        assert (side.n, side.unscored) == (n, unscored)
        assert sum(side.counts) == n - unscored
        assert len(side.counts) == round(2 / BIN)
    assert report.mated.counts[round((0.7 + 1) / BIN)] == 1


def test_a_distribution_as_text_has_mean_and_percentiles(report):
    assert str(report.mated) == "0.72 (0.55 to 0.90, n 3)"
    assert str(report.non_mated_looks) == "0.15 (0.10 to 0.20, n 6)"


def test_a_perfect_score_falls_into_the_last_bin(ready):
    compared = Compared(scores_of([1.0000001]), scores_of([-1.0]), Rate.of(0, 2))
    made = report_pairs("one", ready, 0.5, compared)
    assert (made.mated.counts[-1], made.non_mated.counts[0]) == (1, 1)


def test_without_strangers_the_curve_uses_residents_left_out(ready, rules, outcome):
    residents = [outcome(subject="a", granted="a", score=0.9, score_without=s) for s in (0.1, 0.2)]
    made = report_visits("x", ready, rules, enrol_all([], 64, 0.5), residents, target_fpir=0.003)
    assert made.non_mated.of == "residents left out"
    assert made.proposal.searches == "residents left out"


def test_pairs_have_no_gallery_and_no_proposal(pairs_report):
    assert (pairs_report.gallery_size, pairs_report.proposal, pairs_report.curve.across) == (0, None, "FMR")
    assert pairs_report.rate("not separated", "pairs") == Rate.of(1, 5)
    assert pairs_report.rate("FNMR") == Rate.of(1, 3)
    assert pairs_report.rate("FMR") == Rate.of(0, 2)


def test_a_report_survives_json(report, pairs_report):
    for made in (report, pairs_report):
        assert msgspec.json.decode(msgspec.json.encode(made), type=Report) == made


def test_an_evaluation_without_visits_gives_a_report(ready, rules):
    made = report_visits("x", ready, rules, enrol_all([], 64, 0.5), [], target_fpir=0.003)
    assert (made.measures[0].rate.value, made.proposal, made.curve.thresholds) == (None, None, [])
    assert str(made.mated) == "none"


def test_a_report_contains_no_subject_and_no_template(report):
    text = msgspec.json.encode(report).decode()
    assert not re.search(r'"subject|"embedding"|"vector', text)


def test_the_forbidden_word_is_nowhere():
    chapter = Path(gated.__file__).parent / "evaluation"
    for path in [*chapter.glob("*.py"), chapter.parent / "cli" / "evaluate.py"]:
        assert "accura" not in path.read_text().lower(), path

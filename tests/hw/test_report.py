"""The page that an installer hands over: both halves of a power cut on it, and nothing from outside."""

from hypothesis import given
from hypothesis import strategies as st

from hw_tests.report import Report, Result, load, page, promise_of, save

BOARD = {"board": "Raspberry Pi 5", "gated": "0.1.0"}
KEPT = Result("relay: it is off", "kept", "2026-11-23T10:00:00+00:00", 1.5, {"off after kill -9": "0.012 s"})
BROKEN = Result("power: nothing is lost", "broken", "2026-11-23T11:00:00+00:00", 2.0, why="row 7 is lost")


def test_results_of_several_runs_are_on_one_page_and_the_newest_counts(tmp_path):
    save(load(tmp_path / "report.json", BOARD).with_results([KEPT, BROKEN]), tmp_path)
    mended = Result(BROKEN.promise, "kept", "2026-11-23T12:00:00+00:00", 2.0)
    where = save(load(tmp_path / "report.json", BOARD).with_results([mended]), tmp_path)
    assert load(tmp_path / "report.json", BOARD).results == (KEPT, mended)
    assert where.read_text().count("<tr>") == 2
    assert "2 promises tried, 0 broken" in where.read_text()


def test_the_page_says_on_what_what_was_measured_and_why_not():
    told = page(Report(BOARD, (KEPT, BROKEN)))
    for words in ("Raspberry Pi 5", "off after kill -9: 0.012 s", "row 7 is lost", "1 broken", "2026-11-23T11:00"):
        assert words in told


def test_the_page_needs_nothing_from_outside_and_runs_nothing():
    told = page(Report(BOARD, (BROKEN,)))
    for word in ("http", "src=", "<script", "url("):
        assert word not in told


def test_a_report_that_is_spoilt_is_begun_anew(tmp_path):
    (tmp_path / "report.json").write_text("{")
    assert load(tmp_path / "report.json", BOARD) == Report(BOARD)


@given(st.text(), st.text(), st.text())
def test_no_text_breaks_out_of_the_page(name, value, why):
    told = page(Report({}, (Result(name, "broken", "2026", 0.0, {name: value}, why),)))
    assert told.count("<") == page(Report({}, (Result("", "broken", "2026", 0.0, {"": ""}, why and "x"),))).count("<")


def test_a_promise_is_a_sentence():
    node = "hw_tests/test_gate.py::TestRelay::test_stopping_the_latch_secures_the_lock"
    assert promise_of(node) == "relay: stopping the latch secures the lock"

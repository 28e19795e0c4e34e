"""The page for the installer to hand over: it has both halves of a power cut, and no external resources."""

from hypothesis import given
from hypothesis import strategies as st

from hw_tests.report import Report, Result, load, page, promise_of, save

BOARD = {"board": "Raspberry Pi 5", "gated": "0.1.0"}
KEPT = Result("relay: it is off", "kept", "2026-11-23T10:00:00+00:00", 1.5, {"off after kill -9": "0.012 s"})
BROKEN = Result("power: nothing is lost", "broken", "2026-11-23T11:00:00+00:00", 2.0, why="row 7 is lost")


def test_one_page_has_the_newest_result_of_each_promise(tmp_path):
    save(load(tmp_path / "report.json", BOARD).with_results([KEPT, BROKEN]), tmp_path)
    repaired = Result(BROKEN.promise, "kept", "2026-11-23T12:00:00+00:00", 2.0)
    where = save(load(tmp_path / "report.json", BOARD).with_results([repaired]), tmp_path)
    assert load(tmp_path / "report.json", BOARD).results == (KEPT, repaired)
    assert where.read_text().count("<tr>") == 2
    assert "2 promises tried, 0 broken" in where.read_text()


def test_the_page_has_the_board_the_measurements_and_the_reasons():
    html = page(Report(BOARD, (KEPT, BROKEN)))
    for words in ("Raspberry Pi 5", "off after kill -9: 0.012 s", "row 7 is lost", "1 broken", "2026-11-23T11:00"):
        assert words in html


def test_the_page_has_no_external_resources_and_no_scripts():
    html = page(Report(BOARD, (BROKEN,)))
    for word in ("http", "src=", "<script", "url("):
        assert word not in html


def test_a_damaged_report_is_replaced(tmp_path):
    (tmp_path / "report.json").write_text("{")
    assert load(tmp_path / "report.json", BOARD) == Report(BOARD)


@given(st.text(), st.text(), st.text())
def test_all_text_on_the_page_is_escaped(name, value, why):
    html = page(Report({}, (Result(name, "broken", "2026", 0.0, {name: value}, why),)))
    assert html.count("<") == page(Report({}, (Result("", "broken", "2026", 0.0, {"": ""}, why and "x"),))).count("<")


def test_a_test_name_becomes_a_sentence():
    node = "hw_tests/test_gate.py::TestRelay::test_stopping_the_latch_secures_the_lock"
    assert promise_of(node) == "relay: stopping the latch secures the lock"

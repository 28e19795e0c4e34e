"""The rates of attacks at this gate: what was measured here, or "not measured here"."""

import os

import pytest

from gated.doctor.attack_rates import NAME, AttackRates, ShownRate, of_attacks, recall, store
from gated.doctor.handover_chinese import part, sentence
from gated.errors import StateError

MEASURED = AttackRates(
    "2026-12-01",
    "site",
    0.5,
    (
        ShownRate("bona fide", 0, 10, 0.0, 0.26, 0),
        ShownRate("print", 3, 10, 0.067, 0.652, 1),
        ShownRate("phone", 0, 10, 0.0, 0.26, 0),
    ),
)


def test_a_gate_that_never_did_is_not_measured_here(tmp_path):
    (finding,) = of_attacks(tmp_path, "site")
    assert (finding.part, finding.light, finding.result) == ("PAD", "amber", "not measured here")
    assert "gated evaluate --live" in finding.next_step


def test_each_species_is_a_finding_with_n_and_bounds(tmp_path):
    store(tmp_path, MEASURED)
    assert recall(tmp_path) == MEASURED
    found = {finding.part: finding for finding in of_attacks(tmp_path, "site")}
    assert list(found) == ["PAD: bona fide", "PAD: print", "PAD: phone"]
    assert found["PAD: print"].result == "3 of 10 passed (7 to 65 %), 1 without an answer, on 2026-12-01"
    assert [finding.light for finding in found.values()] == ["green", "amber", "green"]


def test_rates_of_another_model_set_do_not_count(tmp_path):
    store(tmp_path, MEASURED)
    (finding,) = of_attacks(tmp_path, "site-light")
    assert finding.light == "amber"
    assert "not measured here with model set site-light, only with site" in finding.result


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"at": 1}'])
def test_a_damaged_file_is_not_measured_here(tmp_path, data):
    (tmp_path / NAME).write_bytes(data)
    assert [finding.result for finding in of_attacks(tmp_path, "site")] == ["not measured here"]


def test_a_pipe_in_place_of_the_file_holds_no_examination_up(tmp_path):
    os.mkfifo(tmp_path / NAME)
    assert recall(tmp_path) is None


def test_presentations_without_any_answer_prove_nothing(tmp_path):
    store(tmp_path, AttackRates("2026-12-01", "site", 0.5, (ShownRate("print", 0, 0, 0.0, 1.0, 9),)))
    assert [finding.result for finding in of_attacks(tmp_path, "site")] == ["not measured here"]


def test_a_folder_that_cannot_be_written_gives_one_clear_error(tmp_path):
    (tmp_path / NAME).mkdir()
    with pytest.raises(StateError, match="the gate's user"):
        store(tmp_path, MEASURED)


def test_the_chinese_page_has_every_value(tmp_path):
    store(tmp_path, MEASURED)
    for finding in of_attacks(tmp_path, "site"):
        assert part(finding.part) != finding.part
    assert sentence("3 of 10 passed (7 to 65 %), 1 without an answer, on 2026-12-01") == (
        "10 次中 3 次通过（7 至 65 %），1 次没有结果，2026-12-01"
    )

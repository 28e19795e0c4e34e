"""Tests when the updater keeps a version and when it rolls back, by the state of the gate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.config import load
from gated.update.health import PATIENCE, GateObservation, TrialWatch, observe_gate

HEALTH_S = 120.0


def seen(**changes):
    return GateObservation(**{"version": "0.2.0", "lost": [], "head": 9, "latch": "", "has_office": True, **changes})


def judged(looks, every_s=5.0):
    """Return the first verdict over these looks and its time. Each look is a run and a problem."""
    watch, now = TrialWatch(HEALTH_S), 1000.0
    for run, problem in looks:
        if (verdict := watch.judge(run, problem, now)) is not None:
            return verdict, now - 1000.0
        now += every_s
    return None, now - 1000.0


def test_a_version_is_kept_only_after_the_whole_healthy_time():
    assert judged([("1", "")] * 100) == ("", HEALTH_S)


def test_a_version_that_is_never_healthy_is_rolled_back_with_the_reason():
    assert judged([("1", "parts lost during the trial: vision")] * 100) == (
        "parts lost during the trial: vision",
        HEALTH_S * PATIENCE,
    )


def test_a_version_that_never_starts_is_rolled_back():
    assert judged([("", "not on duty")] * 100) == ("not on duty", HEALTH_S * PATIENCE)


def test_a_slow_start_does_not_roll_back():
    assert judged([("", "not on duty")] * 20 + [("1", "")] * 30) == ("", 100.0 + HEALTH_S)


def test_a_brain_that_ends_and_comes_back_begins_anew():
    verdict, after_s = judged([("1", "")] * 20 + [("2", "")] * 100)
    assert verdict == ""
    assert after_s == 20 * 5 + 5 + HEALTH_S


def test_a_brain_that_ends_repeatedly_rolls_the_version_back():
    verdict, _ = judged([(str(number // 10), "") for number in range(200)])
    assert verdict == "the brain ended and was restarted"


def test_a_version_healthy_at_the_last_moment_is_kept():
    bad = int(HEALTH_S * PATIENCE / 5) - 25
    assert judged([("1", "parts lost during the trial: vision")] * bad + [("1", "")] * 40)[0] == ""


@given(st.lists(st.tuples(st.sampled_from(["", "1", "2"]), st.sampled_from(["", "bad"])), min_size=61, max_size=61))
def test_there_is_always_a_verdict_in_the_end_and_kept_means_well(looks):
    looks = [(run, problem if run else "not on duty") for run, problem in looks]
    verdict, after_s = judged(looks)
    assert verdict is not None
    assert after_s <= HEALTH_S * PATIENCE
    if verdict == "":
        last = looks[int(after_s // 5) - int(HEALTH_S // 5) : int(after_s // 5) + 1]
        assert len({run for run, _ in last}) == 1
        assert all(problem == "" for _, problem in last)


def test_the_version_that_runs_must_be_the_one_on_trial():
    assert seen(version="0.1.0").problem("0.2.0", ()) == "0.1.0 was started, not 0.2.0"
    assert seen(version="").problem("0.2.0", ()) == "nothing was started, not 0.2.0"


def test_a_part_lost_before_the_update_does_not_count_against_it():
    assert seen(lost=["vision"]).problem("0.2.0", ["vision"]) == ""
    assert seen(lost=["journal", "vision"]).problem("0.2.0", ["vision"]) == "parts lost during the trial: journal"


def test_a_link_that_is_down_counts_only_while_the_office_can_be_reached():
    assert seen(lost=["network"]).problem("0.2.0", ()) == "parts lost during the trial: network"
    assert seen(lost=["network"], has_office=False).problem("0.2.0", ()) == ""
    assert seen(lost=["server", "clock"]).problem("0.2.0", ()) == ""


def test_a_latch_that_does_not_answer_is_a_fault():
    assert seen(latch="no latch answers").problem("0.2.0", ()) == "no latch answers"


@pytest.mark.slow
def test_a_real_gate_is_seen_as_it_is(gate, wait_for):
    (gate.folder / "frames").mkdir()
    settings = load(gate.config)
    gate.state.mkdir(mode=0o700)
    before = observe_gate(settings)
    assert before.version == ""
    assert before.latch != ""
    gate.start("run")
    wait_for(
        lambda: observe_gate(settings).latch == "" and "vision" in observe_gate(settings).lost, 30
    )  # there is no picture to show
    now = observe_gate(settings)
    assert now.version == gate.run("--version").stdout.split()[-1]
    assert now.head > before.head
    assert not now.has_office

"""One clock and one random generator."""

from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.timeline import Timeline


@given(st.lists(st.floats(0, 100), max_size=20))
def test_actions_run_at_their_time_and_in_order(delays):
    timeline, done = Timeline(seed=1), []
    for delay in delays:
        timeline.at(timeline.now + delay, lambda: done.append(timeline.now))
    timeline.advance(50.0)
    assert done == sorted(done)
    assert len(done) == sum(1000.0 + delay <= 1050.0 for delay in delays)
    timeline.advance(51.0)
    assert len(done) == len(delays)
    assert timeline.now == 1101.0


def test_an_action_can_schedule_another_in_the_same_advance():
    timeline, done = Timeline(seed=1), []

    def again():
        done.append(timeline.now)
        timeline.at(timeline.now + 1, again)

    timeline.at(1001.0, again)
    timeline.advance(3.5)
    assert done == [1001.0, 1002.0, 1003.0]


def test_an_action_in_the_past_runs_now():
    timeline, done = Timeline(seed=1), []
    timeline.advance(5.0)
    timeline.at(1000.0, lambda: done.append(timeline.now))
    timeline.advance(1.0)
    assert done == [1005.0]


def test_the_same_seed_gives_the_same_random_numbers():
    first, second, other = Timeline(3), Timeline(3), Timeline(4)
    throws = [[t.happens(0.5, 1.0) for _ in range(64)] for t in (first, second, other)]
    assert throws[0] == throws[1] != throws[2]

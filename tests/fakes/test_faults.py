"""Seven faults, each with one meaning for every part."""

from itertools import pairwise

import pytest

from gated.errors import CameraError
from tests.fakes.faults import DELAY_S, FLICKER_S, SLOW_S, Faulty, Verb
from tests.fakes.timeline import Timeline


class Counter:
    """A part whose true value is the current second."""

    def __init__(self):
        self.timeline = Timeline(seed=2, now=0.0)
        self.part = Faulty(
            self.timeline, self.read, off=lambda: None, garbage=lambda dice: dice.random() + 1000, wrong=lambda n: -n
        )

    def read(self):
        return self.timeline.now

    def values(self, seconds, step=0.1):
        values = []
        for _ in range(round(seconds / step)):
            self.timeline.advance(step)
            values.append(self.part.read())
        return values


@pytest.fixture
def counter():
    return Counter()


def test_without_a_fault_a_part_gives_the_true_value(counter):
    assert counter.values(0.3) == pytest.approx([0.1, 0.2, 0.3])


def test_off_gives_the_dead_value(counter):
    counter.part.inflict(Verb.OFF)
    assert counter.values(0.3) == [None] * 3


def test_stuck_repeats_the_last_value(counter):
    counter.values(1.0)
    counter.part.inflict(Verb.STUCK)
    assert counter.values(50.0) == pytest.approx([1.0] * 500)


def test_stuck_before_the_first_read_gives_the_first_value(counter):
    counter.part.inflict(Verb.STUCK)
    assert counter.values(1.0) == [0.0] * 10


def test_garbage_is_never_true_and_never_equal(counter):
    counter.part.inflict(Verb.GARBAGE)
    values = counter.values(2.0)
    assert min(values) >= 1000
    assert len(set(values)) == len(values)


def test_wrong_is_false_at_every_read(counter):
    counter.part.inflict(Verb.WRONG)
    assert counter.values(0.3) == pytest.approx([-0.1, -0.2, -0.3])


def test_slow_changes_its_value_only_after_an_interval(counter):
    counter.part.inflict(Verb.SLOW)
    values = counter.values(10.0)
    assert len(set(values)) == pytest.approx(10 / SLOW_S, abs=1.5)
    assert all(-1e-6 <= now - value <= SLOW_S + 0.11 for now, value in zip(range_of(10.0), values, strict=True))


def range_of(seconds, step=0.1):
    return [step * (n + 1) for n in range(round(seconds / step))]


def test_delayed_gives_the_value_of_two_seconds_ago(counter):
    counter.values(5.0)
    counter.part.inflict(Verb.DELAYED)
    assert counter.values(1.0) == pytest.approx([now - DELAY_S for now in [5 + n for n in range_of(1.0)]], abs=0.11)


def test_delayed_before_the_delay_gives_the_first_value(counter):
    counter.part.inflict(Verb.DELAYED)
    assert counter.values(1.0) == pytest.approx([0.1] * 10)


def test_intermittent_works_or_is_off_for_a_while(counter):
    counter.part.inflict(Verb.INTERMITTENT)
    values = counter.values(60.0)
    works = [value is not None for value in values]
    assert 0.3 < sum(works) / len(works) < 0.7
    assert all(value is None or value == pytest.approx(now) for now, value in zip(range_of(60.0), values, strict=True))
    changes = sum(a != b for a, b in pairwise(works))
    assert changes <= 60 / FLICKER_S


def test_after_the_fault_the_value_is_true_again(counter):
    for verb in Verb:
        counter.part.inflict(verb)
        counter.values(1.0)
        counter.part.inflict(None)
        assert counter.values(0.1) == pytest.approx([counter.timeline.now])


def test_a_dead_part_may_raise():
    timeline = Timeline(seed=1)

    def dead():
        raise CameraError("the part is off")

    part = Faulty(timeline, lambda: 1, off=dead, garbage=lambda dice: 2, wrong=lambda n: 3)
    part.inflict(Verb.OFF)
    with pytest.raises(CameraError):
        part.read()


def test_there_are_seven_faults():
    assert list(Verb) == ["off", "stuck", "garbage", "wrong", "slow", "delayed", "intermittent"]

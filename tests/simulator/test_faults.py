"""Seven words, each with one meaning for every part."""

from itertools import pairwise

import pytest

from gated.errors import CameraError
from gated.simulator.faults import DELAY_S, FLICKER_S, SLOW_S, Faulty, Verb
from gated.simulator.timeline import Timeline


class Counter:
    """A part that says what second it is."""

    def __init__(self):
        self.timeline = Timeline(seed=2, now=0.0)
        self.part = Faulty(
            self.timeline, self.read, off=lambda: None, garbage=lambda dice: dice.random() + 1000, wrong=lambda n: -n
        )

    def read(self):
        return self.timeline.now

    def says(self, seconds, step=0.1):
        said = []
        for _ in range(round(seconds / step)):
            self.timeline.advance(step)
            said.append(self.part.read())
        return said


@pytest.fixture
def counter():
    return Counter()


def test_a_sound_part_says_the_truth(counter):
    assert counter.says(0.3) == pytest.approx([0.1, 0.2, 0.3])


def test_off_it_says_nothing(counter):
    counter.part.inflict(Verb.OFF)
    assert counter.says(0.3) == [None] * 3


def test_stuck_it_says_for_ever_what_it_said_last(counter):
    counter.says(1.0)
    counter.part.inflict(Verb.STUCK)
    assert counter.says(50.0) == pytest.approx([1.0] * 500)


def test_stuck_from_the_first_it_says_what_it_would_have_said(counter):
    counter.part.inflict(Verb.STUCK)
    assert counter.says(1.0) == [0.0] * 10


def test_garbage_is_never_the_truth_and_never_twice_alike(counter):
    counter.part.inflict(Verb.GARBAGE)
    said = counter.says(2.0)
    assert min(said) >= 1000
    assert len(set(said)) == len(said)


def test_wrong_is_false_each_time(counter):
    counter.part.inflict(Verb.WRONG)
    assert counter.says(0.3) == pytest.approx([-0.1, -0.2, -0.3])


def test_slow_it_says_something_new_only_now_and_then(counter):
    counter.part.inflict(Verb.SLOW)
    said = counter.says(10.0)
    assert len(set(said)) == pytest.approx(10 / SLOW_S, abs=1.5)
    assert all(-1e-6 <= now - heard <= SLOW_S + 0.11 for now, heard in zip(range_of(10.0), said, strict=True))


def range_of(seconds, step=0.1):
    return [step * (n + 1) for n in range(round(seconds / step))]


def test_delayed_it_says_what_was(counter):
    counter.says(5.0)
    counter.part.inflict(Verb.DELAYED)
    assert counter.says(1.0) == pytest.approx([now - DELAY_S for now in [5 + n for n in range_of(1.0)]], abs=0.11)


def test_delayed_from_the_first_it_waits_for_its_first_word(counter):
    counter.part.inflict(Verb.DELAYED)
    assert counter.says(1.0) == pytest.approx([0.1] * 10)


def test_intermittent_it_is_sound_or_off_for_a_while_at_a_time(counter):
    counter.part.inflict(Verb.INTERMITTENT)
    said = counter.says(60.0)
    works = [word is not None for word in said]
    assert 0.3 < sum(works) / len(works) < 0.7
    assert all(word is None or word == pytest.approx(now) for now, word in zip(range_of(60.0), said, strict=True))
    changes = sum(a != b for a, b in pairwise(works))
    assert changes <= 60 / FLICKER_S


def test_healed_it_says_the_truth_again(counter):
    for verb in Verb:
        counter.part.inflict(verb)
        counter.says(1.0)
        counter.part.inflict(None)
        assert counter.says(0.1) == pytest.approx([counter.timeline.now])


def test_a_dead_part_may_raise():
    timeline = Timeline(seed=1)

    def dead():
        raise CameraError("it was made to fail")

    part = Faulty(timeline, lambda: 1, off=dead, garbage=lambda dice: 2, wrong=lambda n: 3)
    part.inflict(Verb.OFF)
    with pytest.raises(CameraError):
        part.read()


def test_the_words_are_seven():
    assert list(Verb) == ["off", "stuck", "garbage", "wrong", "slow", "delayed", "intermittent"]

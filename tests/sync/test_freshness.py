"""Only a heartbeat after our challenge proves that the office still speaks. A broker cannot replay one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.events import OfficeSilent
from gated.protocol.status_messages import Heartbeat
from gated.sync.freshness import OPEN_CHALLENGES, REACHED_S, UNPROVED_S, Freshness

HOUR_S = 3600.0


@pytest.fixture
def freshness():
    return Freshness(silent_h=24.0, now=0.0)


def word(challenge, beat):
    return Heartbeat(site="s", gate="g", challenge=challenge, number=beat, at="", version=0, digest="")


def test_no_two_challenges_are_alike(freshness):
    assert len({freshness.challenge(0.0) for _ in range(1000)}) == 1000


def test_a_proof_is_as_old_as_the_challenge_and_not_as_the_answer(freshness):
    challenge = freshness.challenge(100.0)
    assert freshness.accept(word(challenge, 1))
    assert freshness.silent_s(400.0) == 300


def test_before_the_first_proof_there_is_no_age_to_tell(freshness):
    assert freshness.silent_s(5 * HOUR_S) == 0


def test_a_heartbeat_without_a_known_challenge_proves_nothing_and_is_accepted(freshness):
    assert freshness.accept(word("of another start", 7))
    assert (freshness.heartbeat, freshness.silent_s(HOUR_S)) == (7, 0)
    assert freshness.silence_event(25 * HOUR_S) is not None


def test_a_repeated_heartbeat_proves_nothing(freshness):
    same = word(freshness.challenge(0.0), 5)
    assert freshness.accept(same)
    assert not freshness.accept(same)
    assert not freshness.accept(word("x", 4))


def test_several_heartbeats_may_echo_one_challenge(freshness):
    challenge = freshness.challenge(10.0)
    assert freshness.accept(word(challenge, 1))
    assert freshness.accept(word(challenge, 2))
    assert (freshness.heartbeat, freshness.silent_s(100.0)) == (2, 90)


def test_an_office_that_has_lost_its_count_is_believed_once_it_echoes_what_is_new(freshness):
    freshness.accept(word(freshness.challenge(0.0), 1000))
    assert not freshness.accept(word("x", 3))
    assert freshness.accept(word(freshness.challenge(5.0), 3))
    assert freshness.heartbeat == 3


def test_an_older_challenge_than_the_one_that_is_proved_proves_nothing(freshness):
    older, newer = freshness.challenge(1.0), freshness.challenge(2.0)
    assert freshness.accept(word(newer, 2))
    assert not freshness.accept(word(older, 1))
    assert freshness.accept(word(older, 3))
    assert freshness.silent_s(12.0) == 10


def test_only_the_newest_challenges_are_kept(freshness):
    first = freshness.challenge(0.0)
    for _ in range(OPEN_CHALLENGES):
        freshness.challenge(1.0)
    freshness.accept(word(first, 1))
    assert freshness.silent_s(HOUR_S) == 0


def test_silence_is_counted_from_the_start_and_its_begin_and_end_are_reported_once(freshness):
    assert freshness.silence_event(24 * HOUR_S) is None
    assert freshness.silence_event(24 * HOUR_S + 1) == OfficeSilent(86401)
    assert freshness.silence_event(30 * HOUR_S) is None
    freshness.accept(word(freshness.challenge(31 * HOUR_S), 1))
    assert freshness.silence_event(31 * HOUR_S) == OfficeSilent(31 * 3600, is_over=True)
    assert freshness.silence_event(31 * HOUR_S) is None


def test_a_proof_that_comes_too_late_to_be_fresh_ends_no_silence(freshness):
    challenge = freshness.challenge(HOUR_S)
    assert freshness.silence_event(25 * HOUR_S) is not None
    freshness.accept(word(challenge, 1))
    assert freshness.silence_event(26 * HOUR_S) is None


def seconds(freshness, first, last, step_s=1.0):
    """Ask once every `step_s` seconds while the broker is reached, and return the reported changes."""
    told, now = [], first
    while now <= last:
        told += [turn for turn in [freshness.silence_event(now)] if turn is not None]
        now += step_s
    return told


def test_a_silent_office_on_an_open_connection_is_reported_within_minutes(freshness):
    freshness.accept(word(freshness.challenge(100.0), 1))
    assert seconds(freshness, 100.0, 100.0 + UNPROVED_S) == []
    assert seconds(freshness, 101.0 + UNPROVED_S, 110.0 + UNPROVED_S) == [OfficeSilent(int(UNPROVED_S) + 1)]
    freshness.accept(word(freshness.challenge(2000.0), 2))
    assert [turn.is_over for turn in seconds(freshness, 2000.0, 2000.0 + UNPROVED_S)] == [True]


def test_a_network_that_was_away_is_no_silent_office_before_it_had_time_to_answer(freshness):
    freshness.accept(word(freshness.challenge(100.0), 1))
    assert seconds(freshness, 101.0, 200.0) == []
    back = 200.0 + 5 * HOUR_S
    assert seconds(freshness, back, back + REACHED_S - 101.0) == []
    assert len(seconds(freshness, back + REACHED_S - 100.0, back + REACHED_S)) == 1


def test_a_broker_that_cuts_the_line_every_minute_hides_no_silence(freshness):
    told = []
    for minute in range(15):
        told += seconds(freshness, 90.0 * minute, 90.0 * minute + 60.0)
    assert [turn.is_over for turn in told] == [False]


steps = st.lists(st.tuples(st.sampled_from(["ask", "answer", "replay", "forge"]), st.integers(0, 40)), max_size=60)


@given(steps)
def test_no_repeated_message_is_younger_than_the_newest_answered_challenge(steps):
    freshness, now, asked, answered, heard, beat = Freshness(1.0, 0.0), 0.0, [], None, [], 0
    for what, number in steps:
        now += number
        if what == "ask":
            asked.append((freshness.challenge(now), now))
        elif what == "answer" and asked:
            beat += 1
            challenge, at = asked[number % len(asked)]
            heard.append(word(challenge, beat))
            freshness.accept(heard[-1])
            if len(asked) - number % len(asked) <= OPEN_CHALLENGES:
                answered = max(at, answered or 0.0)
        elif what == "replay" and heard:
            assert not freshness.accept(heard[number % len(heard)])
        elif what == "forge":
            beat += 1
            freshness.accept(word("no challenge of ours", beat))
        assert freshness.silent_s(now) == (0 if answered is None else int(now - answered))
        turn = freshness.silence_event(now)
        silence_s = now - (answered or 0.0)
        assert turn is None or (silence_s <= HOUR_S if turn.is_over else silence_s > UNPROVED_S)

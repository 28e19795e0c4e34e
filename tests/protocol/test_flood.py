"""Flooding costs tokens, and messages are compared byte by byte."""

from hypothesis import given
from hypothesis import strategies as st

from gated.protocol.flood import Bucket, Repetitions


def test_a_full_bucket_gives_its_tokens_at_once_and_then_as_it_refills():
    bucket = Bucket(most=3, per_s=2)
    assert [bucket.spend_token(100.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.spend_token(100.4)
    assert bucket.spend_token(100.5)
    assert not bucket.spend_token(100.5)


def test_an_unused_bucket_is_never_fuller_than_its_limit():
    bucket = Bucket(most=3, per_s=2)
    bucket.spend_token(0.0)
    assert sum(bucket.spend_token(1e6) for _ in range(10)) == 3


@given(st.lists(st.floats(0, 10), max_size=100), st.integers(1, 20), st.integers(1, 20))
def test_no_time_span_gives_more_tokens_than_the_limit_plus_the_refill(pauses, most, per_s):
    bucket, now, taken = Bucket(most, per_s), 50.0, 0
    for pause in pauses:
        now += pause
        taken += bucket.spend_token(now)
    assert taken <= most + (now - 50.0) * per_s + 1e-6


def test_a_repeated_message_is_recognised():
    heard = Repetitions(kept=10)
    heard.note(b"a")
    assert heard.has(b"a")
    assert not heard.has(b"b")
    heard.note(b"a")
    assert heard.has(b"a")


def test_asking_for_a_repetition_does_not_store_the_message():
    heard = Repetitions(kept=2)
    for payload in (b"a", b"b"):
        assert not heard.has(payload)
        heard.note(payload)
    for _ in range(5):
        assert not heard.has(b"c")
        assert heard.has(b"a")
    heard.note(b"c")  # a goes: a query alone does not keep it
    assert [heard.has(payload) for payload in (b"a", b"b", b"c")] == [False, True, True]


def test_only_the_limit_is_remembered_and_repeated_ones_stay():
    heard = Repetitions(kept=3)
    for payload in (b"a", b"b", b"c", b"a", b"d"):  # b goes
        heard.note(payload)
    assert [heard.has(payload) for payload in (b"a", b"b", b"c", b"d")] == [True, False, True, True]


@given(st.lists(st.binary(max_size=3), max_size=50))
def test_below_the_limit_it_behaves_like_a_set(payloads):
    heard, seen = Repetitions(kept=100), set()
    for payload in payloads:
        assert heard.has(payload) == (payload in seen)
        heard.note(payload)
        seen.add(payload)

"""Invitations: a pairing code works once, for one hour, regardless of wrong tries. A gate that used it has ten more
minutes.
"""

import sqlite3
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.errors import StateError
from gated.office.invitations import REPEAT_S, VALID_S, Invitation, Invitations, judge

sys.path.append(str(Path(__file__).parents[1]))
from odd_rows import dice, spoil, values_for

AT = 1_800_000_000.0
RIGHT, WRONG = "ab" * 32, "cd" * 32
KEYS, OTHERS = "11" * 32, "22" * 32
FRESH = Invitation(RIGHT, AT, 0, None, None)

INVITATIONS = st.builds(
    Invitation, st.just(RIGHT), st.just(AT), st.integers(0, 10), st.sampled_from([None, KEYS, OTHERS]),
    st.one_of(st.none(), st.floats(AT, AT + VALID_S)), st.floats(60, 9000),
)  # fmt: skip
TIMES = st.floats(AT - 10_000, AT + 10_000)


@pytest.fixture
def invitations(tmp_path):
    invitations = Invitations(tmp_path)
    yield invitations
    invitations.close()


@given(INVITATIONS, st.sampled_from([KEYS, OTHERS]), TIMES)
def test_a_wrong_code_is_refused_and_reveals_nothing(invitation, keys, at):
    assert judge(invitation, WRONG, keys, at) == "wrong"


@given(INVITATIONS, st.sampled_from([KEYS, OTHERS]), TIMES)
def test_a_used_code_is_valid_for_the_same_keys_for_ten_minutes(invitation, keys, at):
    if judge(invitation, RIGHT, keys, at) != "good":
        return
    if invitation.used_at is None:
        assert AT <= at <= AT + invitation.valid_s
    else:
        assert invitation.keys == keys
        assert 0 <= at - invitation.used_at <= REPEAT_S


def test_a_gate_without_an_invitation_is_refused():
    assert judge(None, RIGHT, KEYS, AT) == "wrong"


@pytest.mark.parametrize(("after_s", "verdict"), [(0, "good"), (VALID_S, "good"), (VALID_S + 1, "old"), (-1, "old")])
def test_a_code_is_valid_for_an_hour(after_s, verdict):
    assert judge(FRESH, RIGHT, KEYS, AT + after_s) == verdict


def test_no_number_of_wrong_codes_invalidates_the_right_one(invitations):
    """Gate names are no secret. With a limit on wrong tries, a stranger could block every pairing."""
    invitations.invite("gate-2", RIGHT, AT)
    assert [invitations.judge_try("gate-2", WRONG, KEYS, AT) for _ in range(100)] == ["wrong"] * 100
    assert invitations.open(AT)["gate-2"].wrong == 100
    assert invitations.judge_try("gate-2", RIGHT, KEYS, AT) == "good"
    assert invitations.use("gate-2", RIGHT, KEYS, AT) == "good"


def test_a_code_locked_by_an_older_version_is_valid_again(invitations):
    invitations.invite("gate-2", RIGHT, AT)
    with sqlite3.connect(invitations._path) as other:
        other.execute("UPDATE invitation SET wrong = 5")
    other.close()
    assert invitations.judge_try("gate-2", RIGHT, KEYS, AT) == "good"


def test_checking_a_code_writes_nothing(invitations):
    invitations.invite("gate-2", RIGHT, AT)
    invitations.use("gate-2", RIGHT, KEYS, AT)
    assert invitations.knows("gate-2", RIGHT), "also one that was used: its answer may have been lost"
    assert not invitations.knows("gate-2", WRONG)
    assert not invitations.knows("gate-3", RIGHT)
    assert invitations.open(AT) == {} or invitations.open(AT)["gate-2"].wrong == 0


def test_checking_does_not_use_a_code_and_pairing_does(invitations):
    invitations.invite("gate-2", RIGHT, AT)
    assert [invitations.judge_try("gate-2", RIGHT, OTHERS, AT) for _ in range(9)] == ["good"] * 9
    assert invitations.use("gate-2", RIGHT, KEYS, AT) == "good"
    assert invitations.use("gate-2", RIGHT, OTHERS, AT) == "spent"
    assert invitations.judge_try("gate-2", RIGHT, OTHERS, AT) == "spent"


def test_a_repeated_code_is_not_valid_longer(invitations):
    invitations.invite("gate-2", RIGHT, AT)
    for after_s in (0, REPEAT_S - 1, REPEAT_S):
        assert invitations.use("gate-2", RIGHT, KEYS, AT + after_s) == "good"
    assert invitations.use("gate-2", RIGHT, KEYS, AT + REPEAT_S + 1) == "spent"


def test_a_code_is_valid_for_one_gate(invitations):
    invitations.invite("gate-2", RIGHT, AT)
    assert invitations.judge_try("gate-3", RIGHT, KEYS, AT) == "wrong"
    assert invitations.judge_try("gate-2", RIGHT, KEYS, AT) == "good"


def test_a_new_code_invalidates_the_earlier_one(invitations):
    invitations.invite("gate-2", WRONG, AT)
    invitations.invite("gate-2", RIGHT, AT)
    assert invitations.judge_try("gate-2", WRONG, KEYS, AT) == "wrong"
    assert invitations.judge_try("gate-2", RIGHT, KEYS, AT) == "good"


def test_wrong_codes_are_counted_across_a_restart(tmp_path, invitations):
    invitations.invite("gate-2", RIGHT, AT)
    for _ in range(3):
        invitations.judge_try("gate-2", WRONG, KEYS, AT)
    invitations.close()
    again = Invitations(tmp_path)
    assert again.open(AT)["gate-2"].wrong == 3
    again.close()


def test_only_one_of_two_simultaneous_gates_uses_the_code(tmp_path, invitations):
    invitations.invite("gate-2", RIGHT, AT)
    verdicts = []

    def use(keys):
        ours = Invitations(tmp_path)
        verdicts.append(ours.use("gate-2", RIGHT, keys, AT))
        ours.close()

    threads = [threading.Thread(target=use, args=(f"{number:064d}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(verdicts) == ["good", "spent", "spent", "spent"]


def test_the_file_has_only_digests_and_is_private(tmp_path, invitations):
    invitations.invite("gate-2", RIGHT, AT)
    assert (tmp_path / "invitations.db").stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_is_reported(tmp_path, invitations):
    with sqlite3.connect(tmp_path / "invitations.db") as other:
        other.execute("DROP TABLE invitation")
    other.close()
    with pytest.raises(StateError, match=r"invitations\.db"):
        invitations.judge_try("gate-2", RIGHT, KEYS, AT)


@pytest.mark.parametrize("column", ["gate", "code", "given_at", "wrong", "keys", "used_at", "valid_s"])
def test_a_damaged_invitation_is_invalid_and_every_other_is_valid(invitations, tmp_path, column):
    path = tmp_path / "invitations.db"
    for value in values_for_column(invitations, path, column):
        invitations.cancel("gate-1")
        invitations.invite("gate-1", RIGHT, AT)
        invitations.invite("gate-2", RIGHT, AT)
        if not spoil(path, "invitation", column, value):
            continue
        said = f"{column} became {value!r}"
        again = Invitations(tmp_path)
        assert "gate-2" in again.open(AT), said
        assert again.judge_try("gate-2", RIGHT, KEYS, AT) == "good", said
        assert not again.knows("gate-1", WRONG), said
        assert again.judge_try("gate-1", WRONG, KEYS, AT) == "wrong", said
        again.invite("gate-1", RIGHT, AT)
        assert again.judge_try("gate-1", RIGHT, KEYS, AT) == "good", said
        again.close()


def values_for_column(invitations, path, column):
    invitations.invite("gate-1", RIGHT, AT)
    every = values_for(path, "invitation", column)
    return dice(f"invitation {column}").sample(every, min(8, len(every)))


def test_a_wrong_code_count_at_the_integer_limit_still_counts(invitations, tmp_path):
    invitations.invite("gate-1", RIGHT, AT)
    spoil(tmp_path / "invitations.db", "invitation", "wrong", 2**63 - 1)
    assert Invitations(tmp_path).judge_try("gate-1", WRONG, KEYS, AT) == "wrong"

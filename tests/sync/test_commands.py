"""A command counts once, while it is fresh, and never again: not replayed, nor after a restart or a power cut."""

import contextlib
import random
import sqlite3
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from gated import database
from gated.errors import StateError
from gated.events import Commanded
from gated.sync.commands import (
    CHALLENGE_S,
    MOST_AHEAD,
    MOST_CHALLENGES,
    MOST_FINDINGS,
    WINDOW,
    CommandDesk,
    Outcome,
    commanded,
)
from gated.sync.messages import MAX_PLAIN_BYTES, Command, Diagnose, Finding, Release, Reply, Restart, SetLockdown

sys.path.append(str(Path(__file__).parents[1]))
from contracts.disk import Connection, ForgetfulDisk, migrate

NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
SITE, GATE = "courtyard-2", "front"


def order(number, action=Release(), at=NOON, *, challenge="", id_=None, gate=GATE):  # noqa: B008 - frozen
    return Command(
        site=SITE, gate=gate, id=id_ or f"{number:032x}", number=number, at=at.isoformat(), challenge=challenge,
        operator="li", reason="a neighbour forgot the card", action=action,
    )  # fmt: skip


def after(seconds):
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def opened(tmp_path):
    """Opens desks on one ledger, and closes them in the end."""
    with contextlib.ExitStack() as closing:
        yield lambda: closing.enter_context(contextlib.closing(CommandDesk(tmp_path, SITE, GATE)))


@pytest.fixture
def desk(opened):
    return opened()


def test_a_fresh_command_is_carried_out(desk):
    command = order(1)
    assert desk.hear(command, 10.0, NOON) is command


def test_the_ledger_is_written_in_full_before_the_command_is_given_out(desk, opened):
    assert desk._ledger.execute("PRAGMA synchronous").fetchone()[0] == 2, "FULL"
    assert desk.hear(order(1), 10.0, NOON) == order(1)
    assert opened().hear(order(1), 10.0, NOON) is None, "another process knows already"


def test_a_replayed_command_gets_the_first_answer_and_nothing_else(desk, opened):
    assert desk.hear(order(1), 10.0, NOON) == order(1)
    assert desk.hear(order(1), 10.1, NOON) is None, "while it is being carried out there is no answer"
    reply = desk.settle(order(1), Outcome("done"))
    assert reply == Reply(site=SITE, gate=GATE, command=order(1).id, outcome="done")
    assert [desk.hear(order(1), 11.0, NOON) for _ in range(1000)] == [reply] * 1000
    assert opened().hear(order(1), 0.5, NOON) == reply


def test_a_command_that_a_restart_interrupted_is_not_begun_again(desk, opened):
    desk.hear(order(1), 10.0, NOON)
    desk.close()
    assert opened().hear(order(1), 0.1, NOON) is None


def test_a_number_is_good_for_one_command_and_an_id_for_one_number(desk):
    desk.hear(order(1), 10.0, NOON)
    desk.settle(order(1), Outcome("done"))
    assert desk.hear(order(1, id_="f" * 32), 10.0, NOON).outcome == "spent"
    assert desk.hear(order(2, id_=order(1).id), 10.0, NOON) is None
    desk.hear(order(3), 10.0, NOON)
    assert desk.hear(order(3, id_=order(1).id), 10.0, NOON) is None


def test_commands_may_overtake_each_other_within_the_window(desk, opened):
    assert desk.hear(order(WINDOW + 1), 10.0, NOON) == order(WINDOW + 1)
    assert desk.hear(order(1), 10.0, NOON).outcome == "spent", "too far below"
    desk = opened()
    for number in (2, WINDOW, 5):
        assert desk.hear(order(number), 10.0, NOON) == order(number)


def test_the_ledger_stays_small_and_the_highest_number_stays_known(desk, opened):
    for number in range(1, 400):
        desk.hear(order(number), 10.0, NOON)
    assert desk._ledger.execute("SELECT count(*) FROM commands").fetchone()[0] == WINDOW
    assert opened().hear(order(399 - WINDOW), 10.0, NOON).outcome == "spent"
    again = [opened().hear(order(number), 10.0, NOON) for number in range(1, 400)]
    assert not any(isinstance(answer, Command) for answer in again)


def test_a_jump_of_more_than_a_million_is_refused_and_spends_nothing(desk):
    desk.hear(order(7), 10.0, NOON)
    for number in (7 + MOST_AHEAD + 1, 2**63 - 1):
        reply = desk.hear(order(number), 10.0, NOON)
        assert isinstance(reply, Reply)
        assert reply.outcome == "refused"
    assert desk.hear(order(8), 10.0, NOON) == order(8)
    assert desk.hear(order(8 + MOST_AHEAD), 10.0, NOON) == order(8 + MOST_AHEAD)


@pytest.mark.parametrize(
    ("action", "age_s", "is_fresh"),
    [
        (Release(), 5, True),
        (Release(), -5, True),
        (Release(), 5.1, False),
        (Release(), -5.1, False),
        (SetLockdown(on=False), 300, True),
        (SetLockdown(on=False), 300.1, False),
        (Restart(), -301, False),
    ],
)
def test_a_release_is_fresh_for_5_s_and_all_else_for_5_minutes(desk, action, age_s, is_fresh):
    heard = desk.hear(order(1, action), 10.0, after(age_s))
    assert (heard == order(1, action)) == is_fresh
    assert is_fresh or heard.outcome == "refused"


def test_a_stale_command_is_refused_once_and_for_all(desk):
    reply = desk.hear(order(1), 10.0, after(6))
    assert reply.why == "too old: 6 s, at most 5 s count; order it anew"
    assert desk.hear(order(1), 11.0, NOON) == reply, "its number is spent, though the clock went back"


@pytest.mark.parametrize(
    "at", ["", "yesterday", "2027-01-15T12:00:00", "2027-13-15T12:00:00Z", "0001-01-01T00:00+23:59"]
)
def test_a_time_that_is_none_is_never_fresh(desk, at):
    command = Command(
        site=SITE, gate=GATE, id="a" * 32, number=1, at=at, operator="li", reason="", action=Release()
    )  # fmt: skip
    assert desk.hear(command, 10.0, NOON).outcome == "refused"


@given(text=st.text(max_size=40))
@settings(deadline=None, max_examples=200)
def test_no_text_in_the_place_of_the_time_does_harm(text):
    from gated.sync.commands import _age_s

    age_s = _age_s(text, NOON)
    assert age_s is None or isinstance(age_s, float)


def test_without_a_trusted_clock_a_challenge_proves_that_a_command_is_fresh(desk):
    reply = desk.hear(order(1), 10.0, None)
    assert reply.outcome == "challenge"
    assert len(reply.challenge) == 32
    again = order(2, at=after(-900), challenge=reply.challenge)
    assert desk.hear(again, 10.0 + CHALLENGE_S, None) is again, "then the time does not count"
    assert desk.hear(order(1), 11.0, None) == reply, "the first stays spent"


def test_a_challenge_is_good_once_and_for_5_s_of_this_life(desk, opened):
    first, second = (desk.hear(order(number), 10.0, None).challenge for number in (1, 2))
    assert first != second
    assert desk.hear(order(3, challenge=first), 10.0 + CHALLENGE_S + 0.1, None).outcome == "challenge", "too late"
    assert desk.hear(order(4, challenge=second), 11.0, None) == order(4, challenge=second)
    assert desk.hear(order(5, challenge=second), 11.0, None).outcome == "challenge", "used"
    third = desk.hear(order(6), 12.0, None).challenge
    assert opened().hear(order(7, challenge=third), 12.1, None).outcome == "challenge", "of another life"
    assert desk.hear(order(8, challenge=""), 12.1, None).outcome == "challenge"


def test_a_used_up_challenge_does_not_make_an_old_command_fresh_when_the_clock_is_trusted_again(desk):
    challenge = desk.hear(order(1), 10.0, None).challenge
    desk.hear(order(2, challenge=challenge), 10.0, None)
    assert desk.hear(order(3, at=after(-60), challenge=challenge), 10.0, NOON).outcome == "refused"


def test_of_too_many_challenges_the_oldest_are_forgotten(desk):
    given_out = [desk.hear(order(number), 10.0, None).challenge for number in range(1, MOST_CHALLENGES + 2)]
    assert desk.hear(order(20, challenge=given_out[0]), 10.0, None).outcome == "challenge"
    assert desk.hear(order(21, challenge=given_out[-1]), 10.0, None).number == 21


def test_a_command_for_another_gate_is_none_of_ours(desk):
    assert desk.hear(order(1, gate="back"), 10.0, NOON) is None
    assert desk.hear(order(1), 10.0, NOON) == order(1), "and has spent no number of ours"


def test_a_disk_that_cannot_be_written_carries_out_nothing_and_says_so(desk, monkeypatch):
    desk._ledger.execute("PRAGMA query_only = ON")
    reply = desk.hear(order(1), 10.0, NOON)
    assert isinstance(reply, Reply)
    assert (reply.outcome, reply.why) == ("failed", "the gate's disk cannot be written; nothing was done")
    desk._ledger.execute("PRAGMA query_only = OFF")
    assert desk.hear(order(2), 10.0, NOON) == order(2)
    desk._ledger.execute("PRAGMA query_only = ON")
    assert desk.settle(order(2), Outcome("done")).outcome == "done", "the office must know all the same"


def test_a_ledger_that_cannot_be_opened_is_an_error(tmp_path):
    (tmp_path / "commands.db").write_bytes(b"no database" * 100)
    with pytest.raises(StateError, match=r"commands\.db"):
        CommandDesk(tmp_path, SITE, GATE)


def test_an_answer_always_fits_on_the_wire(desk):
    import msgspec

    desk.hear(order(1, Diagnose()), 10.0, NOON)
    findings = (Finding("p" * 64, "amber", "界" * 130),) * 1000
    reply = desk.settle(order(1, Diagnose()), Outcome("done", "w" * 5000, findings))
    assert len(reply.why) == 200
    assert len(reply.findings) == MOST_FINDINGS
    assert len(msgspec.json.encode(reply)) < MAX_PLAIN_BYTES
    msgspec.json.decode(msgspec.json.encode(reply), type=Reply)


def test_what_came_of_a_command_is_a_fact_with_who_and_why():
    fact = commanded(order(1, SetLockdown(on=True)), Outcome("refused", "no"))
    reason = "a neighbour forgot the card"
    assert fact == Commanded("lockdown", order(1).id, "li", reason, "refused", "no")


class Desks(RuleBasedStateMachine):
    """An office that orders, a broker that delays, repeats and reorders, and a gate that restarts with any clock."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.desk = CommandDesk(Path(self.folder.name), SITE, GATE)
        self.now, self.wall_s, self.number = 100.0, 0.0, 0
        self.sent, self.done, self.given = [], [], {}

    @initialize(wall_s=st.sampled_from([0.0, None]))
    def first(self, wall_s):
        self.wall_s = wall_s
        self.orders(Release(), 1, "")

    @rule(action=st.sampled_from([Release(), Restart()]), ahead=st.integers(1, 40), challenge=st.just(""))
    def orders(self, action, ahead, challenge):
        self.number += ahead
        self.sent.append(order(self.number, action, after(self.wall_s or 0), challenge=challenge))

    @precondition(lambda self: self.given)
    @rule(action=st.sampled_from([Release(), Restart()]), data=st.data())
    def orders_with_a_challenge(self, action, data):
        self.orders(action, 1, data.draw(st.sampled_from(list(self.given))))

    @rule(data=st.data(), settles=st.booleans())
    def delivers(self, data, settles):
        command = data.draw(st.sampled_from(self.sent[-2:]) | st.sampled_from(self.sent))
        wall = None if self.wall_s is None else after(self.wall_s)
        heard = self.desk.hear(command, self.now, wall)
        if isinstance(heard, Command):
            assert heard is command
            self.done.append((command.id, command.number))
            limit_s = 5 if isinstance(command.action, Release) else 300
            is_new = wall is not None and abs((wall - datetime.fromisoformat(command.at)).total_seconds()) <= limit_s
            proof_at = self.given.pop(command.challenge, None)
            assert is_new or (proof_at is not None and self.now - proof_at <= CHALLENGE_S), "a stale one acted"
            if settles:
                self.desk.settle(command, Outcome("done"))
        elif heard is not None and heard.outcome == "challenge" and heard.challenge not in self.given:
            self.given[heard.challenge] = self.now
        assert len(set(self.done)) == len(self.done), "one acted twice"

    @rule(seconds=st.sampled_from([0.1, 4.0, 60.0, 400.0]))
    def time_passes(self, seconds):
        self.now += seconds
        if self.wall_s is not None:
            self.wall_s += seconds

    @rule(to=st.none() | st.sampled_from([0.0, -3600.0, 3600.0]))
    def clock_jumps(self, to):
        self.wall_s = to

    @rule(now=st.sampled_from([0.0, 100.0, 1000.0]))
    def restarts(self, now):
        self.desk.close()
        self.desk = CommandDesk(Path(self.folder.name), SITE, GATE)
        self.now, self.given = now, {}

    def teardown(self):
        self.desk.close()
        self.folder.cleanup()


TestDesks = Desks.TestCase
TestDesks.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def done_twice(seed, tmp_path, monkeypatch, cuts=6):
    """Live through some power cuts; the commands that were carried out more than once."""
    dice = random.Random(seed)
    disk, done, number = ForgetfulDisk(dice), [], 0
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kwargs: Connection(disk))
    monkeypatch.setattr(database, "migrate", migrate)
    for _ in range(cuts):
        with contextlib.suppress(apsw.Error):
            desk = CommandDesk(tmp_path, SITE, GATE)
            disk.operations_left = dice.choice([None, dice.randint(0, 60)])
            for _ in range(dice.randint(1, 20)):
                number += dice.choice([1, 1, 2, 40])
                for replayed in (number, max(1, number - dice.randint(0, 80))):
                    command = order(replayed)
                    if desk.hear(command, 10.0, NOON) is command:
                        done.append(replayed)
                        if dice.random() < 0.7:
                            desk.settle(command, Outcome("done"))
        disk.cut_power()
    desk = CommandDesk(tmp_path, SITE, GATE)
    done += [
        replayed
        for replayed in range(1, number + 1)
        if replayed in done and isinstance(desk.hear(order(replayed), 10.0, NOON), Command)
    ]
    disk.cut_power()
    return {each for each in done if done.count(each) > 1}


def test_no_power_cut_lets_a_command_act_again(tmp_path, monkeypatch):
    twice = {seed: done_twice(seed, tmp_path, monkeypatch) for seed in range(150)}
    assert not any(twice.values()), twice


def test_with_less_than_full_sync_this_very_test_finds_commands_that_act_again(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "PRAGMAS", database.PRAGMAS.replace("synchronous = FULL", "synchronous = NORMAL"))
    assert any(done_twice(seed, tmp_path, monkeypatch) for seed in range(30))


def test_an_office_that_lost_count_is_told_so_and_nothing_is_done(desk):
    """Its backup was brought back: it gives a number to a second command, which must neither act nor vanish."""
    desk.settle(desk.hear(order(1), 10.0, NOON), Outcome("done"))
    answer = desk.hear(order(1, id_="e" * 32), 11.0, NOON)
    assert (answer.outcome, answer.command) == ("spent", "e" * 32)
    assert desk.hear(order(2, id_="e" * 32), 11.0, NOON) == order(2, id_="e" * 32), "its next number is good"

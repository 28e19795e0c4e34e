"""A command acts once, while it is fresh, and never again: not on replay, after a restart, or after a power cut."""

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

from gated.events import Commanded
from gated.protocol.command_messages import (
    AcceptQuarantined,
    AnswerCall,
    ChangeSettings,
    Command,
    ConfirmationRequest,
    Diagnose,
    Enrol,
    Offer,
    ReleaseDoor,
    Reply,
    ReplyFinding,
    Restart,
    Share,
    Suspend,
    SwitchLockdown,
    SwitchModels,
)
from gated.protocol.limits import COMMAND_WINDOW, MAX_PLAIN_BYTES
from gated.storage import database, sql
from gated.storage.valid_rows import MOST_INTEGER
from gated.sync.command_desk import (
    CHALLENGE_S,
    MOST_CHALLENGES,
    MOST_FINDINGS,
    STOPPED,
    CommandDesk,
    CommandOutcome,
    commanded,
)
from gated.sync.command_log import MOST_AHEAD

sys.path.append(str(Path(__file__).parents[1]))
from contracts.disk import Connection, ForgetfulDisk, migrate

NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
SITE, GATE = "courtyard-2", "front"


ANN = "a" * 16
UNATTENDED = Suspend(ANN, 7)
ATTENDED = [
    ReleaseDoor(),
    AnswerCall("opening"),
    AnswerCall("wait"),
    SwitchLockdown(on=True),
    SwitchLockdown(on=False),
    Enrol(ANN),
    SwitchModels("site"),
    ChangeSettings(""),
    Restart(),
    Diagnose(),
    AcceptQuarantined([ANN]),
]


def order(number, action=UNATTENDED, at=NOON, *, challenge="", id_=None, gate=GATE, is_live=False):
    """Return a command; with `is_live`, an operator waits for it."""
    return Command(
        site=SITE, gate=gate, id=id_ or f"{number:032x}", number=number, at=at.isoformat(), challenge=challenge,
        operator="li", reason="a neighbour forgot the card", action=action, is_live=is_live,
    )  # fmt: skip


def offer(number, gate=GATE):
    return Offer(site=SITE, gate=gate, command=f"{number:032x}")


def live(desk, number, now, action=ReleaseDoor(), **more):  # noqa: B008 - frozen
    """Return the command that an office signs after the gate has asked for it at `now`."""
    asked = desk.answer_offer(offer(number), now)
    assert isinstance(asked, ConfirmationRequest)
    return order(number, action, challenge=asked.nonce, is_live=True, **more)


def after(seconds):
    return NOON + timedelta(seconds=seconds)


@pytest.fixture
def opened(tmp_path):
    """A factory of desks on one ledger; it closes them at the end."""
    with contextlib.ExitStack() as closing:
        yield lambda: closing.enter_context(contextlib.closing(CommandDesk(tmp_path, SITE, GATE)))


@pytest.fixture
def desk(opened):
    return opened()


def test_a_fresh_command_is_carried_out(desk):
    command = order(1)
    assert desk.judge(command, 10.0, NOON) is command


def test_the_ledger_is_on_disk_before_the_command_is_returned(desk, opened):
    assert desk._ledger.execute("PRAGMA synchronous").fetchone()[0] == 2, "FULL"
    assert desk.judge(order(1), 10.0, NOON) == order(1)
    assert opened().judge(order(1), 10.0, NOON) is None, "another process knows already"


def test_a_replayed_command_gets_only_its_first_answer(desk, opened):
    assert desk.judge(order(1), 10.0, NOON) == order(1)
    assert desk.judge(order(1), 10.1, NOON) is None, "while it is being carried out there is no answer"
    reply = desk.store_outcome(order(1), CommandOutcome("done"))
    assert reply == Reply(site=SITE, gate=GATE, command=order(1).id, outcome="done")
    assert [desk.judge(order(1), 11.0, NOON) for _ in range(1000)] == [reply] * 1000
    assert opened().judge(order(1), 0.5, NOON) == reply


def test_a_command_interrupted_by_a_restart_does_not_begin_again(desk, opened):
    desk.judge(order(1), 10.0, NOON)
    desk.close()
    assert opened().judge(order(1), 0.1, NOON) is None


def test_an_interrupted_command_is_answered_after_the_restart(desk, opened):
    desk.judge(order(1), 10.0, NOON)
    desk.judge(order(2), 10.0, NOON)
    done = desk.store_outcome(order(2), CommandOutcome("done"))
    desk.close()
    next_life = opened()
    [told] = next_life.interrupted()
    assert (told.command, told.outcome, told.why) == (order(1).id, "failed", STOPPED)
    assert next_life.judge(order(1), 0.1, NOON) == told, "whoever asks again hears the same"
    assert next_life.judge(order(2), 0.1, NOON) == done
    assert opened().interrupted() == [], "once"


def test_a_number_belongs_to_one_command_and_an_id_to_one_number(desk):
    desk.judge(order(1), 10.0, NOON)
    desk.store_outcome(order(1), CommandOutcome("done"))
    assert desk.judge(order(1, id_="f" * 32), 10.0, NOON).outcome == "spent"
    assert desk.judge(order(2, id_=order(1).id), 10.0, NOON) is None
    desk.judge(order(3), 10.0, NOON)
    assert desk.judge(order(3, id_=order(1).id), 10.0, NOON) is None


def test_commands_may_overtake_each_other_within_the_window(desk, opened):
    assert desk.judge(order(COMMAND_WINDOW + 1), 10.0, NOON) == order(COMMAND_WINDOW + 1)
    assert desk.judge(order(1), 10.0, NOON).outcome == "spent", "too far below"
    desk = opened()
    for number in (2, COMMAND_WINDOW, 5):
        assert desk.judge(order(number), 10.0, NOON) == order(number)


def test_the_ledger_stays_small_and_the_highest_number_stays_known(desk, opened):
    for number in range(1, 400):
        desk.judge(order(number), 10.0, NOON)
    assert desk._ledger.execute("SELECT count(*) FROM commands").fetchone()[0] == COMMAND_WINDOW
    assert opened().judge(order(399 - COMMAND_WINDOW), 10.0, NOON).outcome == "spent"
    again = [opened().judge(order(number), 10.0, NOON) for number in range(1, 400)]
    assert not any(isinstance(answer, Command) for answer in again)


def test_a_jump_of_more_than_a_million_is_refused_and_spends_nothing(desk):
    desk.judge(order(7), 10.0, NOON)
    for number in (7 + MOST_AHEAD + 1, MOST_INTEGER):
        reply = desk.judge(order(number), 10.0, NOON)
        assert isinstance(reply, Reply)
        assert reply.outcome == "refused"
    assert desk.judge(order(8), 10.0, NOON) == order(8)
    assert desk.judge(order(8 + MOST_AHEAD), 10.0, NOON) == order(8 + MOST_AHEAD)


@pytest.mark.parametrize(
    ("action", "age_s", "is_fresh"),
    [
        (UNATTENDED, 300, True),
        (UNATTENDED, -300, True),
        (UNATTENDED, 300.1, False),
        (Share(ANN, "back"), 300, True),
        (Share(ANN, "back"), -301, False),
    ],
)
def test_a_command_without_a_waiting_operator_is_fresh_for_5_minutes(desk, action, age_s, is_fresh):
    heard = desk.judge(order(1, action), 10.0, after(age_s))
    assert (heard == order(1, action)) == is_fresh
    assert is_fresh or heard.outcome == "refused"


def test_a_stale_command_is_refused_once_and_for_all(desk):
    reply = desk.judge(order(1), 10.0, after(301))
    assert reply.why == "too old: 301 s, at most 300 s count; order it anew"
    assert desk.judge(order(1), 11.0, NOON) == reply, "its number is spent, though the clock went back"


@pytest.mark.parametrize(
    "at", ["", "yesterday", "2027-01-15T12:00:00", "2027-13-15T12:00:00Z", "0001-01-01T00:00+23:59"]
)
def test_an_invalid_time_is_never_fresh(desk, at):
    command = Command(
        site=SITE, gate=GATE, id="a" * 32, number=1, at=at, operator="li", reason="", action=UNATTENDED
    )  # fmt: skip
    assert desk.judge(command, 10.0, NOON).outcome == "refused"


@given(text=st.text(max_size=40))
@settings(deadline=None, max_examples=200)
def test_an_invalid_time_text_raises_nothing(text):
    from gated.sync.command_desk import _age_s

    age_s = _age_s(text, NOON)
    assert age_s is None or isinstance(age_s, float)


def test_without_a_trusted_clock_a_challenge_proves_that_a_command_is_fresh(desk):
    reply = desk.judge(order(1), 10.0, None)
    assert reply.outcome == "challenge"
    assert len(reply.challenge) == 32
    again = order(2, at=after(-900), challenge=reply.challenge)
    assert desk.judge(again, 10.0 + CHALLENGE_S, None) is again, "then the time does not count"
    assert desk.judge(order(1), 11.0, None) == reply, "the first stays spent"


def test_a_challenge_is_valid_once_for_5_s(desk, opened):
    first, second = (desk.judge(order(number), 10.0, None).challenge for number in (1, 2))
    assert first != second
    assert desk.judge(order(3, challenge=first), 10.0 + CHALLENGE_S + 0.1, None).outcome == "challenge", "too late"
    assert desk.judge(order(4, challenge=second), 11.0, None) == order(4, challenge=second)
    assert desk.judge(order(5, challenge=second), 11.0, None).outcome == "challenge", "used"
    third = desk.judge(order(6), 12.0, None).challenge
    assert opened().judge(order(7, challenge=third), 12.1, None).outcome == "challenge", "of another life"
    assert desk.judge(order(8, challenge=""), 12.1, None).outcome == "challenge"


def test_a_used_up_challenge_does_not_make_an_old_command_fresh_when_the_clock_is_trusted_again(desk):
    challenge = desk.judge(order(1), 10.0, None).challenge
    desk.judge(order(2, challenge=challenge), 10.0, None)
    assert desk.judge(order(3, at=after(-400), challenge=challenge), 10.0, NOON).outcome == "refused"


def test_the_oldest_of_too_many_challenges_are_forgotten(desk):
    given_out = [desk.judge(order(number), 10.0, None).challenge for number in range(1, MOST_CHALLENGES + 2)]
    assert desk.judge(order(20, challenge=given_out[0]), 10.0, None).outcome == "challenge"
    assert desk.judge(order(21, challenge=given_out[-1]), 10.0, None).number == 21


def test_a_command_for_another_gate_is_ignored(desk):
    assert desk.judge(order(1, gate="back"), 10.0, NOON) is None
    assert desk.judge(order(1), 10.0, NOON) == order(1), "and has spent no number of ours"


def test_without_a_writable_disk_no_command_is_carried_out_and_the_reason_is_reported(desk, monkeypatch):
    desk._ledger.execute("PRAGMA query_only = ON")
    reply = desk.judge(order(1), 10.0, NOON)
    assert isinstance(reply, Reply)
    assert (reply.outcome, reply.why) == ("refused", "the gate's disk cannot be written; nothing was done")
    desk._ledger.execute("PRAGMA query_only = OFF")
    assert desk.judge(order(2), 10.0, NOON) == order(2)
    desk._ledger.execute("PRAGMA query_only = ON")
    assert desk.store_outcome(order(2), CommandOutcome("done")).outcome == "done", "the office must know all the same"


@pytest.mark.parametrize("damage", [b"no database" * 100, None], ids=["no database", "a page of zeros"])
def test_a_damaged_ledger_is_kept_aside_and_then_only_what_echoes_a_challenge_counts(tmp_path, damage):
    """The ledger of seen commands is lost, so a replayed old command must not count as new."""
    path = tmp_path / "commands.db"
    with contextlib.closing(CommandDesk(tmp_path, SITE, GATE)) as desk:
        assert desk.judge(order(1), 10.0, NOON) == order(1)
    whole = path.read_bytes()
    path.write_bytes(damage or whole[:4096] + bytes(4096) + whole[8192:])
    with contextlib.closing(CommandDesk(tmp_path, SITE, GATE)) as desk:
        assert not isinstance(desk.judge(order(1), 11.0, NOON), Command)
        answer = desk.judge(order(2), 11.0, NOON)
        assert (answer.outcome, bool(answer.challenge)) == ("challenge", True)
        assert desk.judge(order(3, challenge=answer.challenge), 12.0, NOON) == order(3, challenge=answer.challenge)
    with contextlib.closing(CommandDesk(tmp_path, SITE, GATE)) as desk:
        assert desk.judge(order(4), 13.0, NOON).outcome == "challenge", "nor does a restart make it count"
    (kept,) = tmp_path.glob("commands.db.torn-*")
    assert kept.read_bytes() == (damage or whole[:4096] + bytes(4096) + whole[8192:])


def test_an_answer_always_fits_on_the_wire(desk):
    import msgspec

    desk.judge(live(desk, 1, 10.0, Diagnose()), 10.0, NOON)
    findings = (ReplyFinding("p" * 64, "amber", "界" * 130),) * 1000
    reply = desk.store_outcome(order(1, Diagnose()), CommandOutcome("done", "w" * 5000, findings))
    assert len(reply.why) == 200
    assert len(reply.findings) == MOST_FINDINGS
    assert len(msgspec.json.encode(reply)) < MAX_PLAIN_BYTES
    msgspec.json.decode(msgspec.json.encode(reply), type=Reply)


def test_the_result_of_a_command_is_an_event_with_operator_and_reason():
    fact = commanded(order(1, SwitchLockdown(on=True)), CommandOutcome("refused", "no"))
    reason = "a neighbour forgot the card"
    assert fact == Commanded("lockdown", order(1).id, "li", reason, "refused", "no")


# -- an operator waits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ATTENDED)
def test_an_operators_command_needs_the_gates_nonce_within_5_s(desk, action):
    command = live(desk, 1, 10.0, action)
    assert desk.judge(command, 10.0 + CHALLENGE_S, NOON) is command
    late = live(desk, 2, 20.0, action)
    reply = desk.judge(late, 20.0 + CHALLENGE_S + 0.1, NOON)
    assert (reply.outcome, reply.command) == ("refused", late.id)
    assert "nothing was done" in reply.why
    assert desk.judge(late, 20.0, NOON) == reply, "and never afterwards"


@pytest.mark.parametrize("action", ATTENDED)
@pytest.mark.parametrize("wall", [NOON, None])
def test_an_office_that_does_not_state_a_waiting_operator_needs_an_update(desk, action, wall):
    reply = desk.judge(order(1, action), 10.0, wall)
    assert reply.outcome == "refused"
    assert "update the office" in reply.why
    asked = desk.answer_offer(offer(2), 10.0)
    assert desk.judge(order(2, action, challenge=asked.nonce), 10.0, wall).outcome == "refused", "not live"


def test_the_nonce_of_one_command_is_invalid_for_another(desk, opened):
    first = desk.answer_offer(offer(1), 10.0)
    other = order(2, ReleaseDoor(), challenge=first.nonce, is_live=True)
    assert desk.judge(other, 10.0, NOON).outcome == "refused"
    assert desk.judge(order(1, ReleaseDoor(), challenge=first.nonce, is_live=True), 10.0, NOON).outcome == "refused", (
        "used"
    )
    for number, nonce in ((3, ""), (4, "f" * 32), (5, live(opened(), 5, 10.0).challenge)):
        forged = order(number, ReleaseDoor(), challenge=nonce, is_live=True)
        assert desk.judge(forged, 10.0, NOON).outcome == "refused"


def test_a_challenge_of_a_gate_without_a_clock_is_no_nonce_for_an_operators_order(desk):
    challenge = desk.judge(order(1), 10.0, None).challenge
    assert desk.judge(order(2, ReleaseDoor(), challenge=challenge, is_live=True), 10.0, None).outcome == "refused"


@pytest.mark.parametrize("action", [ReleaseDoor(), AnswerCall("opening"), SwitchLockdown(on=False)])
@pytest.mark.parametrize("back", [timedelta(0), timedelta(hours=7), timedelta(days=400)])
@pytest.mark.parametrize("is_live", [True, False])
def test_an_old_release_is_never_carried_out_however_far_the_clock_is_set_back(desk, action, back, is_live):
    """A command of 10:00 is withheld by a broker and delivered when the gate's clock shows 10:00 again."""
    held_back = order(5, action, NOON, is_live=is_live)
    nonce = desk.answer_offer(Offer(site=SITE, gate=GATE, command=held_back.id), 0.0).nonce
    asked = order(6, action, NOON, challenge=nonce, id_=held_back.id, is_live=is_live)
    for command, wall in ((held_back, NOON), (asked, NOON), (held_back, NOON - back), (asked, NOON - back)):
        answer = desk.judge(command, 17 * 3600.0, wall)
        assert answer is None or answer.outcome in {"refused", "spent"}


def test_an_operators_command_needs_no_clock(desk):
    command = live(desk, 1, 10.0, at=after(-9e6))
    assert desk.judge(command, 11.0, None) is command


def test_a_finished_command_is_answered_and_not_requested_again(desk, opened):
    command = live(desk, 1, 10.0)
    desk.judge(command, 10.0, NOON)
    assert desk.answer_offer(offer(1), 11.0) is None, "it is under way"
    reply = desk.store_outcome(command, CommandOutcome("done"))
    assert desk.answer_offer(offer(1), 12.0) == reply
    assert opened().answer_offer(offer(1), 0.1) == reply


def test_each_offer_gets_a_new_nonce(desk):
    asked = [desk.answer_offer(offer(1), 10.0) for _ in range(5)]
    assert len({ask.nonce for ask in asked}) == 5
    assert {ask.step for ask in asked} == {"begin"}


class Desks(RuleBasedStateMachine):
    """A state machine with an office, a broker and a gate.

    An operator waits for each live command. The broker delays, repeats and reorders; the gate restarts with any clock.
    """

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.desk = CommandDesk(Path(self.folder.name), SITE, GATE)
        self.now, self.wall_s, self.number, self.lives = 100.0, 0.0, 0, 0
        self.sent, self.done, self.asked = [], [], {}
        self.waiting, self.given = set(), {}

    @initialize(wall_s=st.sampled_from([0.0, None]))
    def first(self, wall_s):
        self.wall_s = wall_s
        self.orders(UNATTENDED, 1)

    @rule(action=st.sampled_from([UNATTENDED, Share(ANN, "back")]), ahead=st.integers(1, 40))
    def orders(self, action, ahead):
        self.number += ahead
        self.sent.append(order(self.number, action, after(self.wall_s or 0)))

    @rule(ahead=st.integers(1, 40))
    def somebody_orders(self, ahead):
        self.number += ahead
        self.waiting.add(self.number)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def somebody_gives_up(self, data):
        self.waiting.discard(data.draw(st.sampled_from(sorted(self.waiting))))

    @precondition(lambda self: self.number)
    @rule(data=st.data())
    def an_offer_arrives(self, data):
        number = data.draw(st.integers(1, self.number))
        asked = self.desk.answer_offer(offer(number), self.now)
        if isinstance(asked, ConfirmationRequest):
            self.asked[asked.nonce] = (number, self.now, self.lives)

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def the_office_answers(self, data):
        nonce = data.draw(st.sampled_from(list(self.asked)))
        number = self.asked[nonce][0]
        if number in self.waiting:
            self.given[nonce] = self.now
            command = order(number, data.draw(st.sampled_from(ATTENDED)), challenge=nonce, is_live=True)
            self.sent.append(command)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), settles=st.booleans())
    def delivers(self, data, settles):
        command = data.draw(st.sampled_from(self.sent[-2:]) | st.sampled_from(self.sent))
        wall = None if self.wall_s is None else after(self.wall_s)
        heard = self.desk.judge(command, self.now, wall)
        if isinstance(heard, Command):
            assert heard is command
            self.done.append((command.id, command.number))
            if command.is_live:
                number, asked_at, life = self.asked[command.challenge]
                assert (number, life) == (command.number, self.lives)
                assert self.now - asked_at <= CHALLENGE_S, "a stale one acted"
                assert self.now - self.given[command.challenge] <= CHALLENGE_S, "long after its operator was there"
            else:
                is_new = wall is not None and abs((wall - datetime.fromisoformat(command.at)).total_seconds()) <= 300
                assert is_new, "a stale one acted"
            if settles:
                self.desk.store_outcome(command, CommandOutcome("done"))
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
        self.now, self.lives = now, self.lives + 1

    def teardown(self):
        self.desk.close()
        self.folder.cleanup()


TestDesks = Desks.TestCase
TestDesks.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


def done_twice(seed, tmp_path, monkeypatch, cuts=6):
    """Run through random power cuts and return the commands that were carried out more than once."""
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
                    if desk.judge(command, 10.0, NOON) is command:
                        done.append(replayed)
                        if dice.random() < 0.7:
                            desk.store_outcome(command, CommandOutcome("done"))
        disk.cut_power()
    desk = CommandDesk(tmp_path, SITE, GATE)
    done += [
        replayed
        for replayed in range(1, number + 1)
        if replayed in done and isinstance(desk.judge(order(replayed), 10.0, NOON), Command)
    ]
    disk.cut_power()
    return {each for each in done if done.count(each) > 1}


def test_no_power_cut_lets_a_command_act_again(tmp_path, monkeypatch):
    twice = {seed: done_twice(seed, tmp_path, monkeypatch) for seed in range(150)}
    assert not any(twice.values()), twice


def test_without_full_sync_this_test_finds_commands_that_act_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(sql, "PRAGMAS", sql.PRAGMAS.replace("synchronous = FULL", "synchronous = NORMAL"))
    assert any(done_twice(seed, tmp_path, monkeypatch) for seed in range(30))


def test_an_office_with_an_old_counter_gets_that_answer_and_nothing_is_executed(desk):
    """A restored backup gives a used number to a second command. The command must neither act nor vanish."""
    desk.store_outcome(desk.judge(order(1), 10.0, NOON), CommandOutcome("done"))
    answer = desk.judge(order(1, id_="e" * 32), 11.0, NOON)
    assert (answer.outcome, answer.command) == ("spent", "e" * 32)
    assert desk.judge(order(2, id_="e" * 32), 11.0, NOON) == order(2, id_="e" * 32), "its next number is good"

"""Tests the office's orders at a gate with real databases: with a lock that records, and once with a real latch."""

import asyncio
import contextlib
import logging
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from gated import commands
from gated.access.calls import NO_CALL, Calls
from gated.access.entrance import Entrance, EntranceReports
from gated.access.lockdown import begin_lockdown, read_lockdown
from gated.commands import CommandRunner
from gated.config import load
from gated.config.proposal import read_proposal
from gated.door.latch_client import LatchClient
from gated.errors import EnrolmentError, StateError
from gated.events import (
    CallAnswered,
    CallPressed,
    CredentialDenied,
    CredentialGranted,
    DoorReleased,
    Enrolling,
    Lockdown,
    PersonEnrolled,
    RecordQuarantined,
)
from gated.face.vision_messages import Observation, Quality, VisionReady
from gated.gallery.gallery import Gallery
from gated.gallery.register import Register
from gated.people.credential_store import Credentials
from gated.people.issuing import issue_card
from gated.people.store import RECOGNISE, Consent, Person
from gated.protocol.command_messages import (
    AcceptQuarantined,
    AnnounceBatch,
    AnswerCall,
    ChangeSettings,
    Command,
    Diagnose,
    Enrol,
    Offer,
    ReleaseDoor,
    Reply,
    Restart,
    Share,
    Suspend,
    SwitchLockdown,
    SwitchModels,
)
from gated.protocol.face_messages import SealedFace, SharedFace
from gated.sync.command_desk import CommandDesk, CommandOutcome, commanded
from gated.types import SubjectId
from tests.fakes.recording_door import RecordingDoor

sys.path.append(str(Path(__file__).parent))
from contracts.operator import Operator

SITE, GATE = "courtyard-2", "front"
ANN, NOBODY = SubjectId("a" * 16), SubjectId("f" * 16)
NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)
SHA = "e" * 64
READY = VisionReady("evaluation", "evaluation", "an_embedder", SHA, 4, 0.5, 0.5)
CARD = "4711"


def order(action, number=1):
    return Command(
        site=SITE, gate=GATE, id=f"{number:032x}", number=number, at=NOON.isoformat(), operator="li",
        reason="the card was forgotten", action=action,
    )  # fmt: skip


class Records:
    """The part of the office's records that orders use: the people of the same state folder, by a separate register."""

    def __init__(self, state):
        self.register, self.trouble = Register.open(state, SITE), None

    def may_join(self, subject, embedder_sha256, now):
        return True

    def suspend(self, subject, n):
        if subject not in {person.subject for person in self.register.people()}:
            return False
        self.register.suspend(SubjectId(subject))
        return True

    def share(self, subject, to):
        if self.trouble is not None:
            raise self.trouble
        return SharedFace(site=SITE, gate=GATE, subject=subject, to=to, face=SealedFace("face-1", SHA, 3, "sealed"))


class Gate:
    """One gate, its handler of the office's orders, and Ann, who lives there and has a card but no face yet."""

    def __init__(self, config, door):
        self.config, self.door = config, door
        self.settings = load(config)
        self.state = self.settings.state
        self.gallery = Gallery.open(self.state, SITE, SHA, 4)
        consent = Consent(RECOGNISE, "paper-1", "2026-11", NOON)
        self.gallery._register.admit(Person(ANN, "Ann Unmistakable", "flat-4711", "active", NOON, (consent,)))
        with contextlib.closing(Credentials.open(self.state, SITE)) as store:
            issue_card(store, CARD, ANN)
        self.reported, self.sent, self.stopped, self.lost = [], [], [], ["network"]
        self.records = Records(self.state)
        self.entrance = self.opened()
        self.has_line = True
        self.calls = Calls(self.reported.append, lambda: self.has_line, 60.0)
        self.orders = CommandRunner(
            self.settings, config, self.entrance, self.calls, on_sync=self._on_sync, send=self.sent.append,
            stop=self.stopped.append, lost=lambda: self.lost,
        )  # fmt: skip
        self.watching, self.operator = None, Operator()

    def opened(self):
        tell = EntranceReports(self.reported.append, lambda _: None, lambda _: None, lambda *_: None)
        return Entrance(self.settings, self.gallery, self.door, tell, lambda: NOON)

    async def _on_sync(self, work):
        return await asyncio.to_thread(work, self.records)

    def watch(self):
        """Follow changes of the databases, as the brain does."""
        self.watching = asyncio.create_task(self.entrance.run())

    async def ordered(self, action, number=1):
        return await self.orders.perform(order(action, number), self.operator)

    def said(self, kind):
        return [fact for fact in self.reported if isinstance(fact, kind)]

    async def close(self):
        if self.watching is not None:
            self.watching.cancel()
            await asyncio.wait([self.watching])
        self.entrance.close()
        self.gallery.close()
        self.records.register.close()


@pytest.fixture
async def gate(whole_gate):
    whole_gate.write(models={"set": "courtyard", "dir": str(whole_gate.folder)})
    gate = Gate(whole_gate.config, RecordingDoor())
    yield gate
    await gate.close()


async def until(holds, within_s=30.0):
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.02)


# A release


async def test_a_release_opens_a_real_lock_once_however_often_it_is_replayed(whole_gate):
    whole_gate.start("latch")
    whole_gate.wait_for((whole_gate.state / "latch.sock").exists)
    heard = []
    door = LatchClient(whole_gate.state / "latch.sock", lambda event, _: heard.append(event), lambda *_: None)
    linked = asyncio.create_task(door.run())
    gate = Gate(whole_gate.config, door)
    replies = []
    with contextlib.closing(CommandDesk(gate.state, SITE, GATE)) as desk:
        await until(lambda: door.is_linked)
        asked = desk.answer_offer(Offer(site=SITE, gate=GATE, command=order(ReleaseDoor()).id), 1.0)
        command = replace(order(ReleaseDoor()), challenge=asked.nonce, is_live=True)
        assert desk.judge(command, 1.0, NOON) == command
        outcome = await gate.orders.perform(command, gate.operator)
        replies.append(desk.store_outcome(command, outcome))
        await until(lambda: heard)
        replies += [desk.judge(command, 1.1, NOON) for _ in range(1000)]
    with contextlib.closing(CommandDesk(gate.state, SITE, GATE)) as desk:
        replies.append(desk.judge(command, 0.1, NOON))
    assert replies == [Reply(site=SITE, gate=GATE, command=command.id, outcome="done")] * 1002
    (granted,) = gate.said(CredentialGranted)
    assert granted == CredentialGranted("remote", granted.visit, command.id)
    assert [fact for fact in heard if isinstance(fact, DoorReleased)] == [DoorReleased("grant", 2.0, granted.visit)]
    assert [change["on"] for change in whole_gate.trace() if change["line"] == "lock" and change["on"]] == [True]
    fact = commanded(command, outcome)
    assert (fact.action, fact.operator, fact.reason) == ("release", "li", "the card was forgotten")
    linked.cancel()
    await asyncio.wait([linked])
    await gate.close()


async def test_a_release_that_cannot_be_says_why(gate):
    assert (await gate.ordered(ReleaseDoor("garage"))).outcome == "refused"
    gate.door.is_gone = True
    outcome = await gate.ordered(ReleaseDoor())
    assert outcome == CommandOutcome("failed", "the latch does not answer; the door was not released")
    gate.door.is_gone = False
    assert await gate.ordered(ReleaseDoor()) == CommandOutcome("done")
    assert len(gate.door.released) == 1


# A call


async def test_an_opening_answer_is_a_release_and_is_reported_as_an_answer(gate):
    gate.calls.handle_event(CallPressed())
    assert await gate.ordered(AnswerCall("opening")) == CommandOutcome("done")
    assert [release.door for release in gate.door.released] == ["main"]
    assert [fact.way for fact in gate.said(CredentialGranted)] == ["remote"]
    assert gate.said(CallAnswered) == [CallAnswered(answer="opening")]


@pytest.mark.parametrize("answer", ["wait", "nobody"])
async def test_an_answer_in_words_opens_nothing(gate, answer):
    gate.calls.handle_event(CallPressed("second"))
    assert await gate.ordered(AnswerCall(answer)) == CommandOutcome("done")
    assert gate.door.released == []
    assert gate.said(CallAnswered) == [CallAnswered("second", answer=answer)]


@pytest.mark.parametrize("answer", ["opening", "wait", "nobody"])
async def test_an_answer_to_nobody_is_refused_and_opens_nothing(gate, answer):
    assert await gate.ordered(AnswerCall(answer)) == CommandOutcome("refused", NO_CALL)
    assert gate.door.released == gate.said(CallAnswered) == []


async def test_of_two_operators_who_open_one_does(gate):
    gate.calls.handle_event(CallPressed())
    outcomes = [await gate.ordered(AnswerCall("opening"), number) for number in (1, 2)]
    assert [outcome.outcome for outcome in outcomes] == ["done", "refused"]
    assert len(gate.door.released) == 1


async def test_an_answer_does_not_say_opening_where_the_lock_cannot_open_and_the_call_goes_on(gate):
    gate.calls.handle_event(CallPressed())
    gate.door.is_gone = True
    assert (await gate.ordered(AnswerCall("opening"))).outcome == "failed"
    gate.door.is_gone, gate.entrance.permissions.is_locked_down = False, True
    outcome = await gate.ordered(AnswerCall("opening"))
    assert (outcome.outcome, outcome.why[:8]) == ("refused", "a lockdo")
    assert gate.said(CallAnswered) == gate.door.released == []
    assert await gate.ordered(AnswerCall("nobody")) == CommandOutcome("done")


# Lockdown


async def test_a_lockdown_of_the_office_begins_at_once_outlives_a_restart_and_is_ended_by_it(gate):
    gate.watch()
    assert await gate.ordered(SwitchLockdown(on=True)) == CommandOutcome("done")
    await until(lambda: gate.entrance.permissions.is_locked_down)
    await gate.entrance.credentials.handle_card(CARD)
    assert (await gate.ordered(ReleaseDoor())).why == "a lockdown is active: it denies entry to everyone"
    assert gate.door.released == []
    assert [fact.reason for fact in gate.said(CredentialDenied)] == ["lockdown"]
    again = gate.opened()
    assert again.permissions.is_locked_down
    again.close()
    assert await gate.ordered(SwitchLockdown(on=False)) == CommandOutcome("done")
    await until(lambda: not gate.entrance.permissions.is_locked_down)
    await gate.entrance.credentials.handle_card(CARD)
    assert len(gate.door.released) == 1
    assert gate.said(Lockdown)[0] == Lockdown("li")
    assert gate.said(Lockdown)[-1] == Lockdown("li", is_over=True)


async def test_a_lockdown_that_was_ordered_at_the_gate_is_ended_by_no_office(gate):
    begin_lockdown(gate.state, "the guard", NOON, at_gate=True)
    outcome = await gate.ordered(SwitchLockdown(on=False))
    assert (outcome.outcome, "gated lockdown off" in outcome.why) == ("refused", True)
    await gate.ordered(SwitchLockdown(on=True))
    await gate.ordered(SwitchLockdown(on=False))
    assert read_lockdown(gate.state).by == "the guard"


async def test_the_first_sender_of_a_lockdown_stays_on_record_and_ending_none_is_done(gate):
    assert await gate.ordered(SwitchLockdown(on=False)) == CommandOutcome("done")
    await gate.ordered(SwitchLockdown(on=True))
    first = read_lockdown(gate.state)
    await gate.ordered(SwitchLockdown(on=True))
    assert read_lockdown(gate.state) == first


# People


async def test_a_suspension_counts_at_once(gate):
    gate.watch()
    await gate.entrance.credentials.handle_card(CARD)
    assert len(gate.door.released) == 1
    assert await gate.ordered(Suspend(ANN, 7)) == CommandOutcome("done")
    await until(lambda: gate.entrance._ring.holder(ANN).is_suspended)
    await gate.entrance.credentials.handle_card(CARD)
    assert len(gate.door.released) == 1
    assert [fact.reason for fact in gate.said(CredentialDenied)] == ["suspended"]


async def test_a_suspension_of_nobody_is_refused(gate):
    assert await gate.ordered(Suspend(NOBODY, 7)) == CommandOutcome("refused", f"no person here has the id {NOBODY}")


async def stood(gate, is_over=lambda: True):
    """Order Ann's enrolment and show her face until it is done and `is_over()` holds. Returns the outcome."""
    task, frame = asyncio.create_task(gate.ordered(Enrol(ANN, 60.0))), 0
    quality = Quality(80.0, 100.0, 120.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    embedding = np.array([1, 0, 0, 0], "<f4").tobytes()
    async with asyncio.timeout(30):
        while not (task.done() and is_over()):
            frame += 1
            gate.entrance.faces.observe(
                Observation(1, frame, time.monotonic(), (0, 0, 90, 120), 0.9, quality, None, 0.9, embedding)
            )
            await asyncio.sleep(0.02)
    return task.result()


async def test_a_person_before_the_gate_is_enrolled_and_let_in(gate, monkeypatch):
    monkeypatch.setattr("gated.access.enrolment_looks.LOOK_INTERVAL_S", 0.03)
    monkeypatch.setattr("gated.access.live_enrolment.ANNOUNCE_S", 0.1)
    gate.entrance.faces.begin(READY)
    assert await stood(gate, lambda: gate.door.released) == CommandOutcome("done", "5 templates")
    assert gate.reported[:3] == [Enrolling(), Enrolling(is_over=True), PersonEnrolled(ANN, 5, "2026-11", SHA)]
    assert gate.operator.asked == ["5 good looks were taken at the face before the gate"]


@pytest.mark.parametrize(("has_room", "why"), [(True, "5 templates"), (False, "5 templates wait: the hourly limit")])
async def test_a_first_face_by_a_new_model_set_that_is_ordered_is_counted(gate, monkeypatch, has_room, why):
    monkeypatch.setattr("gated.access.enrolment_looks.LOOK_INTERVAL_S", 0.03)
    monkeypatch.setattr("gated.access.live_enrolment.ANNOUNCE_S", 0.1)
    register = gate.records.register
    with register.changing():
        register.store_capture(register.person(ANN), "d" * 64, [np.array([1, 0, 0, 0], np.float32)], NOON)
    gate.records.may_join = lambda subject, embedder, _: (subject, embedder) == (ANN, SHA) and has_room
    gate.entrance.faces.begin(READY)
    outcome = await stood(gate)
    assert outcome.outcome == "done"
    assert outcome.why.startswith(why)
    assert [fact.why for fact in gate.said(RecordQuarantined)] == ([] if has_room else ["bulk"])


async def test_an_enrolment_that_cannot_be_is_refused_in_one_sentence(gate):
    assert (await gate.ordered(Enrol(ANN, 5.0))).why == "the gate sees nothing; check its camera first"
    gate.entrance.faces.begin(READY)
    outcome = await gate.ordered(Enrol(NOBODY, 5.0))
    assert outcome.outcome == "refused"
    assert "nobody with the id" in outcome.why


async def test_a_face_is_shared_by_a_message_of_its_own(gate):
    assert await gate.ordered(Share(ANN, "back")) == CommandOutcome("done")
    (shared,) = gate.sent
    assert (shared.subject, shared.to) == (ANN, "back")


async def test_an_announced_batch_and_who_is_accepted_are_for_the_records_to_judge(gate):
    gate.records.announce = lambda people, hours: CommandOutcome("done", f"{people} within {hours} h")
    gate.records.accept = lambda subjects, operator: CommandOutcome("refused", f"{subjects} for {operator}")
    assert await gate.ordered(AnnounceBatch(216, 6.0)) == CommandOutcome("done", "216 within 6.0 h")
    assert await gate.ordered(AcceptQuarantined([ANN])) == CommandOutcome("refused", f"['{ANN}'] for li")


async def test_a_face_that_may_not_be_shared_is_not(gate):
    gate.records.trouble = EnrolmentError(f"{ANN}: has not agreed that their face goes to another gate")
    assert await gate.ordered(Share(ANN, "back")) == CommandOutcome("refused", str(gate.records.trouble))
    assert gate.sent == []


# The gate itself


async def test_a_restart_comes_after_its_answer_could_leave(gate, monkeypatch):
    monkeypatch.setattr(commands, "LEAVE_S", 0.05)
    assert await gate.ordered(Restart()) == CommandOutcome("done")
    assert gate.stopped == []
    await until(lambda: gate.stopped)
    assert gate.stopped == ["restart"]


async def test_settings_of_the_office_are_on_trial_from_the_next_start_which_is_now(gate, monkeypatch):
    monkeypatch.setattr(commands, "LEAVE_S", 0.0)
    assert await gate.ordered(ChangeSettings("[access]\nframes = 4\n")) == CommandOutcome("done")
    proposal = read_proposal(gate.state)
    assert proposal.toml == "[access]\nframes = 4\n"
    assert proposal.mark.lost == ["network"], "what is lost already is not held against them"
    await until(lambda: gate.stopped)


async def test_settings_that_are_wrong_are_refused_with_every_problem_and_change_nothing(gate, monkeypatch):
    monkeypatch.setattr(commands, "LEAVE_S", 0.0)
    outcome = await gate.ordered(ChangeSettings('[access]\nframes = "many"\n[door]\nlock_pin = 3\n'))
    assert outcome.outcome == "refused"
    assert "frames" in outcome.why
    assert "lock_pin" in outcome.why
    assert "\n" not in outcome.why
    await asyncio.sleep(0.05)
    assert read_proposal(gate.state) is None
    assert gate.stopped == []


async def test_settings_that_loosen_are_refused_each_with_its_key_and_its_bound(gate, monkeypatch):
    """The office's key signs these settings, but they accept weaker matches, fewer frames and more attempts."""
    monkeypatch.setattr(commands, "LEAVE_S", 0.0)
    toml = "access.threshold = 1e-9\naccess.margin = 0.0\naccess.frames = 1\nreaders.attempts = 100\n"
    outcome = await gate.ordered(ChangeSettings(toml))
    assert outcome.outcome == "refused"
    assert {found.part for found in outcome.findings} == {
        "access.threshold", "access.margin", "access.frames", "readers.attempts"
    }  # fmt: skip
    assert all("the office may only" in found.says and "here it is" in found.says for found in outcome.findings)
    await asyncio.sleep(0.05)
    assert (read_proposal(gate.state), gate.stopped) == (None, [])


async def test_a_missing_model_set_is_reported_and_changes_nothing(gate, monkeypatch):
    monkeypatch.setattr(commands, "LEAVE_S", 0.0)
    outcome = await gate.ordered(SwitchModels("no-such-set"))
    assert outcome.outcome == "failed"
    assert outcome.why
    await asyncio.sleep(0.05)
    assert read_proposal(gate.state) is None
    assert gate.stopped == []


async def test_a_model_set_is_proved_and_used_from_the_next_start_which_is_now(gate, monkeypatch):
    monkeypatch.setattr(commands, "LEAVE_S", 0.0)
    assert await gate.ordered(SwitchModels("courtyard")) == CommandOutcome("done")
    assert "courtyard" in read_proposal(gate.state).toml
    await until(lambda: gate.stopped)


async def test_a_model_set_for_which_nobody_waits_any_more_is_not_used(gate, monkeypatch):
    monkeypatch.setattr(commands, "LEAVE_S", 0.0)
    gate.operator.gives_up()
    outcome = await gate.ordered(SwitchModels("courtyard"))
    assert outcome == CommandOutcome("refused", "nobody waits any more; nothing was done")
    assert read_proposal(gate.state) is None
    await asyncio.sleep(0.05)
    assert gate.stopped == []


async def test_models_that_cannot_be_proved_or_may_not_drive_this_lock_are_not_used(gate, monkeypatch):
    settings = gate.orders._settings
    gate.orders._settings = replace(settings, door=replace(settings.door, pins="gpio"))
    assert (await gate.ordered(SwitchModels("courtyard"))).why.count("never drives a real lock")
    gate.orders._settings = settings
    monkeypatch.setattr(commands, "VERIFY_S", 0.01)
    assert (await gate.ordered(SwitchModels("courtyard"))).why.startswith("`gated models verify courtyard` did not")
    assert read_proposal(gate.state) is None
    assert gate.stopped == []


async def test_the_doctor_says_how_every_part_is_and_nothing_about_anybody(gate):
    outcome = await gate.ordered(Diagnose())
    assert outcome.outcome == "done"
    found = {finding.part: finding for finding in outcome.findings}
    assert found["latch"].level == "amber"
    assert "->" in found["latch"].says
    assert {finding.level for finding in outcome.findings} <= {"green", "amber", "red"}
    assert not any(secret in str(outcome) for secret in (ANN, "Unmistakable", "flat-4711", CARD))


async def test_a_doctor_who_does_not_come_back_is_sent_away(gate, monkeypatch):
    monkeypatch.setattr(commands, "DOCTOR_S", 0.01)
    outcome = await gate.ordered(Diagnose())
    assert outcome == CommandOutcome("failed", "`gated doctor --json` did not end within 0 s; run it at the gate")


# Failures


async def test_an_order_that_fails_for_a_known_reason_says_it(gate):
    gate.records.trouble = StateError("the disk is full")
    assert await gate.ordered(Share(ANN, "back")) == CommandOutcome("failed", "the disk is full")


async def test_an_error_that_nobody_thought_of_ends_the_order_and_nothing_else(gate, caplog):
    gate.records.trouble = RuntimeError("a secret")
    with caplog.at_level(logging.ERROR):
        assert await gate.ordered(Share(ANN, "back")) == CommandOutcome(
            "failed", "an internal error; read the gate's log"
        )
    assert order(Share(ANN, "back")).id in caplog.text
    assert await gate.ordered(ReleaseDoor()) == CommandOutcome("done")


async def test_an_enrolment_that_takes_its_time_holds_up_no_release(gate):
    gate.entrance.faces.begin(READY)
    enrolling = asyncio.create_task(gate.ordered(Enrol(ANN, 60.0)))
    await asyncio.sleep(0)
    assert await gate.ordered(ReleaseDoor(), 2) == CommandOutcome("done")
    assert not enrolling.done()
    enrolling.cancel()
    await asyncio.wait([enrolling])

"""The director sends people to the gate, reads its journal, and judges it. The gate here is scripted."""

from contextlib import closing
from datetime import UTC, datetime

import pytest

from gated.errors import StateError
from gated.events import (
    AccessDenied,
    AccessGranted,
    DoorReleased,
    DoorSecured,
    PersonRemoved,
    WorkerLost,
    WorkerReady,
)
from gated.simulator import director as module
from gated.simulator.desk import Desk
from gated.simulator.director import Director
from gated.simulator.morning import LATER_S, MorningStep, Resident
from gated.simulator.script import Actor, read_script

WANG, CHEN = "a" * 16, "b" * 16


class Stage(Desk):
    """A desk whose gate answers each scene with `answers`, once an actor is on the way."""

    def __init__(self, folder):
        super().__init__(folder, {})
        self.answers, self.killed, self.removed = [], 0, []
        self._writer = self.journal()

    def check_alive(self):
        if any(actor.comes_s < LATER_S and actor.leaves_s is None for actor in read_script(self.script).actors):
            self.write_answers()

    def write_answers(self):
        while self.answers:
            self._writer.append(self.answers.pop(0), datetime.now(UTC))

    def kill_vision(self):
        self.killed += 1
        return True

    def remove(self, subject):
        self.removed.append(subject)
        self._writer.append(PersonRemoved(subject, 3), datetime.now(UTC))


def granted(subject):
    return AccessGranted("v", subject, 0.9, 0.5, 6, 0.9, 3, "ab" * 32, 0.0)


def denied(reason="unknown", latency_s=0.0):
    return AccessDenied("v", reason, 0.5, 6, 3, latency_s)


def actor(name="Wang Yu"):
    return Actor(person=1, comes_s=LATER_S, name=name)


@pytest.fixture
def stage(tmp_path, monkeypatch):
    for name, seconds in {"PATIENCE_S": 1.5, "LINGER_S": 0.1, "PASS_S": 0.1, "KILL_AFTER_S": 0.1}.items():
        monkeypatch.setattr(module, name, seconds)
    stage = Stage(tmp_path)
    yield stage
    stage._writer.close()


@pytest.fixture
def play(stage):
    """A function that plays one step at a gate with these answers. Returns the outcome and the director."""

    def play(step, *answers, **more):
        stage.answers = list(answers)
        shown = []
        with closing(Director(stage, [step], None, lambda now: shown.append(now.title))) as director:
            director.enrolled(Resident("Wang Yu", 1, "12"), WANG)
            director.enrolled(Resident("Chen Jie", 2, "58"), CHEN)
            return director.play(0, **more), director

    return play


def test_a_granted_resident_is_as_expected(play):
    outcome, director = play(
        MorningStep("home", (actor(),), ("Wang Yu",)), granted(WANG), DoorReleased("grant", 1.5, "v")
    )
    assert outcome.is_right
    assert outcome.let_in == ("Wang Yu",)
    assert director.now.result == "OPEN for Wang Yu"
    assert director.now.door == "released"


def test_a_denied_resident_is_not_as_expected(play):
    outcome, _ = play(MorningStep("home", (actor(),), ("Wang Yu",)), denied())
    assert not outcome.is_right
    assert outcome.let_in == ()


def test_both_of_two_residents_must_be_granted(play):
    step = MorningStep("two", (actor(), actor("Chen Jie")), ("Wang Yu", "Chen Jie"))
    assert not play(step, granted(WANG))[0].is_right
    assert play(step, granted(CHEN), granted(WANG))[0].is_right


def test_a_stranger_needs_a_denial_not_just_no_grant(play):
    step = MorningStep("a stranger", (actor("a stranger"),), also="refused")
    assert play(step, denied(), DoorSecured("lease"))[0].is_right
    assert not play(step)[0].is_right
    assert not play(step, denied(), granted(WANG))[0].is_right
    assert not play(step, granted("c" * 16))[0].is_right


def test_decisions_on_frames_before_the_step_do_not_count(play):
    outcome, _ = play(MorningStep("a stranger", (actor("a stranger"),), also="refused"), denied(latency_s=60.0))
    assert not outcome.is_right


def test_a_step_that_does_not_count_is_right(play):
    step = MorningStep("a print", (actor("a thief"),), also="refused", is_attack=True)
    outcome, _ = play(step, granted(WANG), is_judged=False)
    assert outcome.is_right
    assert outcome.let_in == ("Wang Yu",)


def test_killed_vision_must_restart(play, stage):
    step = MorningStep("killed", (actor(),), ("Wang Yu",), "vision came back", "vision killed")
    back = [WorkerLost("vision", "ended by SIGKILL"), WorkerReady("vision"), granted(WANG)]
    assert play(step, *back)[0].is_right
    assert stage.killed == 1
    assert not play(step, back[0], granted(WANG))[0].is_right


def test_a_person_is_removed_before_their_visit(play, stage):
    step = MorningStep("gone", (actor("Chen Jie"),), also="refused", first="removed", name="Chen Jie")
    outcome, director = play(step, denied())
    assert stage.removed == [CHEN]
    assert outcome.is_right
    assert director.now.people == 1


def test_events_wait_without_a_network(play):
    outcome, director = play(MorningStep("cut", (actor(),), ("Wang Yu",), "events wait", "network cut"), granted(WANG))
    assert outcome.is_right
    assert director.now.network == "no Mosquitto here"
    assert director.now.waiting > 0


def test_actors_come_when_called_and_leave_after_the_decision(play, stage):
    _, director = play(MorningStep("home", (actor(),), ("Wang Yu",)), granted(WANG))
    (there,) = read_script(stage.script).actors
    assert 0 <= there.comes_s <= there.leaves_s < 60
    assert director.script.begins_at is not None
    assert director.now.in_view == "the empty lane"


def test_a_gate_that_is_never_ready_is_reported(stage, monkeypatch):
    monkeypatch.setattr(module, "READY_S", 0.3)
    with closing(Director(stage, [], None, lambda now: None)) as director:
        assert director.wait_until_on_duty() is False
        stage.answers = [WorkerReady("latch"), WorkerReady("vision")]
        stage.write_answers()
        assert director.wait_until_on_duty() is True
        assert director.now.door == "secured"


def test_a_gate_that_ends_ends_the_morning(stage, monkeypatch):
    def ended():
        raise StateError("the gate has ended")

    monkeypatch.setattr(stage, "check_alive", ended)
    director = Director(stage, [MorningStep("home", (actor(),))], None, lambda now: None)
    with closing(director), pytest.raises(StateError, match="has ended"):
        director.play(0)

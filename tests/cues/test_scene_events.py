"""The situation that each event shows, the priority of situations, and their ends."""

import itertools
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated import events
from gated.cues.cue import RANK, Situation
from gated.cues.guidance import apply_sight
from gated.cues.scene import Scene, ShownSituation, Sight, add_claim, next_end, shown_situation
from gated.cues.scene_events import (
    ALARM_S,
    CALLING_S,
    NO_ANSWER_S,
    OPENING_S,
    REFUSAL_SHOWN_S,
    RESTING_S,
    apply_event,
    apply_result,
)

LOST = events.Degraded
DENIED = events.AccessDenied("v", "unknown", 0.4, 9, 3, 0.1)
GRANTED = events.AccessGranted("v", "00", 0.6, 0.4, 9, 0.9, 3, "ab", 0.1)
OPEN = events.DoorReleased("grant", 8.0, "v")


def after(*facts, at=0.0, scene=None):
    """Return the scene after events that are a tenth of a second apart."""
    scene = Scene() if scene is None else scene
    for i, fact in enumerate(facts):
        scene = apply_event(scene, fact, at + i / 10)
    return scene


def shown_after(*facts, at=1.0):
    return shown_situation(after(*facts), at).situation


def test_without_events_the_gate_is_idle():
    assert shown_situation(Scene(), 0.0) == ShownSituation(Situation.IDLE)
    assert next_end(Scene(), 0.0) == inf


@pytest.mark.parametrize(
    ("fact", "situation"),
    [
        (OPEN, "open"),
        (events.DoorReleased("rex", 5.0), "open"),
        (DENIED, "refused"),
        (events.CredentialDenied("card", "unknown"), "refused"),
        (events.CredentialDenied("pin", "expired", door="second"), "refused"),
        (events.ReleaseRefused("v", "too old"), "refused"),
        (events.TooManyAttempts("pin", 5), "resting"),
        (events.CallPressed(), "calling"),
        (events.CallAnswered(), "answered"),
        (LOST(["vision"]), "fault"),
        (LOST(["gallery"]), "fault"),
        (LOST(["latch"]), "out_of_order"),
        (LOST(["latch", "vision"]), "out_of_order"),
        (events.DoorHeldOpen(30.0), "held_open"),
        (events.DoorHeldOpen(60.0, is_alarm=True), "alarm"),
        (events.DoorForcedOpen(), "alarm"),
        (events.DoorForcedOpen("second"), "alarm"),
        (events.Lockdown("server"), "lockdown"),
        (events.ScheduledUnlock("daytime"), "free_passage"),
        (events.Enrolling(), "enrolling"),
        (events.FireRelease(), "fire"),
    ],
)
def test_each_event_shows_its_situation(fact, situation):
    assert shown_after(fact) == situation


@pytest.mark.parametrize(
    "fact",
    [
        GRANTED,
        events.CredentialGranted("card", "v", "c1"),
        events.Duress("00", "v"),
        events.Tampered(),
        events.LineImplausible("lock", "it is open"),
        events.DoorOpened("grant"),
        events.DoorReleased("fire", 8.0),
        events.DoorReleased("schedule", 8.0),
        events.ClockDoubted("it is 1970"),
        LOST([]),
        LOST(["network"]),
        LOST(["journal"]),
        events.PreferencesChanged("00"),
    ],
)
def test_these_events_show_nothing(fact):
    assert shown_after(fact) == "idle"


def test_a_duress_pin_shows_the_same_cue_as_any_pin():
    granted = events.CredentialGranted("pin", "v", "c1")
    assert after(granted, OPEN).claims == after(granted, OPEN, events.Duress("00", "v")).claims


@pytest.mark.parametrize("reason", ["unknown", "attack", "suspended", "ambiguous", "poor_quality", "odd"])
def test_the_refusal_cue_does_not_reveal_the_reason(reason):
    denied = events.AccessDenied("v", reason, 0.4, 9, 3, 0.1, subject="00", score=0.1)
    assert after(denied) == after(DENIED)
    assert shown_after(denied) == shown_after(events.CredentialDenied("card", reason))


def test_open_lasts_as_long_as_the_release():
    scene = after(OPEN)
    assert next_end(scene, 1.0) == 8.0
    assert shown_situation(scene, 7.9).situation == "open"
    assert shown_situation(scene, 8.0).situation == "idle"


def test_open_ends_with_the_lock():
    assert shown_after(OPEN, events.DoorOpened("grant"), events.DoorSecured("closed")) == "idle"
    assert shown_after(OPEN, events.DoorSecured("lease", "second")) == "open"


def test_a_second_release_restarts_the_open_cue():
    scene = after(OPEN)
    first = shown_situation(scene, 5.0)
    again = shown_situation(apply_event(scene, OPEN, 5.0), 9.0)
    assert again.situation == "open"
    assert again.number != first.number


def test_a_shorter_release_does_not_shorten_the_open_cue():
    slow = events.DoorReleased("grant", 30.0, "slow")
    assert next_end(after(slow, OPEN), 1.0) == 30.0
    assert next_end(after(OPEN, slow), 1.0) == 30.1


def test_two_refusals_in_a_row_are_both_shown():
    scene = after(DENIED)
    once = shown_situation(scene, 1.0)
    twice = shown_situation(apply_event(scene, DENIED, 1.0), 1.0)
    assert once.situation == twice.situation == "refused"
    assert once != twice


def test_a_refusal_ends_by_itself():
    scene = after(DENIED)
    assert shown_situation(scene, REFUSAL_SHOWN_S - 0.01).situation == "refused"
    assert shown_situation(scene, REFUSAL_SHOWN_S).situation == "idle"


@pytest.mark.parametrize("before", [DENIED, events.TooManyAttempts("pin", 5), events.CallPressed()])
def test_a_release_ends_the_cues_of_earlier_attempts(before):
    scene = after(before, OPEN, events.DoorSecured("closed"))
    assert shown_situation(scene, 1.0).situation == "idle"


def test_a_granted_card_replaces_the_resting_cue():
    assert shown_after(events.TooManyAttempts("pin", 5), events.CredentialGranted("card", "v", "c1"), OPEN) == "open"


def test_a_call_is_shown_until_it_is_answered_and_the_answer_until_it_ends():
    calling = after(events.CallPressed())
    assert shown_situation(calling, CALLING_S - 1).situation == "calling"
    assert shown_situation(calling, CALLING_S).situation == "idle"
    answered = apply_event(calling, events.CallAnswered(), 5.0)
    assert shown_situation(answered, 500.0).situation == "answered"
    assert shown_situation(apply_event(answered, events.CallAnswered(is_over=True), 501.0), 501.0).situation == "idle"
    assert shown_situation(apply_event(answered, events.CallEnded("opened"), 501.0), 501.0).situation == "idle"


@pytest.mark.parametrize(
    ("fact", "situation"),
    [
        (events.CallAnswered(answer="opening"), "opening"),
        (events.CallAnswered(answer="wait"), "answered"),
        (events.CallAnswered(answer="a newer one"), "answered"),
        (events.CallAnswered(answer="nobody"), "declined"),
        (events.CallEnded("unanswered"), "unanswered"),
        (events.CallEnded("unreachable"), "unreachable"),
        (events.CallEnded("opened"), "idle"),
    ],
)
def test_every_end_of_a_call_is_shown(fact, situation):
    assert shown_after(events.CallPressed(), fact) == situation
    assert shown_after(events.Lockdown("server"), events.CallPressed(), fact) == (
        situation if situation != "idle" else "lockdown"
    )


@pytest.mark.parametrize("end", [events.CallAnswered(answer="nobody"), events.CallEnded("unanswered")])
def test_an_unanswered_call_is_shown_for_no_answer_s(end):
    scene = after(events.CallPressed(), end)
    assert shown_situation(scene, NO_ANSWER_S - 1).situation not in ("idle", "calling")
    assert shown_situation(scene, NO_ANSWER_S + 1).situation == "idle"


def test_opening_is_shown_before_open_and_open_starts_its_own_cue():
    scene = after(events.CallPressed(), events.CallAnswered(answer="opening"), OPEN)
    assert shown_situation(scene, 1.0).situation == "opening"
    assert shown_situation(scene, 0.2 + OPENING_S).situation == "open"
    assert shown_situation(scene, 8.3).situation == "idle"


def test_a_press_after_a_wait_starts_a_new_call():
    assert shown_after(events.CallPressed(), events.CallAnswered(), events.CallPressed()) == "calling"


def test_a_call_at_one_door_does_not_affect_the_other():
    assert shown_after(events.CallPressed("second"), events.CallPressed(), events.CallEnded("opened")) == "calling"
    assert shown_after(events.CallPressed("second"), OPEN) == "calling"


def test_a_call_is_shown_during_a_lockdown():
    assert shown_after(events.Lockdown("server"), events.CallPressed()) == "calling"


def test_a_held_door_shows_a_request_then_an_alarm_until_it_is_closed():
    facts = [OPEN, events.DoorSecured("lease"), events.DoorHeldOpen(30.0)]
    assert shown_after(*facts) == "held_open"
    facts.append(events.DoorHeldOpen(60.0, is_alarm=True))
    assert shown_after(*facts) == "alarm"
    assert shown_after(*facts, events.DoorClosed()) == "idle"


def test_the_alarm_of_a_forced_door_outlasts_its_closing():
    scene = after(events.DoorForcedOpen(), events.DoorClosed())
    assert shown_situation(scene, ALARM_S - 1).situation == "alarm"
    assert shown_situation(scene, ALARM_S + 1).situation == "idle"


def test_closing_one_door_does_not_end_the_alarm_of_the_other():
    scene = after(events.DoorForcedOpen("second"), events.DoorHeldOpen(30.0), events.DoorClosed())
    assert shown_situation(scene, 1000.0).situation == "alarm"


def test_a_fire_has_the_highest_priority_until_its_reset():
    facts = [events.FireRelease(), events.Lockdown("server"), events.DoorForcedOpen(), OPEN, DENIED, LOST(["latch"])]
    assert shown_after(*facts) == "fire"
    assert shown_situation(after(*facts), 1e6).situation == "fire"
    assert shown_after(events.FireRelease(), events.FireReset()) == "idle"


def test_a_reset_at_one_door_does_not_end_the_fire_at_the_other():
    assert shown_after(events.FireRelease(), events.FireRelease("second"), events.FireReset()) == "fire"


def test_a_door_secured_by_a_new_latch_has_no_fire():
    assert shown_after(events.FireRelease(), events.DoorSecured("start")) == "idle"
    assert shown_after(events.FireRelease(), events.DoorSecured("lease")) == "fire"


def test_an_alarm_ranks_above_a_lockdown_and_a_lockdown_above_open():
    assert shown_after(events.Lockdown("server"), OPEN) == "lockdown"
    assert shown_after(events.Lockdown("server"), OPEN, events.DoorForcedOpen()) == "alarm"
    assert shown_after(events.Lockdown("server"), events.Lockdown("server", is_over=True)) == "idle"


def test_an_unlock_schedule_ranks_above_a_refusal():
    assert shown_after(events.ScheduledUnlock("daytime"), DENIED) == "free_passage"
    assert shown_after(events.ScheduledUnlock("daytime"), events.ScheduledUnlock("daytime", is_over=True)) == "idle"


def test_a_loss_is_shown_until_it_is_over():
    assert shown_after(LOST(["vision"]), LOST(["network", "vision"])) == "fault"
    assert shown_after(LOST(["vision"]), LOST(["network"])) == "idle"
    assert shown_after(LOST(["latch", "vision"]), LOST(["vision"])) == "fault"


def test_the_same_loss_reported_again_does_not_restart_the_cue():
    assert shown_situation(after(LOST(["vision"])), 1.0) == shown_situation(
        after(LOST(["vision"]), LOST(["network", "vision"])), 1.0
    )


def test_a_card_at_a_gate_without_vision_shows_open():
    scene = after(LOST(["vision"]), events.CredentialGranted("card", "v", "c1"), OPEN)
    assert shown_situation(scene, 1.0).situation == "open"
    assert shown_situation(scene, 9.0).situation == "fault"


def test_without_a_latch_no_door_state_is_shown():
    facts = [OPEN, events.DoorHeldOpen(30.0), events.DoorForcedOpen(), events.WorkerLost("latch", "it does not answer")]
    assert shown_after(*facts) == "idle"
    assert shown_after(OPEN, events.WorkerLost("vision", "it hangs")) == "open"
    assert shown_after(events.FireRelease(), events.WorkerLost("latch", "it does not answer")) == "fire"


@pytest.mark.parametrize("fact", [DENIED, events.DoorHeldOpen(30.0)])
def test_an_enrolment_is_shown_over_earlier_cues(fact):
    assert shown_after(fact, events.Enrolling()) == "enrolling"
    assert shown_after(events.ScheduledUnlock("daytime"), fact, events.Enrolling()) == "enrolling"


def test_an_enrolment_hides_neither_open_nor_danger():
    assert shown_after(events.Enrolling(), OPEN) == "open"
    for fact, situation in ((events.DoorForcedOpen(), "alarm"), (events.Lockdown("x"), "lockdown")):
        assert shown_after(events.Enrolling(), fact) == situation
    assert shown_after(events.Enrolling(), events.Enrolling(is_over=True)) == "idle"


def test_old_events_show_only_lasting_situations():
    now, then = 4000.0, 400.0
    scene = apply_event(apply_event(Scene(), OPEN, then), events.CallPressed(), then)
    assert shown_situation(scene, now).situation == "idle"
    assert shown_situation(apply_event(scene, events.FireRelease(), then), now).situation == "fire"


FACTS = st.sampled_from(
    [
        OPEN, DENIED, GRANTED, LOST(["vision"]), LOST(["latch"]), LOST([]), events.CallPressed(), events.DoorClosed(),
        events.CallAnswered(), events.CallAnswered(is_over=True), events.DoorHeldOpen(30.0), events.DoorForcedOpen(),
        events.DoorHeldOpen(60.0, is_alarm=True), events.DoorSecured("lease"), events.DoorSecured("closed"),
        events.Lockdown("x"), events.Lockdown("x", is_over=True), events.ScheduledUnlock("d"), events.FireRelease(),
        events.ScheduledUnlock("d", is_over=True), events.FireReset(), events.TooManyAttempts("pin", 5),
        events.WorkerLost("latch", "x"), events.CredentialDenied("pin", "x"), events.Enrolling(),
        events.Enrolling(is_over=True),
    ]
)  # fmt: skip
SIGHTS = st.builds(
    Sight,
    st.integers(1, 3),
    st.sampled_from([None, "too_small", "turned_away", "background"]),
    st.floats(allow_nan=True),
    st.floats(allow_nan=True),
    st.floats(allow_nan=True),
)
STEPS = st.lists(st.tuples(st.one_of(FACTS, SIGHTS), st.floats(0, 20)), max_size=30)


def after_steps(steps):
    """Return the scene after steps, and the time."""
    scene, now = Scene(), 0.0
    for step, wait_s in steps:
        now += wait_s
        scene = apply_sight(scene, step, now) if isinstance(step, Sight) else apply_event(scene, step, now)
    return scene, now


@given(STEPS)
def test_after_any_events_the_highest_claim_is_shown_and_fire_is_never_hidden(steps):
    scene, now = after_steps(steps)
    alive = [s for (s, _), c in scene.claims.items() if now < c.ends_at]
    assert shown_situation(scene, now).situation == min([*alive, Situation.IDLE], key=RANK.get)
    burns = False
    for step, _ in steps:
        burns = (burns or step == events.FireRelease()) and step != events.FireReset()
    assert (shown_situation(scene, now).situation == "fire") == burns


@given(STEPS)
def test_nothing_changes_by_itself_before_ends_at(steps):
    scene, now = after_steps(steps)
    until = next_end(scene, now)
    assert until > now
    just_before = min(until, now + 1e6) - 1e-6
    assert shown_situation(scene, max(now, just_before)) == shown_situation(scene, now)


@given(STEPS)
def test_every_attempt_and_every_repaired_loss_ends_in_idle(steps):
    scene, now = after_steps(steps)
    repaired = [
        LOST([]), events.FireReset(), events.Lockdown("x", is_over=True), events.ScheduledUnlock("d", is_over=True),
        events.Enrolling(is_over=True),
        events.CallAnswered(is_over=True), events.DoorClosed(), events.DoorSecured("closed"),
    ]  # fmt: skip
    for fact in repaired:
        scene = apply_event(scene, fact, now)
    assert shown_situation(scene, now + 1000).situation == "idle"


@given(STEPS)
def test_the_number_of_claims_is_bounded(steps):
    scene, _ = after_steps(steps * 3)
    assert len(scene.claims) <= len(Situation) + 2


def test_every_restarted_cue_has_a_new_number():
    scene = Scene()
    numbers = []
    for situation, now in itertools.product((Situation.REFUSED, Situation.OPEN), (1.0, 2.0)):
        scene = add_claim(scene, situation, "", now, 5.0)
        numbers.append(shown_situation(scene, now).number)
    assert numbers == sorted(set(numbers))


def test_the_resting_cue_is_not_restarted_by_the_next_key():
    scene = apply_result(Scene(), "resting", 10)
    assert shown_situation(scene, 10).situation == "resting"
    again = apply_result(scene, "resting", 12)
    assert shown_situation(again, 12) == shown_situation(scene, 10)
    assert shown_situation(again, 12 + RESTING_S - 0.1).situation == "resting"
    assert shown_situation(apply_result(again, "resting", 60), 60).number != shown_situation(again, 12).number


@pytest.mark.parametrize("request_", ["second", "second_face"])
def test_a_second_credential_is_requested_until_a_release_or_a_denial(request_):
    scene = apply_result(Scene(), request_, 10)
    assert shown_situation(scene, 24).situation == request_
    released = apply_event(scene, OPEN, 15)
    assert shown_situation(released, 15).situation == "open"
    assert shown_situation(released, 24).situation == "idle"
    late = apply_event(scene, events.AccessDenied("v", "second_credential_missing", 0.5, 2, 3, 0.1), 25)
    assert shown_situation(late, 25).situation == "refused"
    assert shown_situation(late, 40).situation == "idle"
    wrong = apply_event(scene, events.CredentialDenied("pin", "unknown"), 15)
    assert shown_situation(wrong, 15).situation == "refused"


def test_a_stranger_does_not_end_the_request_for_a_second_credential():
    scene = apply_result(Scene(), "second", 10)
    scene = apply_event(scene, events.AccessDenied("v", "unknown", 0.5, 2, 3, 0.1), 12)
    assert shown_situation(scene, 12).situation == "second"


def test_a_face_that_waits_for_its_card_gets_no_guidance():
    near = Sight(1, None, 0.5, 1.0, 0.0)
    scene = apply_result(apply_sight(Scene(), near, 10.0), "second", 10.5)
    scene = apply_sight(scene, near, 17.5)
    assert shown_situation(scene, 17.5).situation == "second"


FAR, NEAR = Sight(1, "too_small", 0.5, 0.6, 0.0), Sight(1, None, 0.5, 1.0, 0.0)


def test_after_its_sentence_the_request_for_a_face_gives_way_to_guidance_and_returns():
    scene = apply_result(Scene(), "second_face", 10)
    shown_then = {}
    for tenth in range(100, 240):
        at = tenth / 10
        scene = apply_sight(scene, FAR if at < 21 else NEAR, at)
        shown_then[at] = shown_situation(scene, at).situation
    assert {shown_then[at] for at in (10.0, 12.0, 19.4)} == {"second_face"}, "a person hears it to its end"
    assert {shown_then[at] for at in (19.6, 20.0, 20.9)} == {"closer"}
    assert shown_then[23.9] == "second_face"


def test_without_a_face_the_request_stays_until_its_denial():
    scene = apply_result(Scene(), "second_face", 10)
    assert [shown_situation(scene, at).situation for at in (10, 19.6, 24.9)] == ["second_face"] * 3


def test_a_face_that_was_refused_before_its_card_is_guided_again():
    scene = apply_sight(Scene(), NEAR, 5.0)
    scene = apply_event(scene, events.AccessDenied("v", "unknown", 0.5, 2, 3, 0.1), 6.0)
    assert scene.decided == 1
    scene = apply_result(scene, "second_face", 8)
    for tenth in range(80, 180):
        scene = apply_sight(scene, FAR, tenth / 10)
    assert shown_situation(scene, 17.9).situation == "closer"


def test_after_a_flat_number_the_pin_is_requested_until_a_result():
    scene = apply_result(Scene(), "go_on", 10)
    assert shown_situation(scene, 29).situation == "code"
    assert shown_situation(scene, 31).situation == "idle"
    denied = apply_event(scene, events.CredentialDenied("pin", "unknown"), 15)
    assert shown_situation(denied, 15).situation == "refused"
    assert shown_situation(denied, 26).situation == "idle"
    assert shown_situation(apply_result(scene, "resting", 15), 26).situation == "idle"

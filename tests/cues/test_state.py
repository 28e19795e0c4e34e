"""What every fact means for the people at the gate, what beats what, and when it is over."""

import itertools
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated import events
from gated.cues.cue import RANK, Situation
from gated.cues.guidance import saw
from gated.cues.scene import Scene, Shown, Sight, claim, ends_at, shown
from gated.cues.state import ALARM_S, CALLING_S, REFUSED_S, happened

LOST = events.Degraded
DENIED = events.AccessDenied("v", "unknown", 0.4, 9, 3, 0.1)
GRANTED = events.AccessGranted("v", "00", 0.6, 0.4, 9, 0.9, 3, "ab", 0.1)
OPEN = events.DoorReleased("grant", 8.0, "v")


def after(*facts, at=0.0, scene=None):
    """The scene after these facts, a tenth of a second apart."""
    scene = Scene() if scene is None else scene
    for i, fact in enumerate(facts):
        scene = happened(scene, fact, at + i / 10)
    return scene


def told(*facts, at=1.0):
    return shown(after(*facts), at).situation


def test_nothing_has_happened_and_the_gate_is_idle():
    assert shown(Scene(), 0.0) == Shown(Situation.IDLE)
    assert ends_at(Scene(), 0.0) == inf


@pytest.mark.parametrize(
    ("fact", "situation"),
    [
        (OPEN, "open"),
        (events.DoorReleased("rex", 5.0), "open"),
        (DENIED, "refused"),
        (events.WayDenied("card", "unknown"), "refused"),
        (events.WayDenied("pin", "expired", door="second"), "refused"),
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
        (events.FreePassage("daytime"), "free_passage"),
        (events.FireRelease(), "fire"),
    ],
)
def test_what_a_fact_tells(fact, situation):
    assert told(fact) == situation


@pytest.mark.parametrize(
    "fact",
    [
        GRANTED,
        events.WayGranted("card", "v", "c1"),
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
def test_what_people_need_not_be_told(fact):
    assert told(fact) == "idle"


def test_a_duress_pin_tells_exactly_what_any_pin_does():
    granted = events.WayGranted("pin", "v", "c1")
    assert after(granted, OPEN).claims == after(granted, OPEN, events.Duress("00", "v")).claims


@pytest.mark.parametrize("reason", ["unknown", "attack", "suspended", "ambiguous", "poor_quality", "odd"])
def test_nobody_can_tell_from_the_cue_why_they_were_refused(reason):
    denied = events.AccessDenied("v", reason, 0.4, 9, 3, 0.1, subject="00", score=0.1)
    assert after(denied) == after(DENIED)
    assert told(denied) == told(events.WayDenied("card", reason))


def test_open_lasts_as_long_as_the_release():
    scene = after(OPEN)
    assert ends_at(scene, 1.0) == 8.0
    assert shown(scene, 7.9).situation == "open"
    assert shown(scene, 8.0).situation == "idle"


def test_open_ends_with_the_lock():
    assert told(OPEN, events.DoorOpened("grant"), events.DoorSecured("closed")) == "idle"
    assert told(OPEN, events.DoorSecured("lease", "second")) == "open"


def test_a_second_release_lasts_as_long_and_is_told_again():
    scene = after(OPEN)
    first = shown(scene, 5.0)
    again = shown(happened(scene, OPEN, 5.0), 9.0)
    assert again.situation == "open"
    assert again.number != first.number


def test_two_refusals_one_after_the_other_are_both_told():
    scene = after(DENIED)
    once = shown(scene, 1.0)
    twice = shown(happened(scene, DENIED, 1.0), 1.0)
    assert once.situation == twice.situation == "refused"
    assert once != twice


def test_a_refusal_is_over_by_itself():
    scene = after(DENIED)
    assert shown(scene, REFUSED_S - 0.01).situation == "refused"
    assert shown(scene, REFUSED_S).situation == "idle"


@pytest.mark.parametrize("before", [DENIED, events.TooManyAttempts("pin", 5), events.CallPressed()])
def test_when_the_door_opens_what_was_tried_before_is_forgotten(before):
    scene = after(before, OPEN, events.DoorSecured("closed"))
    assert shown(scene, 1.0).situation == "idle"


def test_one_way_rests_and_the_next_card_opens():
    assert told(events.TooManyAttempts("pin", 5), events.WayGranted("card", "v", "c1"), OPEN) == "open"


def test_a_call_is_told_until_it_is_answered_and_the_answer_until_it_is_over():
    calling = after(events.CallPressed())
    assert shown(calling, CALLING_S - 1).situation == "calling"
    assert shown(calling, CALLING_S).situation == "idle"
    answered = happened(calling, events.CallAnswered(), 5.0)
    assert shown(answered, 500.0).situation == "answered"
    assert shown(happened(answered, events.CallAnswered(is_over=True), 501.0), 501.0).situation == "idle"


def test_a_call_is_acknowledged_even_in_a_lockdown():
    assert told(events.Lockdown("server"), events.CallPressed()) == "calling"


def test_a_held_door_is_asked_to_be_shut_then_is_an_alarm_and_both_end_when_it_is_shut():
    facts = [OPEN, events.DoorSecured("lease"), events.DoorHeldOpen(30.0)]
    assert told(*facts) == "held_open"
    facts.append(events.DoorHeldOpen(60.0, is_alarm=True))
    assert told(*facts) == "alarm"
    assert told(*facts, events.DoorClosed()) == "idle"


def test_a_forced_door_is_an_alarm_for_a_while_after_it_was_shut():
    scene = after(events.DoorForcedOpen(), events.DoorClosed())
    assert shown(scene, ALARM_S - 1).situation == "alarm"
    assert shown(scene, ALARM_S + 1).situation == "idle"


def test_shutting_one_door_does_not_end_the_alarm_of_the_other():
    scene = after(events.DoorForcedOpen("second"), events.DoorHeldOpen(30.0), events.DoorClosed())
    assert shown(scene, 1000.0).situation == "alarm"


def test_a_fire_beats_everything_and_stands_until_somebody_resets_it():
    facts = [events.FireRelease(), events.Lockdown("server"), events.DoorForcedOpen(), OPEN, DENIED, LOST(["latch"])]
    assert told(*facts) == "fire"
    assert shown(after(*facts), 1e6).situation == "fire"
    assert told(events.FireRelease(), events.FireReset()) == "idle"


def test_a_fire_at_one_door_is_not_over_because_the_other_was_reset():
    assert told(events.FireRelease(), events.FireRelease("second"), events.FireReset()) == "fire"


def test_a_door_that_a_new_latch_secures_does_not_burn():
    assert told(events.FireRelease(), events.DoorSecured("start")) == "idle"
    assert told(events.FireRelease(), events.DoorSecured("lease")) == "fire"


def test_an_alarm_beats_a_lockdown_and_a_lockdown_an_opening():
    assert told(events.Lockdown("server"), OPEN) == "lockdown"
    assert told(events.Lockdown("server"), OPEN, events.DoorForcedOpen()) == "alarm"
    assert told(events.Lockdown("server"), events.Lockdown("server", is_over=True)) == "idle"


def test_free_passage_is_told_rather_than_a_refusal_that_stops_nobody():
    assert told(events.FreePassage("daytime"), DENIED) == "free_passage"
    assert told(events.FreePassage("daytime"), events.FreePassage("daytime", is_over=True)) == "idle"


def test_a_loss_is_told_until_it_is_mended():
    assert told(LOST(["vision"]), LOST(["network", "vision"])) == "fault"
    assert told(LOST(["vision"]), LOST(["network"])) == "idle"
    assert told(LOST(["latch", "vision"]), LOST(["vision"])) == "fault"


def test_the_same_loss_reported_again_is_not_told_again():
    assert shown(after(LOST(["vision"])), 1.0) == shown(after(LOST(["vision"]), LOST(["network", "vision"])), 1.0)


def test_a_card_opens_a_gate_without_vision_and_says_so():
    scene = after(LOST(["vision"]), events.WayGranted("card", "v", "c1"), OPEN)
    assert shown(scene, 1.0).situation == "open"
    assert shown(scene, 9.0).situation == "fault"


def test_without_a_latch_nobody_claims_to_know_the_door():
    facts = [OPEN, events.DoorHeldOpen(30.0), events.DoorForcedOpen(), events.WorkerLost("latch", "it does not answer")]
    assert told(*facts) == "idle"
    assert told(OPEN, events.WorkerLost("vision", "it hangs")) == "open"
    assert told(events.FireRelease(), events.WorkerLost("latch", "it does not answer")) == "fire"


def test_news_from_an_hour_ago_tells_what_stands_and_not_what_is_over():
    now, then = 4000.0, 400.0
    scene = happened(happened(Scene(), OPEN, then), events.CallPressed(), then)
    assert shown(scene, now).situation == "idle"
    assert shown(happened(scene, events.FireRelease(), then), now).situation == "fire"


FACTS = st.sampled_from(
    [
        OPEN, DENIED, GRANTED, LOST(["vision"]), LOST(["latch"]), LOST([]), events.CallPressed(), events.DoorClosed(),
        events.CallAnswered(), events.CallAnswered(is_over=True), events.DoorHeldOpen(30.0), events.DoorForcedOpen(),
        events.DoorHeldOpen(60.0, is_alarm=True), events.DoorSecured("lease"), events.DoorSecured("closed"),
        events.Lockdown("x"), events.Lockdown("x", is_over=True), events.FreePassage("d"), events.FireRelease(),
        events.FreePassage("d", is_over=True), events.FireReset(), events.TooManyAttempts("pin", 5),
        events.WorkerLost("latch", "x"), events.WayDenied("pin", "x"),
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


def lived(steps):
    """The scene after steps, and the time."""
    scene, now = Scene(), 0.0
    for step, wait_s in steps:
        now += wait_s
        scene = saw(scene, step, now) if isinstance(step, Sight) else happened(scene, step, now)
    return scene, now


@given(STEPS)
def test_whatever_happens_the_highest_claim_is_told_and_fire_is_never_hidden(steps):
    scene, now = lived(steps)
    alive = [s for (s, _), c in scene.claims.items() if now < c.ends_at]
    assert shown(scene, now).situation == min([*alive, Situation.IDLE], key=RANK.get)
    burns = False
    for step, _ in steps:
        burns = (burns or step == events.FireRelease()) and step != events.FireReset()
    assert (shown(scene, now).situation == "fire") == burns


@given(STEPS)
def test_nothing_changes_by_itself_before_the_time_that_is_said(steps):
    scene, now = lived(steps)
    until = ends_at(scene, now)
    assert until > now
    just_before = min(until, now + 1e6) - 1e-6
    assert shown(scene, max(now, just_before)) == shown(scene, now)


@given(STEPS)
def test_an_idle_gate_follows_whatever_was_tried_and_everything_that_is_mended(steps):
    scene, now = lived(steps)
    mended = [
        LOST([]), events.FireReset(), events.Lockdown("x", is_over=True), events.FreePassage("d", is_over=True),
        events.CallAnswered(is_over=True), events.DoorClosed(), events.DoorSecured("closed"),
    ]  # fmt: skip
    for fact in mended:
        scene = happened(scene, fact, now)
    assert shown(scene, now + 1000).situation == "idle"


@given(STEPS)
def test_memory_does_not_grow(steps):
    scene, _ = lived(steps * 3)
    assert len(scene.claims) <= len(Situation) + 2


def test_claims_count_up_so_that_every_telling_has_a_number_of_its_own():
    scene = Scene()
    numbers = []
    for situation, now in itertools.product((Situation.REFUSED, Situation.OPEN), (1.0, 2.0)):
        scene = claim(scene, situation, "", now, 5.0)
        numbers.append(shown(scene, now).number)
    assert numbers == sorted(set(numbers))

"""Light, sound, touch and screen show the same situation, at once, for as long as it lasts."""

import asyncio
import logging
import subprocess
import sys
import time
from datetime import UTC, datetime

import numpy as np
import pytest

from gated import events
from gated.cues.cue import STEADY, Situation
from gated.cues.plan import PLAN
from gated.cues.prompts import prompt_path
from gated.cues.samples import LEVEL, RATE, locating_tick, read_wav, tone
from gated.cues.scene import Sight
from gated.errors import LatchError

FACE = Sight(1, None, 0.5, 1.2, 0.0)
OPEN = events.DoorReleased("grant", 8.0, "v")
SECURED = events.DoorSecured("closed")
DENIED = events.AccessDenied("v", "unknown", 0.4, 9, 3, 0.1)
GRANTED = events.AccessGranted("v", "00", 0.6, 0.4, 9, 0.9, 3, "ab", 0.1)
NIGHT = datetime(2026, 6, 1, 16, tzinfo=UTC)  # midnight in Shanghai


class Clock:
    """A monotonic clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def until(condition, timeout_s=20.0):
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


def look_of(situation):
    """Return the patterns of the four lamps in a situation."""
    cue = PLAN[Situation(situation)]
    return {shape.value: cue.lamp.pattern for shape in cue.shapes}


def lit(played):
    return {line: pattern for line, pattern in played.now.items() if pattern and line in look_of("fire")}


@pytest.mark.parametrize(
    ("fact", "situation"),
    [
        (OPEN, "open"),
        (DENIED, "refused"),
        (events.CallPressed(), "calling"),
        (events.Degraded(["vision"]), "fault"),
        (events.Degraded(["latch"]), "out_of_order"),
        (events.Lockdown("server"), "lockdown"),
        (events.DoorForcedOpen(), "alarm"),
        (events.FireRelease(), "fire"),
    ],
)
async def test_an_event_is_shown_before_the_call_returns(stage_of, played, fact, situation):
    stage = stage_of()
    stage.handle_event(fact)
    assert stage.situation == situation
    assert lit(played) == look_of(situation)
    assert played.now["vibration"] == PLAN[stage.situation].touch.pattern


async def test_a_face_is_shown_before_the_call_returns(stage_of, played):
    stage = stage_of()
    stage.handle_sight(FACE)
    assert stage.situation == "looking"
    assert lit(played) == look_of("looking")


async def test_an_event_without_effect_sends_nothing(stage_of, played):
    stage = stage_of()
    stage.handle_event(events.Lockdown("server"))
    before = len(played)
    for fact in (events.Tampered(), events.DoorOpened("grant"), GRANTED):
        stage.handle_event(fact)
    assert len(played) == before


async def test_an_old_release_is_not_shown_and_a_lasting_alarm_is(stage_of):
    stage = stage_of(monotonic=Clock())
    stage.handle_event(OPEN, age_s=3600.0)
    assert stage.situation == "idle"
    stage.handle_event(OPEN, age_s=2.0)
    assert stage.situation == "open"
    stage.handle_event(events.FireRelease(), age_s=3600.0)
    assert stage.situation == "fire"


async def test_an_expired_cue_ends_by_itself(stage_of, played, running):
    clock = Clock()
    stage = stage_of(monotonic=clock)
    async with running(stage):
        stage.handle_event(OPEN)
        clock.now += 7.9
        await asyncio.sleep(0.05)
        assert stage.situation == "open"
        clock.now += 0.2
        await until(lambda: stage.situation == "idle")
        assert lit(played) == look_of("idle")


async def test_an_idle_gate_sleeps(stage_of, running):
    clock = Clock()
    calls = []
    stage = stage_of(monotonic=lambda: calls.append(1) or clock.now)
    async with running(stage):
        await asyncio.sleep(0.1)
        calls.clear()
        await asyncio.sleep(1.0)
        assert len(calls) < 20, "it wakes once a second"


async def test_the_first_cue_comes_within_three_tenths_of_a_second_of_a_face(stage_of, played, loudspeaker, running):
    stage = stage_of(sound="alsa")
    seen_s, heard_s = [], []
    async with running(stage):
        for track in range(10):
            await until(lambda: stage.situation == "idle")
            played.clear()
            loudspeakers = len(loudspeaker())
            began = time.monotonic()
            stage.handle_sight(Sight(track, None, 0.5, 1.2, 0.0))
            await until(lambda: any(line == "ready" and pattern for line, pattern, _ in played))
            seen_s.append(time.monotonic() - began)
            await until(lambda n=loudspeakers: len(loudspeaker()) > n and loudspeaker()[-1].any())
            heard_s.append(time.monotonic() - began)
            stage.handle_event(OPEN)
            stage.handle_event(SECURED)
            await until(lambda: stage.situation in ("looking", "idle"))
    print(f"face to light: worst {max(seen_s) * 1000:.1f} ms; to sound: worst {max(heard_s) * 1000:.0f} ms of 10")
    assert min(seen_s) < 0.3
    assert min(heard_s) < 0.3


async def test_the_ticks_of_guidance_follow_the_face(stage_of, loudspeaker, running):
    clock = Clock()
    stage = stage_of(sound="alsa", monotonic=clock)
    async with running(stage):
        for _ in range(12):
            clock.now += 0.1
            stage.handle_sight(Sight(1, "too_small", 0.5, 0.95, 0.0))
        assert stage.situation == "closer"
        await until(lambda: len(loudspeaker()) and loudspeaker()[-1].size > RATE)
    samples = loudspeaker()[-1]
    loud = np.flatnonzero(np.abs(samples) > 0.05)
    gaps = np.diff(loud)[np.diff(loud) > 0.02 * RATE] / RATE
    assert gaps.size >= 2
    assert gaps.max() < 0.3, "the face is near, so the ticks are fast"


async def test_open_plays_tones_then_both_languages_then_a_slow_tick(stage_of, spoken_prompts, loudspeaker, running):
    stage = stage_of(spoken_prompts, sound="alsa", volume=1.0)
    async with running(stage):
        stage.handle_event(OPEN)
        cue = PLAN[Situation.OPEN]
        beeps = tone(cue.tone)
        await until(lambda: loudspeaker() and loudspeaker()[-1].size > beeps.size + 3 * RATE)
    samples = loudspeaker()[-1]
    assert np.abs(samples[: beeps.size] - beeps).max() < 1e-3
    at = beeps.size + round(0.25 * RATE)
    for language in ("zh", "en"):
        speech = read_wav(prompt_path(spoken_prompts, Situation.OPEN, language))
        assert np.abs(samples[at : at + speech.size] - speech).max() < 1e-3
        at += speech.size + round(0.25 * RATE)


async def test_with_speech_first_the_sentence_comes_before_the_tone(stage_of, spoken_prompts, loudspeaker, running):
    stage = stage_of(spoken_prompts, sound="alsa", volume=1.0)
    async with running(stage):
        stage.set_first_cue("speech")
        stage.handle_event(OPEN)
        speech = read_wav(prompt_path(spoken_prompts, Situation.OPEN, "zh"))
        await until(lambda: loudspeaker() and loudspeaker()[-1].size >= speech.size)
    assert np.abs(loudspeaker()[-1][: speech.size] - speech).max() < 1e-3


async def test_without_prompts_only_tones_play_and_each_prompt_is_logged_once(stage_of, loudspeaker, running, caplog):
    stage = stage_of(sound="alsa", volume=1.0)
    beeps = tone(PLAN[Situation.REFUSED].tone)
    with caplog.at_level(logging.WARNING):
        async with running(stage):
            for _ in range(2):
                stage.handle_event(DENIED)
            await until(lambda: loudspeaker() and loudspeaker()[-1].size >= beeps.size)
    assert np.abs(loudspeaker()[-1][: beeps.size] - beeps).max() < 1e-3
    assert sorted(r.args[0] for r in caplog.records if "tones only" in r.message) == [
        "en/refused.wav",
        "zh/refused.wav",
    ]


async def test_at_night_sound_is_quieter_and_in_the_first_language_and_light_and_touch_are_unchanged(
    stage_of, spoken_prompts, loudspeaker, running, played
):
    stage = stage_of(spoken_prompts, wall=lambda: NIGHT, sound="alsa", volume=0.8, quiet_volume=0.2)
    async with running(stage):
        stage.handle_event(DENIED)
        speech = read_wav(prompt_path(spoken_prompts, Situation.REFUSED, "zh"))
        await until(lambda: loudspeaker() and loudspeaker()[-1].size > 0.9 * RATE + speech.size)
    samples = loudspeaker()[-1]
    assert np.abs(samples).max() == pytest.approx(0.2 * LEVEL, rel=0.02)
    assert samples.size < 0.9 * RATE + speech.size + 0.6 * RATE, "one language"
    assert ("refused", (0.5, 0.5), 0) in played
    assert ("vibration", (0.2, 0.2), 3) in played


@pytest.mark.parametrize(
    ("fact", "situation"),
    [(events.FireRelease(), Situation.FIRE), (events.DoorForcedOpen(), Situation.ALARM)],
)
async def test_danger_keeps_its_volume_at_night(stage_of, spoken_prompts, loudspeaker, running, fact, situation):
    stage = stage_of(spoken_prompts, wall=lambda: None, sound="alsa", volume=0.8, quiet_volume=0.1)
    length = tone(PLAN[situation].tone).size + read_wav(prompt_path(spoken_prompts, situation, "zh")).size
    async with running(stage):
        stage.handle_event(fact)
        await until(lambda: loudspeaker() and loudspeaker()[-1].size > length)
    assert np.abs(loudspeaker()[-1]).max() == pytest.approx(0.8 * LEVEL, rel=0.05)


async def test_the_fire_sentence_is_repeated(stage_of, spoken_prompts):
    stage = stage_of(spoken_prompts, sound="alsa")
    stage.handle_event(events.FireRelease())
    again = stage._sound._next.again()
    speech = [read_wav(prompt_path(spoken_prompts, Situation.FIRE, language)).size for language in ("zh", "en")]
    assert again.size > sum(speech) + 4 * RATE


async def test_without_a_loudspeaker_the_buzzer_plays_the_tone_and_then_ticks(stage_of, played, running):
    clock = Clock()
    stage = stage_of(monotonic=clock)
    async with running(stage):
        stage.handle_event(OPEN)
        assert played.now["buzzer"] == PLAN[Situation.OPEN].tone.pattern
        clock.now += PLAN[Situation.OPEN].tone.length_s * 2 + 0.01
        await until(lambda: played.now["buzzer"] == PLAN[Situation.OPEN].tick.pattern)
        stage.handle_event(SECURED)
        assert played.now["buzzer"] == ()


async def test_at_night_the_buzzer_plays_no_ticks(stage_of, played, running):
    clock = Clock()
    stage = stage_of(monotonic=clock, wall=lambda: NIGHT)
    async with running(stage):
        stage.handle_event(OPEN)
        assert played.now["buzzer"] == PLAN[Situation.OPEN].tone.pattern
        clock.now += 4
        stage.handle_event(events.Tampered())
        await asyncio.sleep(0.05)
        assert played.now["buzzer"] == PLAN[Situation.OPEN].tone.pattern
        stage.handle_event(SECURED)
        stage.handle_sight(FACE)
        assert played.now["buzzer"] == ()
        stage.handle_event(events.FireRelease())
        assert played.now["buzzer"] == PLAN[Situation.FIRE].tick.pattern


async def test_beside_a_loudspeaker_the_buzzer_is_silent_until_the_loudspeaker_fails(
    stage_of, played, running, monkeypatch, tmp_path
):
    stage = stage_of(sound="alsa")
    stage.handle_event(OPEN)
    assert played.now["buzzer"] == ()
    monkeypatch.setenv("PATH", str(tmp_path))
    async with running(stage):
        await until(lambda: stage._sound.is_mute)
        stage.handle_event(OPEN)
        assert played.now["buzzer"] == PLAN[Situation.OPEN].tone.pattern


async def test_a_preference_lasts_from_the_grant_to_the_end_of_the_release(stage_of, played):
    stage = stage_of(monotonic=Clock())
    stage.handle_sight(FACE)
    stage.set_first_cue("touch")
    stage.handle_event(GRANTED)
    stage.handle_event(OPEN)
    stage.handle_event(DENIED)
    stage.handle_event(SECURED)
    assert stage.situation == "refused"
    assert [p for p in played if p[0] == "vibration"][-1] == ("vibration", (0.2, 0.2), 3), (
        "the next person has no preference"
    )


async def test_light_first_lights_every_colour_and_does_not_affect_the_next_person(stage_of, played):
    stage = stage_of(monotonic=Clock())
    stage.set_first_cue("light")
    stage.handle_event(OPEN)
    assert played.now["red"] == STEADY.pattern
    stage.handle_event(SECURED)
    stage.handle_event(OPEN)
    assert played.now["red"] == ()


async def test_a_preference_does_not_change_the_situation(stage_of, played):
    shown_states = []
    for first in (None, "speech", "light", "touch"):
        stage = stage_of(monotonic=Clock())
        stage.set_first_cue(first)
        stage.handle_event(OPEN)
        shown_states.append((stage.situation, lit(played)))
        played.clear()
    assert all(t == shown_states[0] for t in shown_states)


async def test_a_restarted_latch_gets_the_current_cue(stage_of, played):
    stage = stage_of()
    stage.handle_event(events.Degraded(["vision"]))
    played.clear()
    stage.handle_event(events.WorkerReady("latch"))
    assert lit(played) == look_of("fault")
    played.clear()
    stage.handle_event(events.WorkerReady("vision"))
    assert played == []


async def test_without_a_latch_screen_and_sound_still_work(stage_of, loudspeaker, running):
    stage = stage_of(sound="alsa")
    stage._lamps._play = lambda *_: (_ for _ in ()).throw(LatchError("the latch does not answer"))
    async with running(stage) as task:
        stage.handle_event(events.Degraded(["latch"]))
        assert stage.situation == "out_of_order"
        await until(lambda: loudspeaker() and loudspeaker()[-1].any())
        assert not task.done()


async def test_when_the_brain_ends_the_lamps_show_out_of_order(stage_of, played, running):
    stage = stage_of()
    async with running(stage):
        stage.handle_event(OPEN)
    assert lit(played) == look_of("out_of_order")


async def test_no_event_stops_the_stage(stage_of, running):
    stage = stage_of()
    async with running(stage) as task:
        for fact in (
            events.DoorReleased("grant", float("nan")), events.DoorReleased("grant", -5.0), events.Degraded(["?"]),
            events.DoorSecured("?", "third"), events.Event(), events.AccessDenied("v", "?", 0.0, 0, 0, 0.0),
        ):  # fmt: skip
            stage.handle_event(fact)
        stage.handle_sight(Sight(-1, "?", float("nan"), float("nan"), float("nan")))
        await asyncio.sleep(0.05)
        assert not task.done()


async def test_a_whole_visit_on_the_screen(stage_of, running, tab, free_port, played):
    """A resident comes, is guided, identified, granted, and leaves. Then come a stranger, a call, and a fire."""
    stage = stage_of(screen_port=free_port)
    visit = [
        (lambda: stage.handle_sight(Sight(1, "too_small", 0.5, 0.7, 0.0)), "looking"),
        (lambda: stage.handle_sight(Sight(1, "too_small", 0.5, 0.8, 0.0)), "closer"),
        (lambda: stage.handle_sight(Sight(1, None, 0.5, 1.1, 0.0)), "looking"),
        (lambda: (stage.handle_event(GRANTED), stage.set_first_cue("light"), stage.handle_event(OPEN)), "open"),
        (lambda: stage.handle_event(SECURED), "idle"),
        (lambda: (stage.handle_sight(Sight(2, None, 0.5, 1.1, 0.0)), stage.handle_event(DENIED)), "refused"),
        (lambda: stage.handle_event(events.TooManyAttempts("card", 5)), "resting"),
        (lambda: stage.handle_event(events.CallPressed()), "calling"),
        (lambda: stage.handle_event(events.CallAnswered()), "answered"),
        (lambda: stage.handle_event(events.DoorReleased("grant", 8.0, "w")), "open"),
        (
            lambda: (stage.handle_event(events.DoorSecured("lease")), stage.handle_event(events.DoorHeldOpen(30.0))),
            "held_open",
        ),
        (lambda: stage.handle_event(events.DoorHeldOpen(60.0, is_alarm=True)), "alarm"),
        (lambda: stage.handle_event(events.DoorClosed()), "idle"),
        (lambda: stage.handle_event(events.Degraded(["vision"])), "fault"),
        (lambda: stage.handle_event(events.Degraded(["latch", "vision"])), "out_of_order"),
        (lambda: stage.handle_event(events.Degraded([])), "idle"),
        (lambda: stage.handle_event(events.ScheduledUnlock("daytime")), "free_passage"),
        (lambda: stage.handle_event(events.Lockdown("server")), "lockdown"),
        (lambda: stage.handle_event(events.FireRelease()), "fire"),
    ]
    async with running(stage):
        while True:
            await tab.go(f"http://127.0.0.1:{free_port}/")
            if await tab.evaluate("typeof connect === 'function'"):
                break
        for act, situation in visit:
            while stage.situation != situation:
                act()
                await asyncio.sleep(0.1)
            await tab.until(f"document.body.dataset.situation === '{situation}'")
            words = await tab.evaluate("document.querySelector('#cue .words').innerText.split(/\\n+/)")
            assert words == list(PLAN[Situation(situation)].words.values())
            assert lit(played) == look_of(situation)
            if situation == "open":
                first = await tab.evaluate("document.body.dataset.first")
                assert first == ("light" if act is visit[3][0] else "")


def test_a_gate_without_a_screen_loads_no_web_server():
    code = "import sys, gated.cues.stage; sys.exit(any(m in sys.modules for m in ('uvicorn', 'starlette')))"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


# The locating sound


class Taps:
    """A stand-in for the loudspeaker. It keeps the last sound."""

    def __init__(self, stage):
        self.last = None
        stage._sound.play = self

    def __call__(self, sounding):
        self.last = sounding

    @property
    def is_locating(self):
        return self.last.again is locating_tick


@pytest.fixture
def hours():
    """Whether the locating sound is allowed now."""
    return {"now": True}


@pytest.fixture
def locating(stage_of, hours):
    stage = stage_of(sound="alsa", may_locate=lambda: hours["now"])
    stage.taps = Taps(stage)
    stage.handle_event(events.ClockDoubted("nothing"))
    return stage


def test_an_idle_gate_plays_the_locating_sound_in_its_hours(locating, hours):
    assert locating.taps.is_locating
    hours["now"] = False
    locating._update()
    assert not locating.taps.is_locating
    hours["now"] = True
    locating._update()
    assert locating.taps.is_locating


@pytest.mark.parametrize(
    "fact",
    [
        OPEN, DENIED, events.CallPressed(), events.Degraded(["vision"]), events.Degraded(["latch"]),
        events.Lockdown("server"), events.DoorHeldOpen(30.0), events.DoorForcedOpen(), events.FireRelease(),
        events.ScheduledUnlock("daytime"), events.CallEnded("unreachable"),
    ],
)  # fmt: skip
def test_the_locating_sound_never_plays_during_another_cue(locating, fact):
    locating.handle_event(fact)
    assert not locating.taps.is_locating


def test_the_locating_sound_stops_for_a_face_and_returns_when_idle(locating, monkeypatch):
    locating.handle_sight(FACE)
    assert not locating.taps.is_locating
    now = locating._monotonic()
    monkeypatch.setattr(locating, "_monotonic", lambda: now + 5)
    locating._update()
    assert locating.situation == "idle"
    assert locating.taps.is_locating
    assert not locating.taps.last.once.any(), "after some seconds of silence"


def test_without_the_setting_an_idle_gate_is_silent(stage_of):
    stage = stage_of(sound="alsa")
    taps = Taps(stage)
    stage.handle_event(OPEN)
    stage.handle_event(SECURED)
    assert taps.last.again is None
    assert taps.last.once.size == 0

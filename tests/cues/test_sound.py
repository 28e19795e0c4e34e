"""One sound plays at a time, the newest replaces it, and no call waits. Quiet hours only lower the volume."""

import asyncio
import logging
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.cues.cue import Rhythm
from gated.cues.samples import LEVEL, RATE, lead_in, peak_dbfs, silence, tone
from gated.cues.sound import LEAST_VOLUME, Sound, Sounding, volume

BEEP = tone(Rhythm((0.2,), 1))
LEAD = lead_in()


async def until(condition, timeout_s=20.0):
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_sound_is_played_once_unchanged(loudspeaker, running):
    sound = Sound("hw:7")
    async with running(sound):
        sound.play(Sounding(BEEP))
        await until(lambda: loudspeaker() and loudspeaker()[0].size == BEEP.size)
    assert np.abs(loudspeaker()[0] - BEEP).max() < 1e-3
    assert "-D hw:7" in loudspeaker.asked()[0]
    assert f"-r {RATE}" in loudspeaker.asked()[0]
    assert not sound.is_mute


async def test_the_volume_scales_the_samples(loudspeaker, running):
    sound = Sound("default")
    async with running(sound):
        sound.play(Sounding(BEEP, volume=0.25))
        await until(lambda: loudspeaker() and loudspeaker()[0].size == BEEP.size)
    assert np.abs(loudspeaker()[0]).max() == pytest.approx(0.25 * LEVEL, rel=0.01)


async def test_the_newest_sound_replaces_the_current_one(loudspeaker, running):
    sound = Sound("default")
    async with running(sound):
        sound.play(Sounding(silence(0.3), again=lambda: silence(0.3)))
        await until(lambda: len(loudspeaker()) == 1 and loudspeaker()[0].size)
        sound.play(Sounding(BEEP))
        await until(lambda: len(loudspeaker()) == 2 and loudspeaker()[1].size == BEEP.size)
        cut = loudspeaker()[0].size
        await asyncio.sleep(0.8)
        assert loudspeaker()[0].size == cut, "the first process has ended"


async def test_only_the_last_of_many_simultaneous_sounds_is_played(loudspeaker, running):
    sound = Sound("default")
    async with running(sound):
        for _ in range(50):
            sound.play(Sounding(silence(1.0)))
        sound.play(Sounding(BEEP))
        await until(lambda: any(h.size == BEEP.size for h in loudspeaker()))
        assert len(loudspeaker()) <= 2


async def test_a_sound_begins_with_the_lead_in(loudspeaker, running):
    sound = Sound("default")
    async with running(sound):
        sound.play(Sounding(BEEP, volume=0.3))
        await until(lambda: any(h.size == LEAD.size + BEEP.size for h in loudspeaker.raw()))
    (played,) = loudspeaker.raw()
    first = np.flatnonzero(np.abs(played) > 0.05)[0] / RATE
    assert 0.28 < first < 0.35
    assert played[: LEAD.size].any(), "zeros would not wake an amplifier that wakes by level"
    assert peak_dbfs(played[: LEAD.size]) <= -40, "it is inaudible at any volume"


async def test_a_sound_soon_after_another_has_no_lead_in(loudspeaker, running):
    sound = Sound("default")
    async with running(sound):
        sound.play(Sounding(silence(0.4)))
        await until(lambda: loudspeaker.raw() and loudspeaker.raw()[0].size == LEAD.size + silence(0.4).size)
        await asyncio.sleep(0.5)
        sound.play(Sounding(BEEP))
        await until(lambda: loudspeaker.raw()[-1].size == BEEP.size)


async def test_guidance_ticks_have_no_lead_in(loudspeaker, running):
    sound = Sound("default")
    async with running(sound):
        sound.play(Sounding(again=lambda: BEEP))
        await until(lambda: loudspeaker.raw() and loudspeaker.raw()[0].size >= BEEP.size)
    assert np.abs(loudspeaker.raw()[0][: BEEP.size] - BEEP).max() < 1e-3


async def test_again_is_called_for_each_repetition(loudspeaker, running):
    given_out = []

    def tick():
        given_out.append(len(given_out))
        return silence(0.05)

    sound = Sound("default")
    async with running(sound):
        sound.play(Sounding(again=tick))
        await until(lambda: len(given_out) >= 5)
        assert len(loudspeaker()) == 1, "one process plays all of it"
        sound.play(Sounding())
        await asyncio.sleep(0.2)
        stopped = len(given_out)
        await asyncio.sleep(0.3)
        assert len(given_out) == stopped


async def test_ticks_are_not_written_far_ahead(loudspeaker, running):
    sound = Sound("default")
    written = 0

    def tick():
        nonlocal written
        written += 1
        return silence(0.1)

    async with running(sound):
        began = asyncio.get_running_loop().time()
        sound.play(Sounding(again=tick))
        await until(lambda: written >= 3)
        passed_s = asyncio.get_running_loop().time() - began
        assert written * 0.1 <= passed_s + 0.25


async def test_play_never_waits_for_a_hanging_loudspeaker(tmp_path, monkeypatch, running):
    program = tmp_path / "aplay"
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    sound = Sound("default")
    async with running(sound) as task:
        for _ in range(3):
            sound.play(Sounding(silence(60.0)))
            await asyncio.sleep(0.1)
        assert not task.done()


async def test_without_aplay_there_is_one_warning_and_run_continues(tmp_path, monkeypatch, caplog, running):
    monkeypatch.setenv("PATH", str(tmp_path))
    sound = Sound("default")
    with caplog.at_level(logging.WARNING):
        async with running(sound) as task:
            for _ in range(3):
                sound.play(Sounding(BEEP))
                await until(lambda: sound.is_mute)
                await asyncio.sleep(0.05)
            assert not task.done()
    (record,) = [r for r in caplog.records if r.name == "gated.cues.sound"]
    assert "alsa-utils" in record.message


async def test_the_real_aplay_accepts_our_samples(running):
    sound = Sound("null")
    async with running(sound):
        sound.is_mute = True
        sound.play(Sounding(BEEP))
        await until(lambda: not sound.is_mute)


async def test_a_missing_device_is_logged_once(caplog, running):
    sound = Sound("no-such-device")
    with caplog.at_level(logging.WARNING):
        async with running(sound):
            for _ in range(2):
                sound.play(Sounding(BEEP))
                await until(lambda: sound.is_mute)
                await asyncio.sleep(0.3)
    assert len([r for r in caplog.records if "sound_device" in r.message]) == 1


async def test_the_real_aplay_plays_our_samples_at_our_rate_and_level(tmp_path, monkeypatch, running):
    file = tmp_path / "played.raw"
    (tmp_path / "alsa.conf").write_text(
        f'pcm.none {{ type null }}\npcm.kept {{ type file slave.pcm none file "{file}" format raw }}\n'
    )
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "alsa.conf"))
    sound = Sound("kept")
    async with running(sound):
        sound.play(Sounding(BEEP, volume=0.5))
        await until(lambda: file.exists() and file.stat().st_size >= (LEAD.size + BEEP.size) * 2)
    played = np.frombuffer(file.read_bytes(), "<i2")[LEAD.size :][: BEEP.size] / 32767
    assert np.abs(played - 0.5 * BEEP).max() < 1e-3


@given(st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_night_is_never_louder_than_day_and_never_silent(normal, quiet, night):
    assert LEAST_VOLUME <= volume(normal, quiet, night) <= 1
    assert volume(normal, quiet, True) <= volume(normal, quiet, False)


@pytest.mark.parametrize(
    ("output", "logged"),
    [
        ("ALSA lib x.c:1\naplay: main:831: audio open error: Device or resource busy", "busy.*fuser -v /dev/snd"),
        ("aplay: main:831: audio open error: No such file or directory", "No such file or directory.*aplay -L"),
        ("", "aplay failed.*aplay -L"),
    ],
)
async def test_a_failure_of_aplay_is_one_log_line(tmp_path, monkeypatch, caplog, capfd, running, output, logged):
    program = tmp_path / "aplay"
    program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{output}\nEND\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    sound = Sound("default")
    with caplog.at_level(logging.WARNING):
        async with running(sound):
            for _ in range(3):
                sound.play(Sounding(BEEP))
                await until(lambda: sound.is_mute)
                await asyncio.sleep(0.1)
    (record,) = [r for r in caplog.records if r.name == "gated.cues.sound"]
    assert re.search(logged, record.message)
    assert capfd.readouterr().err == ""

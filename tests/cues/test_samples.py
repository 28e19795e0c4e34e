"""Tones have the right length, pitch and level. Recordings of every format are read, and other files are refused."""

import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.cues.cue import NO_RHYTHM, Rhythm
from gated.cues.samples import (
    LEVEL,
    NO_SAMPLES,
    PITCH_HZ,
    RATE,
    pcm,
    peak_dbfs,
    read_wav,
    silence,
    tick_gap_s,
    tone,
    trimmed,
    write_wav,
)
from gated.errors import StateError


def recording(path, samples, rate=RATE, channels=1, width=2):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples)
    return path


def test_a_tone_has_the_length_of_its_rhythm_and_silent_gaps():
    samples = tone(Rhythm((0.2, 0.3), 2))
    assert samples.dtype == np.float32
    assert samples.size == RATE
    beep, pause = samples[: round(0.2 * RATE)], samples[round(0.2 * RATE) : round(0.5 * RATE)]
    assert np.abs(beep).max() == pytest.approx(LEVEL, rel=0.01)
    assert not pause.any()


def test_a_beep_is_one_kilohertz():
    samples = tone(Rhythm((1.0,), 1))
    loudest = np.argmax(np.abs(np.fft.rfft(samples)))
    assert loudest * RATE / samples.size == pytest.approx(PITCH_HZ, abs=1)


def test_a_beep_fades_in_and_out_without_a_click():
    samples = tone(Rhythm((0.1,), 1))
    assert abs(samples[0]) < 0.01
    assert abs(samples[-1]) < 0.02
    assert np.abs(np.diff(samples)).max() < 0.25


def test_an_empty_rhythm_is_no_sound():
    assert tone(NO_RHYTHM).size == 0
    assert silence(0.5).size == round(RATE / 2)


@given(st.lists(st.floats(0.02, 0.5), min_size=1, max_size=6), st.integers(0, 4))
def test_a_tone_of_any_rhythm_keeps_its_length_and_level(pattern, repeats):
    samples = tone(Rhythm(tuple(pattern), repeats))
    assert abs(samples.size / RATE - sum(pattern) * max(1, repeats)) < 0.01
    assert np.abs(samples).max() <= LEVEL + 1e-6


@given(st.floats(0, 1), st.floats(0, 1))
def test_ticks_come_faster_the_nearer_the_face_is(one, other):
    nearer, farther = max(one, other), min(one, other)
    assert tick_gap_s(nearer) <= tick_gap_s(farther)


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_ticks_never_stop_and_never_become_one_tone(nearness):
    assert 0.1 - 1e-9 <= tick_gap_s(nearness) <= 0.9


def test_the_peak_is_measured_in_dbfs():
    assert peak_dbfs(np.array([0.5, -1.0], np.float32)) == 0
    assert peak_dbfs(np.array([0.5], np.float32)) == pytest.approx(-6.02, abs=0.01)
    assert peak_dbfs(NO_SAMPLES) == -np.inf
    assert peak_dbfs(silence(0.1)) == -np.inf


def test_trimming_removes_silence_and_sets_the_level():
    speech = np.concatenate([silence(0.5), 0.1 * tone(Rhythm((0.4,), 1)), silence(0.7)])
    kept = trimmed(speech)
    assert kept.size / RATE == pytest.approx(0.4, abs=0.02)
    assert peak_dbfs(kept) == pytest.approx(-3, abs=0.01)


def test_trimming_silence_leaves_no_samples():
    assert trimmed(silence(1)).size == 0


def test_samples_beyond_full_scale_are_clipped_and_never_wrap():
    assert np.frombuffer(pcm(np.array([2.0, -2.0, 0.0], np.float32)), "<i2").tolist() == [32767, -32767, 0]


def test_a_written_file_reads_back_the_same(tmp_path):
    samples = tone(Rhythm((0.3, 0.1), 2))
    write_wav(tmp_path / "a.wav", samples)
    assert np.abs(read_wav(tmp_path / "a.wav") - samples).max() < 1e-3


def test_a_stereo_recording_of_another_rate_is_converted(tmp_path):
    at = np.arange(48000) / 48000
    left = np.round(16000 * np.sin(2 * np.pi * 440 * at)).astype("<i2")
    stereo = np.stack([left, left], axis=1).tobytes()
    samples = read_wav(recording(tmp_path / "a.wav", stereo, rate=48000, channels=2))
    assert samples.size == pytest.approx(RATE, abs=2)
    loudest = np.argmax(np.abs(np.fft.rfft(samples)))
    assert loudest * RATE / samples.size == pytest.approx(440, abs=1)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"ID3" + bytes(100)])
def test_a_file_that_is_not_wav_is_refused_with_the_next_step(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(StateError, match="save it as 16-bit"):
        read_wav(path)


@given(content=st.binary(max_size=200))
def test_no_bytes_after_a_good_header_crash_the_reader(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("wav") / "a.wav"
    recording(path, b"\0\0" * 50)
    path.write_bytes(path.read_bytes()[:20] + content)
    try:
        assert read_wav(path).dtype == np.float32
    except StateError:
        pass


def test_a_recording_of_8_bits_is_refused(tmp_path):
    with pytest.raises(StateError, match="8 bits at 22050 Hz"):
        read_wav(recording(tmp_path / "a.wav", b"\x80" * 100, width=1))


def test_a_too_large_file_is_not_read(tmp_path):
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        file.truncate(20_000_000)
    with pytest.raises(StateError, match="too large"):
        read_wav(path)


def test_an_empty_recording_has_no_samples(tmp_path):
    assert read_wav(recording(tmp_path / "a.wav", b"")).size == 0

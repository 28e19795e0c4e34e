"""Sound as samples: tones and ticks by arithmetic, WAV files read and written, and how loud a recording is."""

import wave
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gated.cues.cue import Pulse
from gated.errors import StateError

Samples = NDArray[np.float32]
"""(N,) float32 in -1 to 1, one channel, `RATE` a second."""

RATE = 22050
"""Samples a second; what espeak-ng gives."""
PITCH_HZ = 1000.0
"""Of every beep: fixed (ISO 24500), and low enough for old ears, which lose what is above 2.5 kHz first."""
RAMP_S = 0.005
"""Every beep swells and fades so long, or it would click."""
LEVEL = 10 ** (-3 / 20)
"""The peak of everything we make: -3 dBFS."""
QUIET_DBFS = -40.0
"""What is below this at the ends of a recording is silence."""

NO_SAMPLES: Samples = np.zeros(0, np.float32)
MOST_BYTES = 10_000_000
"""A larger file is no prompt."""


def silence(length_s: float) -> Samples:
    """So long nothing."""
    return np.zeros(round(length_s * RATE), np.float32)


def tone(pulse: Pulse) -> Samples:
    """The beeps of a rhythm, once through all its repeats; what repeats for ever is given once."""
    parts = [
        _beep(length_s) if i % 2 == 0 else silence(length_s)
        for i, length_s in enumerate(pulse.pattern * max(1, pulse.repeats))
    ]
    return np.concatenate([NO_SAMPLES, *parts])


def _beep(length_s: float) -> Samples:
    at = np.arange(round(length_s * RATE), dtype=np.float32) / RATE
    swell = np.clip(np.minimum(at, length_s - at) / RAMP_S, 0, 1)
    return np.asarray(LEVEL * swell * np.sin(2 * np.pi * PITCH_HZ * at), np.float32)


def tick_gap_s(nearness: float) -> float:
    """The silence after a tick of guidance: from 0.9 s far away (0) to 0.1 s where the face should be (1).

    Distances by ear are ratios, so the gap shrinks by the same factor for every step nearer, as in a parking sensor.
    """
    near = min(1.0, max(0.0, nearness)) if isfinite(nearness) else 0.0
    return float(0.9 * (0.1 / 0.9) ** near)


def peak_dbfs(samples: Samples) -> float:
    """The highest sample in decibels below full scale; minus infinity for silence."""
    peak = float(np.abs(samples).max(initial=0.0))
    return 20 * float(np.log10(peak)) if peak > 0 else -float("inf")


def trimmed(samples: Samples) -> Samples:
    """Without the silence at both ends, at the level that everything has."""
    loud = np.flatnonzero(np.abs(samples) > 10 ** (QUIET_DBFS / 20))
    if loud.size == 0:
        return NO_SAMPLES
    kept = samples[loud[0] : loud[-1] + 1]
    return np.asarray(kept * (LEVEL / np.abs(kept).max()), np.float32)


def pcm(samples: Samples) -> bytes:
    """Little-endian 16-bit, as `aplay` and a WAV file take it."""
    return np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def read_wav(path: Path) -> Samples:
    """A recording of 16 bits, whatever its rate and channels. Raises `StateError` where it is none."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise wave.Error("too large")
        with wave.open(str(path), "rb") as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            data = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise StateError(f"{path}: cannot be read as WAV ({error}); save it as 16-bit PCM, or make it anew") from error
    if width != 2 or rate < 8000:
        raise StateError(f"{path}: {8 * width} bits at {rate} Hz; save it as WAV with 16 bits and {RATE} Hz")
    whole = np.frombuffer(data[: len(data) // (2 * channels) * 2 * channels], "<i2").reshape(-1, channels)
    mono = whole.mean(axis=1) / 32768
    at = np.arange(0, len(mono), rate / RATE)
    return np.interp(at, np.arange(len(mono)), mono).astype(np.float32) if len(mono) else NO_SAMPLES


def write_wav(path: Path, samples: Samples) -> None:
    """Write a WAV file of 16 bits, one channel."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm(samples))

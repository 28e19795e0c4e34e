"""Sound as samples: computed tones and ticks, reading and writing of WAV files, and the level of a recording."""

import io
import wave
from math import isfinite
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from gated.cues.cue import Rhythm
from gated.errors import StateError

Samples = NDArray[np.float32]
"""(N,) float32 in -1 to 1, one channel, `RATE` samples per second."""

RATE = 22050
"""The sample rate in Hz. espeak-ng uses the same."""
PITCH_HZ = 1000.0
"""The pitch of every beep: fixed (ISO 24500), and low enough for old ears, which lose pitches above 2.5 kHz first."""
RAMP_S = 0.005
"""The fade-in and fade-out of every beep. Without it a beep would click."""
FULL_SCALE = 32767
"""The largest 16-bit sample."""
LEVEL = 10 ** (-3 / 20)
"""The peak of every beep and prompt that we make: -3 dBFS."""
QUIET_DBFS = -40.0
"""A level below this at the ends of a recording counts as silence."""

WAKE_S, WAKE_HZ, WAKE_DBFS = 0.3, 40.0, -46.0
"""The length, pitch and level of `lead_in`."""
LOCATE_HZ = 500.0
"""The pitch of `locating_tick`."""

NO_SAMPLES: Samples = np.zeros(0, np.float32)
MOST_WAV_BYTES = 10_000_000
"""The largest file that is read."""


def silence(length_s: float) -> Samples:
    """Return `length_s` seconds of silence."""
    return np.zeros(round(length_s * RATE), np.float32)


def tone(pulse: Rhythm) -> Samples:
    """Return the beeps of a rhythm with all its repeats. An endless rhythm is returned for one period."""
    parts = [
        _beep(length_s) if i % 2 == 0 else silence(length_s)
        for i, length_s in enumerate(pulse.pattern * max(1, pulse.repeats))
    ]
    return np.concatenate([NO_SAMPLES, *parts])


def lead_in() -> Samples:
    """Return 0.3 s of an inaudible tone that wakes an amplifier before a sound.

    Amplifiers and converters that mute themselves take up to 0.3 s to wake. Many wake by level, so zeros are not
    enough. The tone has 40 Hz, which a gate's small loudspeaker cannot play, and -46 dBFS. Both values are our choice.
    """
    return _sine(WAKE_HZ, WAKE_S, 10 ** (WAKE_DBFS / 20))


def locating_tick() -> Samples:
    """Return two taps of 500 Hz in 2 s, at full level. No other sound of the gate has this pitch or rhythm.

    Pedestrian signals use a tone of at most 0.15 s every second, audible at 2 to 4 m and at most 5 dB above the street
    (MUTCD 2009, 4E.12). Our taps are as short. One tap per second already means "open" here, so two in 2 s is our
    choice.
    """
    tap = _sine(LOCATE_HZ, 0.06, 1.0)
    return np.concatenate([tap, silence(0.12), tap, silence(2.0 - 0.24)])


def _beep(length_s: float) -> Samples:
    return _sine(PITCH_HZ, length_s, LEVEL)


def _sine(pitch_hz: float, length_s: float, level: float) -> Samples:
    at = np.arange(round(length_s * RATE), dtype=np.float32) / RATE
    ramp = np.clip(np.minimum(at, length_s - at) / RAMP_S, 0, 1)
    return np.asarray(level * ramp * np.sin(2 * np.pi * pitch_hz * at), np.float32)


def tick_gap_s(nearness: float) -> float:
    """Return the silence after a guidance tick in seconds: from 0.9 s far away (0) to 0.1 s at the best position (1).

    People hear ratios. So each step nearer shortens the gap by the same factor, as in a parking sensor.
    """
    near = min(1.0, max(0.0, nearness)) if isfinite(nearness) else 0.0
    return float(0.9 * (0.1 / 0.9) ** near)


def peak_dbfs(samples: Samples) -> float:
    """Return the largest sample in dBFS. Minus infinity for silence."""
    peak = float(np.abs(samples).max(initial=0.0))
    return 20 * float(np.log10(peak)) if peak > 0 else -float("inf")


def trimmed(samples: Samples) -> Samples:
    """Remove the silence at both ends, and scale the peak to `LEVEL`."""
    loud = np.flatnonzero(np.abs(samples) > 10 ** (QUIET_DBFS / 20))
    if loud.size == 0:
        return NO_SAMPLES
    kept = samples[loud[0] : loud[-1] + 1]
    return np.asarray(kept * (LEVEL / np.abs(kept).max()), np.float32)


def pcm(samples: Samples) -> bytes:
    """Return samples as little-endian 16-bit PCM, the format of `aplay` and of a WAV file."""
    return np.round(np.clip(samples, -1, 1) * FULL_SCALE).astype("<i2").tobytes()


def read_wav(path: Path) -> Samples:
    """Read a 16-bit WAV file of any rate from 8 kHz and any channels. Raises `StateError` when it cannot."""
    try:
        if path.stat().st_size > MOST_WAV_BYTES:
            raise wave.Error("too large")
        return samples_of(path.read_bytes(), str(path))
    except (OSError, wave.Error) as error:
        raise StateError(f"{path}: cannot be read as WAV ({error}); save it as 16-bit PCM, or make it again") from error


def samples_of(wav: bytes, source: str) -> Samples:
    """Read a WAV file in memory. The length in its header may be too large, as after a pipe.

    `source` names the file in errors. Raises `StateError` when it is not 16-bit WAV.
    """
    try:
        with wave.open(io.BytesIO(wav), "rb") as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            data = file.readframes(file.getnframes())
    except (EOFError, wave.Error) as error:
        raise StateError(
            f"{source}: cannot be read as WAV ({error}); save it as 16-bit PCM, or make it again"
        ) from error
    if width != 2 or rate < 8000:
        raise StateError(f"{source}: {8 * width} bits at {rate} Hz; save it as WAV with 16 bits and {RATE} Hz")
    whole = np.frombuffer(data[: len(data) // (2 * channels) * 2 * channels], "<i2").reshape(-1, channels)
    mono = whole.mean(axis=1) / 32768
    at = np.arange(0, len(mono), rate / RATE)
    return np.interp(at, np.arange(len(mono)), mono).astype(np.float32) if len(mono) else NO_SAMPLES


def is_trimmed_wav(path: Path) -> bool:
    """Return whether a file has the form that `write_wav` gives to the result of `trimmed`.

    Its peak is exactly `LEVEL`, and it has no silence at its ends. A recording has neither property.
    """
    try:
        with wave.open(str(path), "rb") as file:
            if (file.getframerate(), file.getnchannels(), file.getsampwidth()) != (RATE, 1, 2):
                return False
            samples = np.abs(np.frombuffer(file.readframes(MOST_WAV_BYTES), "<i2").astype(np.int32))
    except (OSError, EOFError, ValueError, wave.Error):
        return False
    if samples.size == 0 or samples.max() != round(LEVEL * FULL_SCALE):
        return False
    return bool(min(samples[0], samples[-1]) >= round(10 ** (QUIET_DBFS / 20) * LEVEL * FULL_SCALE) - 1)


def write_wav(path: Path | IO[bytes], samples: Samples) -> None:
    """Write a WAV file with 16 bits and one channel. Raises `OSError` when the file cannot be written."""
    with wave.open(str(path) if isinstance(path, Path) else path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm(samples))

"""Measures the camera's picture and this board's speed, for an installer at the mounted gate.

Only vision may open the camera. While a gate runs, the doctor says so instead of measuring.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from time import monotonic

import numpy as np

from gated.config import Settings
from gated.doctor.diagnosis import PROMISE_S
from gated.doctor.finding import Finding, amber, green, red
from gated.errors import CameraError
from gated.face.colour import NO_COLOUR, colour_of
from gated.face.frame_bench import FrameBench, bench
from gated.face.pipeline import FacePipeline
from gated.face.quality import sharpness
from gated.frame import Camera, Frame, Note, luma

WATCH_S = 5.0
"""How long the camera is watched, in seconds."""
DARK, BRIGHT = 50.0, 205.0
"""Limits of a picture's mean brightness, 0 to 255. Outside them, most faces are refused (`[face] min_luminance`)."""
SOFT = 20.0
"""Lowest variance of the Laplacian for a picture with any content. Below it, the lens is out of focus or fogged."""
LEAST_RATE = 0.8
"""Lowest share of the configured frame rate that counts as in order."""
OVERHEAD = 1.1
"""Largest ratio of the whole frame time to the time of the bare models."""
MIDDLE = 0.25
"""Largest distance of a well framed face from the middle, as a share of the picture's width or height."""


@dataclass(frozen=True, slots=True)
class CameraView:
    """What the camera showed in a few seconds. `face`: box of the largest face in the last frame, in px; None without a
    face.

    `fps`: frames a second. `brightness`: mean, 0 to 255. `sharpness`: variance of the Laplacian. `exposure_s`: seconds.
    `size`: width and height in px.
    """

    fps: float
    brightness: float
    sharpness: float
    exposure_s: float | None
    gain: float | None
    size: tuple[int, int]
    face: tuple[float, float, float, float] | None
    colour: float | None = None
    """The last frame's colour, as `face.colour` measures it; None if the picture is too dark."""
    notes: tuple[Note, ...] = ()
    """What the camera reports about itself."""


def watch(
    camera: Camera, pipeline: FacePipeline, timeout_s: float, watch_s: float = WATCH_S
) -> tuple[CameraView, Frame]:
    """Watch the camera for `watch_s` seconds. Return the view and the last frame.

    Raises `CameraError` without a frame.
    """
    camera.open()
    try:
        frames = [camera.frame(timeout_s)]
        end = monotonic() + watch_s
        while monotonic() < end and not camera.exhausted:
            frames = [*frames[-30:], camera.frame(timeout_s)]
    finally:
        camera.close()
    last = frames[-1]
    grey = luma(last.lores).astype(np.float32)
    faces = pipeline.detect(last)
    face = max((face.box for face in faces), key=lambda box: box[2] * box[3], default=None)
    return CameraView(
        fps=_rate(frames),
        brightness=float(grey.mean()),
        sharpness=sharpness(grey),
        exposure_s=last.exposure_s,
        gain=last.gain,
        size=(last.main.shape[1], last.main.shape[0]),
        face=face,
        colour=colour_of(last, face),
        notes=last.notes,
    ), last


def of_view(view: CameraView, settings: Settings) -> Iterator[Finding]:
    """Yield findings on frame rate, light, focus, and the position of a face."""
    asked, figures = settings.camera.fps, {"fps": round(view.fps, 1)}
    result = f"{view.fps:.1f} of {asked:g} frames a second"
    if view.fps < LEAST_RATE * asked:
        yield amber("camera: rate", result, "lower [camera] width, or stop other programs", **figures)
    else:
        yield green("camera: rate", result, **figures)
    result = f"brightness {view.brightness:.0f} of 255{_exposed(view)}"
    if DARK <= view.brightness <= BRIGHT:
        yield green("camera: light", result, brightness=round(view.brightness))
    else:
        step = "fit a lamp over the gate" if view.brightness < DARK else "turn the camera away from the sky"
        yield amber("camera: light", result, step, brightness=round(view.brightness))
    if view.sharpness < SOFT:
        yield amber("camera: focus", f"sharpness {view.sharpness:.0f}", "clean the lens, remove its film, or focus it")
    else:
        yield green("camera: focus", f"sharpness {view.sharpness:.0f}", sharpness=round(view.sharpness))
    yield _colour(view)
    for note in view.notes:
        part, step = f"camera: {note.part}", "check [camera] in the settings, and what this camera module can do"
        yield green(part, note.text) if note.is_fine else amber(part, note.text, step)
    yield _framing(view)


def of_speed(found: FrameBench, settings: Settings) -> Iterator[Finding]:
    """Yield how long a decision takes on this board, and gated's own share of that time."""
    frames = settings.access.frames_if_clear
    frames_s = frames / settings.camera.fps + frames * found.total_ms / 1e3
    figures = {"frame_ms": round(found.total_ms, 1), "models_ms": round(found.bare_ms, 1)}
    result = f"{found.total_ms:.1f} ms a frame, of which the models take {found.bare_ms:.1f} ({_stages(found)})"
    if found.total_ms > 1e3 / settings.camera.fps:
        yield amber("speed", result, "lower [camera] fps, or use a faster board", **figures)
    else:
        yield green("speed", result, **figures)
    result = f"{frames_s:.2f} s for the {frames} frames of a clear visit; the limit is {PROMISE_S:g} s"
    if frames_s <= PROMISE_S:
        yield green("decision", result, decision_s=round(frames_s, 3))
    else:
        step = "raise [camera] fps if the board is fast enough, take a smaller model set, or use a faster board"
        yield amber("decision", result, step, decision_s=round(frames_s, 3))
    share = f"{(found.ratio - 1) * 100:+.0f} % on top of the bare models, 10 % are the budget"
    yield (green if found.ratio <= OVERHEAD else _slow)("overhead", share)


def measure(
    settings: Settings, camera: Camera, pipeline: FacePipeline, rounds: int
) -> tuple[list[Finding], Frame | None]:
    """Return the findings on picture and speed, and the last frame."""
    frame = None
    try:
        view, frame = watch(camera, pipeline, settings.camera.timeout_s)
        findings = list(of_view(view, settings))
    except CameraError as error:
        findings = [red("camera", str(error), "check both ends of the ribbon cable, and run `rpicam-hello --list`")]
    return [*findings, *of_speed(bench(pipeline, frame, rounds), settings)], frame


def _colour(view: CameraView) -> Finding:
    """Return whether the camera shows colour. A grey face proves a grey camera; a grey street proves nothing."""
    if view.colour is None:
        return amber("camera: colour", "too dark to measure", "fit a lamp over the gate, and run this again")
    result = f"colour {view.colour:.2f}, at least {NO_COLOUR:g} is needed"
    if view.colour >= NO_COLOUR:
        return green("camera: colour", result, colour=round(view.colour, 3))
    if view.face is None:
        step = "stand before the gate in coloured clothes, and run this again"
        return amber("camera: colour", f"no_colour: {result}", step, colour=round(view.colour, 3))
    step = "fit a colour camera: PAD refuses faces in grey or infra-red pictures as prints"
    return red("camera: colour", f"no_colour: this camera is unsuitable; {result}", step, colour=round(view.colour, 3))


def _framing(view: CameraView) -> Finding:
    if view.face is None:
        return amber("camera: framing", "no face is in view", "stand before the gate, and run this again")
    x, y, width, height = view.face
    across, down = (x + width / 2) / view.size[0] - 0.5, (y + height / 2) / view.size[1] - 0.5
    result = f"a face of {width:.0f} x {height:.0f} px, {across:+.0%} across and {down:+.0%} down from the middle"
    if abs(across) <= MIDDLE and abs(down) <= MIDDLE:
        return green("camera: framing", result)
    return amber("camera: framing", result, "turn the camera until a face at the gate is in the middle")


def _stages(found: FrameBench) -> str:
    """Return the three slowest stages, the slowest first."""
    longest = sorted(found.stages_ms.items(), key=lambda stage: -stage[1])[:3]
    return ", ".join(f"{name} {ms:.1f}" for name, ms in longest)


def _exposed(view: CameraView) -> str:
    if view.exposure_s is None:
        return ""
    gain = "" if view.gain is None else f", gain {view.gain:.1f}"
    return f", {view.exposure_s * 1e3:.1f} ms{gain}"


def _rate(frames: Sequence[Frame]) -> float:
    gaps = [later.at - earlier.at for earlier, later in pairwise(frames) if later.at > earlier.at]
    return 1 / median(gaps) if gaps else 0.0


def _slow(part: str, result: str) -> Finding:
    return amber(part, result, "run this again while no other program runs")

"""What an installer measures once the gate hangs on its wall: what the camera gives, and how fast this board is.

The camera is vision's alone: while a gate runs nobody else may open it, and the doctor says so instead of measuring.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from time import monotonic

import numpy as np

from gated.config import Settings
from gated.errors import CameraError
from gated.face.bench import Bench, bench
from gated.face.colour import NO_COLOUR, colour_of
from gated.face.pipeline import FacePipeline
from gated.face.quality import sharpness
from gated.frame import Camera, Frame, Note, luma
from gated.health.diagnosis import PROMISE_S
from gated.health.finding import Finding, amber, green, red

LOOK_S = 5.0
DARK, BRIGHT = 50.0, 205.0
"""Mean brightness of a picture, 0 to 255, outside of which faces in it are mostly refused (`[face] min_luminance`)."""
SOFT = 20.0
"""Variance of the Laplacian of a picture that shows anything at all; less is a lens out of focus, or fog on it."""
LEAST_RATE = 0.8
OVERHEAD = 1.1
"""Our share of a decision, at most (design.md, section 12)."""
MIDDLE = 0.25
"""So far from the middle, in shares of the picture, a face may be that is still well framed."""


@dataclass(frozen=True, slots=True)
class View:
    """What the camera gave in a few seconds. `face`: the box of the largest in the last frame, px; None without one."""

    fps: float
    brightness: float
    sharpness: float
    exposure_s: float | None
    gain: float | None
    size: tuple[int, int]
    face: tuple[float, float, float, float] | None
    colour: float | None = None
    """As `face.colour` measures it in the last frame; None: it is too dark for that."""
    notes: tuple[Note, ...] = ()
    """What the camera says of itself."""


def watch(camera: Camera, pipeline: FacePipeline, timeout_s: float, look_s: float = LOOK_S) -> tuple[View, Frame]:
    """Look for so long; gives the last frame as well. Raises `CameraError` where nothing comes."""
    camera.open()
    try:
        frames = [camera.frame(timeout_s)]
        end = monotonic() + look_s
        while monotonic() < end and not camera.exhausted:
            frames = [*frames[-30:], camera.frame(timeout_s)]
    finally:
        camera.close()
    last = frames[-1]
    grey = luma(last.lores).astype(np.float32)
    faces = pipeline.detect(last)
    face = max((face.box for face in faces), key=lambda box: box[2] * box[3], default=None)
    return View(
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


def of_view(view: View, settings: Settings) -> Iterator[Finding]:
    """Frame rate, light, focus, and where a face stands."""
    asked, figures = settings.camera.fps, {"fps": round(view.fps, 1)}
    says = f"{view.fps:.1f} frames a second of {asked:g}"
    if view.fps < LEAST_RATE * asked:
        yield amber("camera: rate", says, "take a smaller picture ([camera] width), or see what else runs", **figures)
    else:
        yield green("camera: rate", says, **figures)
    says = f"brightness {view.brightness:.0f} of 255{_exposed(view)}"
    if DARK <= view.brightness <= BRIGHT:
        yield green("camera: light", says, brightness=round(view.brightness))
    else:
        step = "put a lamp over the gate" if view.brightness < DARK else "turn the camera away from the sky"
        yield amber("camera: light", says, step, brightness=round(view.brightness))
    if view.sharpness < SOFT:
        yield amber("camera: focus", f"sharpness {view.sharpness:.0f}", "wipe the lens, take its film off, or turn it")
    else:
        yield green("camera: focus", f"sharpness {view.sharpness:.0f}", sharpness=round(view.sharpness))
    yield _colour(view)
    for note in view.notes:
        part, step = f"camera: {note.part}", "look at [camera] in the settings, and at what this module can do"
        yield green(part, note.says) if note.is_fine else amber(part, note.says, step)
    yield _framing(view)


def of_speed(found: Bench, settings: Settings) -> Iterator[Finding]:
    """How long a decision takes here, and what of it is ours."""
    frames_s = settings.access.frames / settings.camera.fps + settings.access.frames * found.total_ms / 1e3
    figures = {"frame_ms": round(found.total_ms, 1), "models_ms": round(found.bare_ms, 1)}
    says = f"{found.total_ms:.1f} ms a frame, {found.bare_ms:.1f} of it the models' ({_stages(found)})"
    if found.total_ms > 1e3 / settings.camera.fps:
        yield amber("speed", says, "lower [camera] fps, or take a faster board", **figures)
    else:
        yield green("speed", says, **figures)
    says = f"{frames_s:.2f} s for {settings.access.frames} frames and their models; {PROMISE_S:g} s are promised"
    if frames_s <= PROMISE_S:
        yield green("decision", says, decision_s=round(frames_s, 3))
    else:
        step = "more [camera] fps if the board keeps up, fewer [access] frames, or a faster board"
        yield amber("decision", says, step, decision_s=round(frames_s, 3))
    share = f"{(found.ratio - 1) * 100:+.0f} % on top of the bare models, 10 % are the budget"
    yield (green if found.ratio <= OVERHEAD else _slow)("overhead", share)


def look(settings: Settings, camera: Camera, pipeline: FacePipeline, rounds: int) -> tuple[list[Finding], Frame | None]:
    """Both, and the last picture."""
    frame = None
    try:
        view, frame = watch(camera, pipeline, settings.camera.timeout_s)
        findings = list(of_view(view, settings))
    except CameraError as error:
        findings = [red("camera", str(error), "see that the ribbon sits at both ends, and `rpicam-hello --list`")]
    return [*findings, *of_speed(bench(pipeline, frame, rounds), settings)], frame


def _colour(view: View) -> Finding:
    """Grey where there is a face is a camera that will not do; a grey street without one proves nothing."""
    if view.colour is None:
        return amber("camera: colour", "too dark to tell", "put a lamp over the gate, and look once more")
    says = f"colour {view.colour:.2f}, {NO_COLOUR:g} are needed"
    if view.colour >= NO_COLOUR:
        return green("camera: colour", says, colour=round(view.colour, 3))
    if view.face is None:
        step = "stand before the gate in something coloured, and look once more"
        return amber("camera: colour", f"no_colour: {says}", step, colour=round(view.colour, 3))
    step = "fit a colour camera: in grey or infra-red pictures faces are taken for prints, and refused"
    return red("camera: colour", f"no_colour: this camera will not do; {says}", step, colour=round(view.colour, 3))


def _framing(view: View) -> Finding:
    if view.face is None:
        return amber("camera: framing", "nobody is in view", "stand before the gate, and look once more")
    x, y, width, height = view.face
    across, down = (x + width / 2) / view.size[0] - 0.5, (y + height / 2) / view.size[1] - 0.5
    says = f"a face of {width:.0f} x {height:.0f} px, {across:+.0%} across and {down:+.0%} down of the middle"
    if abs(across) <= MIDDLE and abs(down) <= MIDDLE:
        return green("camera: framing", says)
    return amber("camera: framing", says, "turn the camera until a face at the gate is in the middle")


def _stages(found: Bench) -> str:
    """What takes longest, the longest first."""
    longest = sorted(found.stages_ms.items(), key=lambda stage: -stage[1])[:3]
    return ", ".join(f"{name} {ms:.1f}" for name, ms in longest)


def _exposed(view: View) -> str:
    if view.exposure_s is None:
        return ""
    gain = "" if view.gain is None else f", gain {view.gain:.1f}"
    return f", {view.exposure_s * 1e3:.1f} ms{gain}"


def _rate(frames: Sequence[Frame]) -> float:
    gaps = [later.at - earlier.at for earlier, later in pairwise(frames) if later.at > earlier.at]
    return 1 / median(gaps) if gaps else 0.0


def _slow(part: str, says: str) -> Finding:
    return amber(part, says, "run it once more while nothing else runs here")

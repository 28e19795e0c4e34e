"""Recordings: the pictures of a folder, or a video, as a sequence of shots. One picture is in memory at a time."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gated.camera.pictures import load_picture
from gated.errors import CameraError, PictureError
from gated.frame import Pixels

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".jp2", ".tga"}
)
SHORTEST_S = 0.001
"""The shortest time of a video's last picture, so that a loop of a single picture advances."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture of a recording, shown from `begins_s` (seconds of the recording) until the next shot.

    `rgb()` decodes it to (H, W, 3) uint8. `rgb` is None at the end of the recording.
    """

    begins_s: float
    rgb: Callable[[], Pixels] | None


def shots(path: Path, hold_s: float, loop: bool) -> Iterator[Shot]:
    """Return the shots of a recording in order. With `loop` the frames repeat without end; otherwise the last frame has
    `rgb` None.

    A picture is shown for `hold_s` seconds. The frames of a video keep their own times.
    Raises `CameraError`, now or during the iteration, when the recording is missing or damaged.
    """
    if not path.exists():
        raise CameraError(f"camera.path: {path} does not exist; name a folder of pictures, a picture or a video")
    if path.is_dir() or path.suffix.lower() in PICTURE_SUFFIXES:
        paths = _picture_paths(path)
        for picture in paths:
            _picture(picture)
        return _rounds(partial(_pictures, paths, hold_s), loop)
    return _rounds(partial(_video, path, _av()), loop)


def _rounds(play: Callable[[float], Generator[Shot, None, float]], loop: bool) -> Iterator[Shot]:
    """Play once, or for ever. `play` takes its begin in seconds and returns its end in seconds."""
    begins_s = yield from play(0.0)
    while loop:
        begins_s = yield from play(begins_s)
    yield Shot(begins_s, None)


def _picture_paths(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = [p for p in path.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES and not p.name.startswith(".")]
    if not found:
        raise CameraError(f"camera.path: there is no picture in {path}; put JPEG or PNG files there")
    return sorted(found, key=lambda p: p.name)


def _picture(path: Path) -> Pixels:
    try:
        return load_picture(path)
    except PictureError as error:
        raise CameraError(f"the recording cannot be shown: {error}") from error


def _pictures(paths: list[Path], hold_s: float, begins_s: float) -> Generator[Shot, None, float]:
    for number, path in enumerate(paths):
        yield Shot(begins_s + number * hold_s, partial(_picture, path))
    return begins_s + len(paths) * hold_s


def _video(path: Path, av: Any, begins_s: float) -> Generator[Shot, None, float]:
    first_s, ends_s = None, begins_s
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                if frame.pts is None:
                    continue
                first_s = frame.time if first_s is None else first_s
                at_s = begins_s + frame.time - first_s
                ends_s = at_s + max(SHORTEST_S, float((frame.duration or 0) * frame.time_base))
                yield Shot(at_s, partial(_upright, frame))
    except (av.FFmpegError, IndexError) as error:
        raise CameraError(f"{path}: is not a video, or is damaged ({error}); save it as MP4") from error
    if first_s is None:
        raise CameraError(f"{path}: there is no picture in this video; record it again")
    return ends_s


def _upright(frame: Any) -> Pixels:
    """Return a video frame as upright RGB. FFmpeg gives the rotation anticlockwise, as `rot90` needs it."""
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90)))


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise CameraError("a video needs PyAV, which is missing here: pip install 'gated[video]'") from error
    return av

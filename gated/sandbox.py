"""What vision gives up before it reads the first picture: it may be broken by what a stranger holds up, and must then
have no way to the lock, to the databases or to the brain.

As a service of its own (gated-vision.service) it has a user of its own, and systemd gives it next to nothing. As the
brain's child, on a desk, it has the brain's user: here it gives up what this kernel lets it give up. Both together hold
for the service as well.

What nothing here can keep from it: it writes to the error output that it was given, says what it likes in its own
messages, uses its share of the processor and the memory, and reads in /sys what hardware there is. The brain checks the
messages, and systemd bounds the rest.
"""

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import gated
from gated.config import CameraSettings
from gated.config.measured import find_manifest
from gated.errors import GatedError
from gated.face.manifest import folder_of, load_set
from gated.face.messages import VisionSettings
from gated.runtime import landlock, seccomp
from gated.runtime.lacks import Lack

SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sys", "/run/udev")
"""Programs, libraries, and what the kernel says of devices."""
OF_PROC = ("self", "cpuinfo", "meminfo", "stat", "version", "device-tree", "sys", "filesystems", "devices")
"""Not the rest, which is about other processes."""
OF_ETC = ("ld.so.cache", "localtime", "libcamera", "udev", "passwd", "group", "nsswitch.conf")
LIBRARIES = ("site-packages", "dist-packages")
NOTHING = ("null", "zero", "urandom", "random", "full")
LENSES = ("video*", "media*", "v4l-subdev*", "dma_heap", "udmabuf")
"""Devices of a camera, in /dev."""


def confine(settings: VisionSettings) -> tuple[Lack, ...]:
    """Give up everything but the camera and the models. Gives what could not be given up."""
    threads = sum(1 for _ in Path("/proc/self/task").iterdir())
    lacks: list[Lack | None] = [landlock.restrict(_read(settings), _used(settings.camera)), seccomp.restrict()]
    if threads > 1:
        lacks.append("other_threads")
    return tuple(lack for lack in lacks if lack)


def _read(settings: VisionSettings) -> Iterator[Path]:
    """Files and folders that are read while looking."""
    yield from map(Path, SYSTEM)
    yield from (Path("/proc") / name for name in OF_PROC)
    yield from (Path("/etc") / name for name in OF_ETC)
    yield from _code()
    yield from _of_models(settings)
    if settings.camera.path:
        path = Path(settings.camera.path)
        # a scene is directed by putting another script in its place
        yield path.parent if settings.camera.kind == "simulated" else path


def _code() -> Iterator[Path]:
    """Where Python has its modules: never the folder that it was started in, which may be the gate's own."""
    yield from (Path(sys.prefix), Path(sys.base_prefix), Path(gated.__file__).parent)
    yield from (Path(place) for place in sys.path if Path(place).name in LIBRARIES or place.endswith(".zip"))
    numpy = find_spec("numpy")  # unpacked libraries lie side by side, in a folder of any name
    if numpy is not None and numpy.origin is not None:
        yield Path(numpy.origin).parents[1]


def _of_models(settings: VisionSettings) -> Iterator[Path]:
    """Where the models lie. A set that there is not is told by whoever loads it."""
    yield find_manifest(settings.models)
    try:
        yield folder_of(settings.models, load_set(settings.models))
    except GatedError:
        return


def _used(camera: CameraSettings) -> Iterator[Path]:
    """Devices that are used while looking."""
    yield from (Path("/dev") / name for name in NOTHING)
    if camera.kind == "picamera2":
        yield from (path for pattern in LENSES for path in Path("/dev").glob(pattern))

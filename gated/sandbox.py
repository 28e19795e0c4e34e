"""Confine the vision process before it reads the first picture. A stranger's picture may exploit it, so it must have no
access to the lock, the databases or the brain.

As a service (gated-vision.service) vision has a separate user, and systemd removes most of its rights. As a child of
the brain, on a desk, it has the brain's user. Then this module removes as many rights as the kernel can remove. A
service gets both.

Some rights remain: vision writes to its error output, chooses the content of its messages, uses its share of processor
and memory, and reads the hardware list in /sys. The brain checks the messages, and systemd limits the rest.
"""

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import gated
from gated.config import CameraSettings
from gated.config.model_limits import find_manifest
from gated.errors import GatedError
from gated.face.manifest import folder_of, load_set
from gated.face.vision_messages import VisionSettings
from gated.runtime import landlock, seccomp
from gated.runtime.confinement import Lack

SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sys", "/run/udev")
"""Programs, libraries, and the kernel's data about devices."""
OF_PROC = ("self", "cpuinfo", "meminfo", "stat", "version", "device-tree", "sys", "filesystems", "devices")
"""The readable files of /proc. The others are about other processes."""
OF_ETC = ("ld.so.cache", "localtime", "libcamera", "udev", "passwd", "group", "nsswitch.conf")
LIBRARIES = ("site-packages", "dist-packages")
NOTHING = ("null", "zero", "urandom", "random", "full")
LENSES = ("video*", "media*", "v4l-subdev*", "dma_heap", "udmabuf")
"""The devices of a camera, in /dev."""


def confine(settings: VisionSettings) -> tuple[Lack, ...]:
    """Give up all access except to the camera and the models. Return the restrictions that failed."""
    threads = sum(1 for _ in Path("/proc/self/task").iterdir())
    lacks: list[Lack | None] = [landlock.restrict(_read(settings), _used(settings.camera)), seccomp.restrict()]
    if threads > 1:
        lacks.append("other_threads")
    return tuple(lack for lack in lacks if lack)


def _read(settings: VisionSettings) -> Iterator[Path]:
    """Yield the files and folders that vision reads while it runs."""
    yield from map(Path, SYSTEM)
    yield from (Path("/proc") / name for name in OF_PROC)
    yield from (Path("/etc") / name for name in OF_ETC)
    yield from _code()
    yield from _of_models(settings)
    if settings.camera.path:
        path = Path(settings.camera.path)
        # a new scene is a new script, renamed into place
        yield path.parent if settings.camera.kind == "simulated" else path


def _code() -> Iterator[Path]:
    """Yield the folders of Python's modules. Skip the start folder, which may be the gate's own."""
    yield from (Path(sys.prefix), Path(sys.base_prefix), Path(gated.__file__).parent)
    yield from (Path(place) for place in sys.path if Path(place).name in LIBRARIES or place.endswith(".zip"))
    numpy = find_spec("numpy")  # the folder of the libraries may have any name
    if numpy is not None and numpy.origin is not None:
        yield Path(numpy.origin).parents[1]


def _of_models(settings: VisionSettings) -> Iterator[Path]:
    """Yield the manifest and the models' folder. A missing model set is reported when it is loaded."""
    yield find_manifest(settings.models)
    try:
        yield folder_of(settings.models, load_set(settings.models))
    except GatedError:
        return


def _used(camera: CameraSettings) -> Iterator[Path]:
    """Yield the devices that vision uses while it runs."""
    yield from (Path("/dev") / name for name in NOTHING)
    if camera.kind == "picamera2":
        yield from (path for pattern in LENSES for path in Path("/dev").glob(pattern))

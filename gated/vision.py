"""The vision process: camera and models wired together. It knows no name, opens no database, no network and no pin.

It is the one that reads what strangers show, so that it gives up all that it has no need of before it reads anything:
see `gated.sandbox`. What has numpy in it is imported after that, because numpy starts threads, which would keep it.
"""

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from gated.config import CameraSettings, FaceSettings, ModelSettings
from gated.errors import GatedError, WireError
from gated.face.messages import (
    MAX_WORDS,
    FromVision,
    VisionConfined,
    VisionPulse,
    VisionReady,
    VisionSettings,
    VisionTrouble,
)
from gated.health.notify import Notifier
from gated.runtime import garbage
from gated.runtime.channel import BlockingChannel
from gated.runtime.child import die_with_parent
from gated.runtime.lacks import Lack
from gated.runtime.secrecy import keep_memory_secret
from gated.sandbox import confine

if TYPE_CHECKING:
    from gated.frame import Camera

log = logging.getLogger(__name__)

GREY = (
    "no_colour: the picture that it gave is grey; a grey or infra-red camera will not do, because faces cannot be told "
    "from prints in its pictures"
)


LISTEN_FD = 3
"""The first socket that systemd hands over (sd_listen_fds(3))."""
DIAL_S = 10.0
"""So long a service waits for the brain for whose sake it was started."""
HANG_S = 4.0
"""A service that saw, and sees nothing new for so long, is ended by systemd; the brain has given it up before."""


def run(fd: int) -> None:
    """Serve one brain over the socket it gave us, until it closes it, or until we cannot see and have said so."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the brain's to handle
    with socket.socket(fileno=fd) as sock:
        _serve(sock, Notifier({}))


def run_service() -> None:
    """The same as a service that systemd started, because the brain had dialled; the next brain has the next process.

    Raises `WireError` where it was not systemd.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        raise WireError("no socket was handed over: only systemd starts this, with gated-vision.socket")
    notifier = Notifier()
    notifier.ready()
    with socket.socket(fileno=LISTEN_FD) as listening:
        listening.settimeout(DIAL_S)
        try:
            sock, _ = listening.accept()
        except TimeoutError:
            return
    # Whoever breaks us has no hold on the next brain: nobody but systemd can take that one's call.
    with sock:
        sock.setblocking(True)
        _serve(sock, notifier)


def _serve(sock: socket.socket, notifier: Notifier) -> None:
    keep_memory_secret()
    with contextlib.suppress(EOFError):
        channel = BlockingChannel[VisionSettings](sock, VisionSettings)
        settings = channel.receive()
        channel.send(VisionConfined(confine(settings)))
        threading.Thread(target=_end_with, args=(channel,), name="brain", daemon=True).start()
        stopped = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())
        try:
            _look(settings, lambda message: _say(channel, notifier, message), stopped)
        except GatedError as error:
            log.debug("%s", error)  # the brain says it, once
            channel.send(VisionTrouble("models", str(error)[:MAX_WORDS]))


def _say(channel: BlockingChannel[VisionSettings], notifier: Notifier, message: FromVision) -> None:
    """Tell the brain; and systemd, that there are new pictures."""
    channel.send(message)
    if isinstance(message, VisionReady):
        garbage.watch()
        notifier.watch(HANG_S)
    if isinstance(message, VisionReady | VisionPulse):
        notifier.alive()


def _look(settings: VisionSettings, say: Callable[[FromVision], None], stopped: threading.Event) -> None:
    """Load what is needed, and look until the end. Raises `GatedError`, and `EOFError` once the brain has gone."""
    from gated.face.pipeline import load_pipeline
    from gated.face.scan import Scanner
    from gated.face.worker import serve

    pipeline = load_pipeline(settings.models, settings.face)
    camera = camera_of(settings.camera)
    scanner = Scanner() if settings.passes else None
    serve(camera, pipeline, say, stopped.is_set, settings.camera.timeout_s, scanner=scanner)


def try_confinement() -> tuple[Lack, ...]:
    """Confine this process as a vision process, and return what could not be confined."""
    return confine(VisionSettings(CameraSettings(), ModelSettings(), FaceSettings()))


def camera_of(settings: CameraSettings) -> "Camera":
    """The camera that the settings name; a simulated one is imported only where it is asked for."""
    if settings.kind != "simulated":
        from gated.camera import open_camera

        return open_camera(settings)
    from gated.simulator.camera import SimulatedCamera

    return SimulatedCamera(settings)


def try_camera(settings: CameraSettings) -> str | None:
    """Have one frame of it, and let it go; gives what may be wrong with the picture. Raises `CameraError`."""
    from gated.face.colour import NO_COLOUR, colour_of

    camera = camera_of(settings)
    try:
        camera.open()
        colour = colour_of(camera.frame(settings.timeout_s))
    finally:
        camera.close()
    return GREY if colour is not None and not colour >= NO_COLOUR else None


def _end_with(channel: BlockingChannel[VisionSettings]) -> None:
    """Nothing more is ever said to us: when the socket ends, so do we, whatever hangs."""
    with contextlib.suppress(EOFError, GatedError):
        channel.receive()
    os._exit(0)

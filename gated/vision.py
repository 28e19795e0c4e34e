"""The vision process: the wiring of camera and models. It knows no name, opens no database, no network and no pin.

Strangers control the pictures that it reads. So vision drops every right it does not need, before it reads any input:
see `gated.sandbox`. Modules with numpy are imported later: numpy starts threads, and a restriction does not cover
running threads.
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
from gated.face.vision_messages import (
    MAX_WORDS,
    FromVision,
    VisionConfined,
    VisionPulse,
    VisionReady,
    VisionSettings,
    VisionTrouble,
)
from gated.runtime import garbage
from gated.runtime.channel import BlockingChannel
from gated.runtime.child import die_with_parent
from gated.runtime.confinement import Lack
from gated.runtime.secrecy import keep_memory_secret
from gated.sandbox import confine
from gated.service.systemd_notify import Notifier

if TYPE_CHECKING:
    from gated.face.pass_scan import Scanner
    from gated.frame import Camera

log = logging.getLogger(__name__)

GREY = (
    "no_colour: its picture is grey; a grey or infra-red camera is unsuitable, because PAD cannot separate faces from "
    "prints there"
)


LISTEN_FD = 3
"""The first socket that systemd passes to a service (sd_listen_fds(3))."""
DIAL_S = 10.0
"""The time that a new service waits for the brain to connect, in seconds."""
HANG_S = 4.0
"""systemd ends a service that delivered pictures and then delivers none for this many seconds. The brain gives it up
before.
"""


def run(fd: int) -> None:
    """Serve one brain over its socket. End when the brain closes it, or when vision has reported a camera failure."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the brain handles Ctrl-C
    with socket.socket(fileno=fd) as sock:
        _serve(sock, Notifier({}))


def run_service() -> None:
    """Serve one brain as a service that systemd started for its connection. The next brain gets a new process.

    Raises `WireError` if systemd did not start this process.
    """
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        raise WireError("systemd passed no socket; start this process through gated-vision.socket")
    notifier = Notifier()
    notifier.ready()
    with socket.socket(fileno=LISTEN_FD) as listening:
        listening.settimeout(DIAL_S)
        try:
            sock, _ = listening.accept()
        except TimeoutError:
            return
    # An attacker in this process cannot reach the next brain: only systemd accepts its connection.
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
            _observe(settings, lambda message: _send(channel, notifier, message), stopped)
        except GatedError as error:
            log.debug("%s", error)  # the brain reports it, once
            channel.send(VisionTrouble("models", str(error)[:MAX_WORDS]))


def _send(channel: BlockingChannel[VisionSettings], notifier: Notifier, message: FromVision) -> None:
    """Send a message to the brain, and tell systemd that vision delivers pictures."""
    channel.send(message)
    if isinstance(message, VisionReady):
        garbage.watch()
        notifier.watch(HANG_S)
    if isinstance(message, VisionReady | VisionPulse):
        notifier.alive()


def _observe(settings: VisionSettings, send: Callable[[FromVision], None], stopped: threading.Event) -> None:
    """Load the models and run vision until it ends. Raises `GatedError`, and `EOFError` if the brain has gone."""
    from gated.face.pipeline import load_pipeline
    from gated.face.worker import serve

    pipeline = load_pipeline(settings.models, settings.face)
    camera = camera_of(settings.camera)
    scanner = _scanner() if settings.passes else None
    serve(camera, pipeline, send, stopped.is_set, settings.camera.timeout_s, scanner=scanner)


def _scanner() -> "Scanner":
    """Return a scanner of visitor passes. Loads its libraries, which cost time and memory."""
    from gated.face.pass_scan import Scanner

    return Scanner()


def try_confinement() -> tuple[Lack, ...]:
    """Confine this process as a vision process. Return the restrictions that failed."""
    return confine(VisionSettings(CameraSettings(), ModelSettings(), FaceSettings()))


def camera_of(settings: CameraSettings) -> "Camera":
    """Return the camera that the settings name. The simulated camera is imported only if it is used."""
    if settings.kind != "simulated":
        from gated.camera import open_camera

        return open_camera(settings)
    from gated.simulator.camera import SimulatedCamera

    return SimulatedCamera(settings)


def try_camera(settings: CameraSettings) -> str | None:
    """Take one frame and close the camera. Return a warning about the picture, or None. Raises `CameraError`."""
    from gated.face.colour import NO_COLOUR, colour_of

    camera = camera_of(settings)
    try:
        camera.open()
        colour = colour_of(camera.frame(settings.timeout_s))
    finally:
        camera.close()
    return GREY if colour is not None and not colour >= NO_COLOUR else None


def _end_with(channel: BlockingChannel[VisionSettings]) -> None:
    """End this process when the brain closes the socket, whatever else hangs. The brain sends nothing more."""
    with contextlib.suppress(EOFError, GatedError):
        channel.receive()
    os._exit(0)

"""The vision process: camera and models wired together. It knows no name, opens no database, no network and no pin."""

import contextlib
import logging
import os
import signal
import socket
import threading

from gated.camera import open_camera
from gated.config import CameraSettings
from gated.errors import GatedError
from gated.face.messages import VisionSettings, VisionTrouble
from gated.face.pipeline import load_pipeline
from gated.face.scan import Scanner
from gated.face.worker import serve
from gated.frame import Camera
from gated.runtime.channel import BlockingChannel
from gated.runtime.child import die_with_parent

log = logging.getLogger(__name__)


def run(fd: int) -> None:
    """Serve one brain over the socket it gave us, until it closes it, or until we cannot see and have said so."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the brain's to handle
    with socket.socket(fileno=fd) as sock, contextlib.suppress(EOFError):
        channel = BlockingChannel[VisionSettings](sock, VisionSettings)
        settings = channel.receive()
        threading.Thread(target=_end_with, args=(channel,), name="brain", daemon=True).start()
        stopped = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())
        try:
            pipeline = load_pipeline(settings.models, settings.face)
            camera = camera_of(settings.camera)
            scanner = Scanner() if settings.passes else None
            serve(camera, pipeline, channel.send, stopped.is_set, settings.camera.timeout_s, scanner=scanner)
        except GatedError as error:
            log.error("%s", error)
            channel.send(VisionTrouble("models", str(error)))


def camera_of(settings: CameraSettings) -> Camera:
    """The camera that the settings name; a simulated one is imported only where it is asked for."""
    if settings.kind != "simulated":
        return open_camera(settings)
    from gated.simulator.camera import SimulatedCamera

    return SimulatedCamera(settings)


def try_camera(settings: CameraSettings) -> None:
    """Have one frame of it, and let it go. Raises `CameraError`."""
    camera = camera_of(settings)
    try:
        camera.open()
        camera.frame(settings.timeout_s)
    finally:
        camera.close()


def _end_with(channel: BlockingChannel[VisionSettings]) -> None:
    """Nothing more is ever said to us: when the socket ends, so do we, whatever hangs."""
    with contextlib.suppress(EOFError, GatedError):
        channel.receive()
    os._exit(0)

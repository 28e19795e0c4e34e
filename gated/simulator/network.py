"""A network that goes and comes back: a Mosquitto of our own on this machine, and a server that says what it holds."""

import asyncio
import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import aiomqtt

from gated.errors import GatedError, WireError
from gated.simulator.certificates import write_certificates
from gated.sync.messages import Ack, EventBatch, decode, encode
from gated.sync.topics import Topics

OFFICE = "office"
START_S = 10.0

CONFIG = """
listener {port} 127.0.0.1
persistence false
allow_anonymous false
cafile {folder}/ca.pem
certfile {folder}/server.pem
keyfile {folder}/server.key
require_certificate true
use_identity_as_username true
acl_file {folder}/acl
log_dest none
max_packet_size 110000
{user}
"""
ACL = """
user {gate}
topic write gated/1/{site}/{gate}/up/#
topic read gated/1/{site}/{gate}/down/#
user office
topic read gated/1/+/+/up/#
topic readwrite gated/1/+/+/down/#
"""


class NetworkError(GatedError):
    """The broker does not do what it must; the demo goes on without a network."""


def find_mosquitto() -> str | None:
    """The broker's program, where it is installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Network:
    """A broker and a server for one gate, with certificates on both sides; `cut` and `restore` play the outside."""

    def __init__(self, folder: Path, site: str, gate: str, program: str) -> None:
        self._folder, self._program, self._topics = folder, program, Topics(site, gate)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        folder.mkdir(mode=0o700)
        write_certificates(folder, "localhost", gate, OFFICE)
        (folder / "acl").touch(0o600)
        (folder / "acl").write_text(ACL.format(site=site, gate=gate))
        user = "user root" if _is_root() else ""
        (folder / "mosquitto.conf").write_text(CONFIG.format(port=self.port, folder=folder, user=user))
        self._broker: subprocess.Popen[bytes] | None = None
        self._closing = threading.Event()
        self._server = threading.Thread(target=lambda: asyncio.run(self._serve()), name="office", daemon=True)

    def settings(self, gate: str) -> dict[str, str | float]:
        """The [sync] table of the gate's settings."""
        files = {key: str(self._folder / name) for key, name in (("ca", "ca.pem"), ("cert", f"{gate}.pem"))}
        url, key = f"mqtts://localhost:{self.port}", str(self._folder / f"{gate}.key")
        return {"url": url, **files, "key": key, "ack_timeout_s": 1.0, "backoff_max_s": 0.8}

    def start(self) -> None:
        """Bring broker and server up. Raises `NetworkError` when the broker does not listen."""
        self.restore()
        self._server.start()

    def restore(self) -> None:
        """The network is there again. Raises `NetworkError` when the broker does not listen."""
        self._broker = subprocess.Popen(
            [self._program, "-c", str(self._folder / "mosquitto.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        give_up_at = time.monotonic() + START_S
        while time.monotonic() < give_up_at and self._broker.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.5):
                return
            time.sleep(0.02)
        raise NetworkError("mosquitto does not listen; its settings or its version do not suit")

    def cut(self) -> None:
        """The network is gone, without a word."""
        if self._broker is not None:
            self._broker.kill()
            self._broker.wait()
            self._broker = None

    def close(self) -> None:
        """End the server and the broker."""
        self._closing.set()
        self.cut()

    async def _serve(self) -> None:
        """The other end: connects again and again, and acks each batch of the journal that follows what it holds."""
        # The client's own note that it was cut, which nobody may be waiting for, is not for the terminal.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        while not self._closing.is_set():
            with contextlib.suppress(aiomqtt.MqttError, OSError):
                async with self._client() as client:
                    await client.subscribe(self._topics.event, qos=1)
                    async for message in client.messages:
                        answer = answer_to(message.payload if isinstance(message.payload, bytes) else b"")
                        if answer is not None:
                            await client.publish(self._topics.ack, encode(answer), qos=1)
            await asyncio.sleep(0.1)

    def _client(self) -> aiomqtt.Client:
        context = ssl.create_default_context(cafile=str(self._folder / "ca.pem"))
        context.load_cert_chain(self._folder / f"{OFFICE}.pem", self._folder / f"{OFFICE}.key")
        return aiomqtt.Client("localhost", self.port, tls_context=context, timeout=2.0)


def answer_to(payload: bytes) -> Ack | None:
    """What a server says that keeps every batch: it holds the last row. None for what is no batch."""
    try:
        batch = decode(payload, EventBatch)
    except WireError:
        return None
    return Ack(seq=batch.last, hash=batch.events[-1].hash)


def _is_root() -> bool:
    return Path("/proc/self").stat().st_uid == 0

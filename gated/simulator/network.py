"""A network that goes and comes back: a Mosquitto of our own on this machine, and a real office behind it."""

import asyncio
import contextlib
import logging
import random
import shutil
import socket
import subprocess
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from gated.errors import GatedError, PairingError
from gated.office.broker import Place, tls_context
from gated.office.founding import found
from gated.office.link import run_link
from gated.office.pairing import Registrar
from gated.office.side import OfficeSide
from gated.office.store import Store
from gated.sync.code import Admission, der_of
from gated.sync.pairing import Draft, Pairing

START_S = 10.0
FIRST_PORT, PORT_TRIES = 10_000, 100


class NetworkError(GatedError):
    """The broker does not do what it must; the demo goes on without a network."""


def free_port(lent: Path = Path("/proc/sys/net/ipv4/ip_local_port_range")) -> int:
    """A port of this machine that nobody serves on, and that nobody who dials is lent: what is killed finds it again.

    `lent`: the first and the last of those that the kernel lends (ip(7)).
    """
    first_lent = int(lent.read_text().split()[0])
    for port in random.sample(range(FIRST_PORT, first_lent), PORT_TRIES):
        with contextlib.suppress(OSError), socket.socket() as free:
            free.bind(("127.0.0.1", port))
            return port
    raise NetworkError("this machine has no port to spare")


def find_mosquitto() -> str | None:
    """The broker's program, where it is installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def join(office: Path, state: Path, gate: str) -> Pairing:
    """Pair a gate with an office on the same machine, as both do over HTTPS. Raises `PairingError`."""
    now = datetime.now(UTC)
    with closing(Store.open(office)) as store, closing(Registrar(office, store)) as registrar:
        code, draft = registrar.invite(gate, now), Draft(state)
        answer = registrar.answer(draft.application(code, store.site), now)
        if not isinstance(answer, Admission):
            raise PairingError(f"{gate} is not let in: {answer.why}")
        return draft.finish(code, der_of(registrar.authority.pem.decode()), answer)


class Network:
    """A broker, and an office that one gate is paired with; `cut` and `restore` play the outside."""

    def __init__(self, folder: Path, site: str, gate: str, program: str) -> None:
        self.port = free_port()
        self.office, self._program = folder / "office", program
        found(self.office, site, Place("localhost", self.port, self.port), datetime.now(UTC))
        self._pairing = join(self.office, folder / "gate", gate)
        self._broker: subprocess.Popen[bytes] | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="office", daemon=True)

    def settings(self) -> dict[str, str | float]:
        """The [sync] table of the gate's settings."""
        return {**self._pairing.settings(), "ack_timeout_s": 1.0, "backoff_max_s": 0.8}

    @property
    def process(self) -> int:
        """The broker's number; 0 while there is none."""
        return 0 if self._broker is None else self._broker.pid

    def start(self) -> None:
        """Bring broker and office up. Raises `NetworkError` when the broker does not listen."""
        self.restore()
        self._thread.start()

    def restore(self) -> None:
        """The network is there again. Raises `NetworkError` when the broker does not listen."""
        self._broker = subprocess.Popen(
            [self._program, "-c", str(self.office / "mosquitto.conf")],
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
        """End the office and the broker."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self.cut()

    async def _serve(self) -> None:
        """The office, until it is closed; what it says of a network that is cut is not for the demo's terminal."""
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        logging.getLogger("gated.office").addHandler(logging.NullHandler())
        with closing(Store.open(self.office)) as store:
            link = run_link(OfficeSide(store), "localhost", self.port, tls_context(self.office), "gated-demo-office")
            office = asyncio.create_task(link, name="office")
            await asyncio.to_thread(self._closing.wait)
            office.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await office

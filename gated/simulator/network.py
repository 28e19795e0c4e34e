"""A network that can be cut and restored: a local Mosquitto, and a real office behind it."""

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
from gated.office.broker_link import run_link
from gated.office.exchange import Exchange
from gated.office.mosquitto import Place, tls_context
from gated.office.office_creation import create_office
from gated.office.registrar import Registrar
from gated.office.store import Store
from gated.protocol.pairing_code import Admission, der_of
from gated.sync.pairing import Pairing, PairingDraft

START_S = 10.0
FIRST_PORT, PORT_TRIES = 10_000, 100


class NetworkError(GatedError):
    """The broker does not start or listen. The demo then runs without a network."""


def free_port(lent: Path = Path("/proc/sys/net/ipv4/ip_local_port_range")) -> int:
    """Return a free port outside of the kernel's ephemeral range. A restarted server can bind it again.

    `lent`: the file with the first and the last port that the kernel lends (ip(7)). Raises `NetworkError`.
    """
    first_lent = int(lent.read_text().split()[0])
    for port in random.sample(range(FIRST_PORT, first_lent), PORT_TRIES):
        with contextlib.suppress(OSError), socket.socket() as free:
            free.bind(("127.0.0.1", port))
            return port
    raise NetworkError("no free port found on this machine")


def find_mosquitto() -> str | None:
    """Return the path of mosquitto. None if it is not installed."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def join(office: Path, state: Path, gate: str, wall: datetime | None = None) -> Pairing:
    """Pair a gate with an office on this machine, as both do over HTTPS, now or at `wall`. Raises `PairingError`."""
    now = wall or datetime.now(UTC)
    with closing(Store.open(office)) as store, closing(Registrar(office, store)) as registrar:
        code, draft = registrar.invite(gate, now), PairingDraft(state, is_plain=True)
        answer = registrar.answer(draft.application(code, store.site), now)
        if not isinstance(answer, Admission):
            raise PairingError(f"the office refuses {gate}: {answer.why}")
        return draft.finish(code, der_of(registrar.authority.pem.decode()), answer)


class Network:
    """A broker, and an office that one gate is paired with. `cut` and `restore` simulate the network."""

    def __init__(self, folder: Path, site: str, gate: str, program: str) -> None:
        self.port = free_port()
        self.office, self._program = folder / "office", program
        create_office(self.office, site, Place("localhost", self.port, free_port()), datetime.now(UTC))
        self._pairing = join(self.office, folder / "gate", gate)
        self._broker: subprocess.Popen[bytes] | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="office", daemon=True)

    def settings(self) -> dict[str, str | float]:
        """Return the [sync] table of the gate's settings."""
        return {**self._pairing.settings(), "ack_timeout_s": 1.0, "backoff_max_s": 0.8}

    @property
    def process(self) -> int:
        """The broker's pid. 0 while it does not run."""
        return 0 if self._broker is None else self._broker.pid

    def start(self) -> None:
        """Start broker and office. Raises `NetworkError` when the broker does not listen."""
        self.restore()
        self._thread.start()

    def restore(self) -> None:
        """Start the broker. Raises `NetworkError` when it does not listen."""
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
        raise NetworkError("mosquitto does not listen; check its version and mosquitto.conf")

    def cut(self) -> None:
        """Kill the broker."""
        if self._broker is not None:
            self._broker.kill()
            self._broker.wait()
            self._broker = None

    def close(self) -> None:
        """Stop the office and the broker."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self.cut()

    async def _serve(self) -> None:
        """Run the office until `close`. Its messages about a cut network do not reach the demo's terminal."""
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        logging.getLogger("gated.office").addHandler(logging.NullHandler())
        with closing(Store.open(self.office)) as store:
            link = run_link(Exchange(store), "localhost", self.port, tls_context(self.office), "gated-demo-office")
            office = asyncio.create_task(link, name="office")
            await asyncio.to_thread(self._closing.wait)
            office.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await office

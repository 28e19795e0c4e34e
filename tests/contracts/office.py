"""A real office whose counter is open, for the tests of those who come to it."""

import asyncio
import contextlib
import socket
import tempfile
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from gated.office.mosquitto import Place
from gated.office.office_creation import create_office
from gated.office.pairing_endpoint import serve_pairing
from gated.office.registrar import Registrar
from gated.office.store import Store
from gated.simulator.network import free_port

SITE, GATE = "market-south", "gate-2"
PATIENCE_S = 30.0


_made: dict[str, bytes] = {}


def new_office(folder):
    """A new office with free ports; all of one run have the same keys, which are made once: that takes its time."""
    place = Place("localhost", free_port(), free_port())
    if not _made:
        with tempfile.TemporaryDirectory() as aside:
            first = Path(aside) / "office"
            create_office(first, SITE, place, datetime.now(UTC))
            with closing(Store.open(first)) as store, closing(Registrar(first, store)):
                pass
            _made.update((path.name, path.read_bytes()) for path in first.iterdir())
    folder.mkdir(mode=0o700)
    for name, content in _made.items():
        (folder / name).touch(0o600)
        (folder / name).write_bytes(content)
    place.save(folder)


class Office:
    """Its counter is served in a thread of its own, between `open` and `shut`."""

    def __init__(self, folder, wall=None):
        self.folder = folder
        if wall is None:
            new_office(folder)
        else:
            create_office(folder, SITE, Place("localhost", free_port(), free_port()), wall)
        self.store = Store.open(folder)
        self.registrar = Registrar(folder, self.store)
        self._loop = asyncio.new_event_loop()
        self._task = None
        self._thread = threading.Thread(target=self._serve)

    def _serve(self):
        asyncio.set_event_loop(self._loop)
        self._task = self._loop.create_task(serve_pairing(self.registrar))
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.close()

    def open(self):
        self._thread.start()
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.registrar.place.pairing_port), 1).close()
                return self
            time.sleep(0.02)
        raise AssertionError("the counter does not open")

    def shut(self):
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
            self._thread.join()

    def close(self):
        self.shut()
        self.registrar.close()
        self.store.close()

    def invite(self):
        with closing(Registrar(self.folder, self.store)) as another:  # as `gated office invite` does
            return another.invite(GATE, datetime.now(UTC))

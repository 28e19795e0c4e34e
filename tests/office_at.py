"""An office in its own process, for gates that join it."""

import contextlib
import socket
import subprocess
import sys
from datetime import UTC, datetime

from gated.office.mosquitto import Place
from gated.office.office_creation import create_office
from gated.simulator.network import free_port

SITE, GATE = "market-south", "gate-2"


class Office:
    """An office in its own process, because the test's process acts as another user at times, with all its threads."""

    def __init__(self, folder):
        self.command = [sys.executable, "-m", "gated", "office", "--dir", str(folder)]
        self.place = Place("localhost", free_port(), free_port())
        create_office(folder, SITE, self.place, datetime.now(UTC))
        self.serve()

    def serve(self):
        self.process = subprocess.Popen([*self.command, "serve"], stderr=subprocess.DEVNULL)

    def code(self):
        done = subprocess.run([*self.command, "invite", GATE], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def answers(self):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.place.pairing_port), 1):
            return True

    def close(self):
        self.process.kill()
        self.process.wait()

"""Tells systemd the gate's state: READY, STOPPING, a status line, and the watchdog signal (sd_notify(3)).

Each message is one datagram. No message waits for systemd, so a systemd that hangs does not stop the gate.
"""

import asyncio
import os
import socket

HEARTBEAT = "WATCHDOG=1"


class Notifier:
    """A connection to the service manager. Does nothing if there is none."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        env = dict(os.environ) if environment is None else environment
        address = env.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket, self._unsent = self._opened(), ""
        pid = env.get("WATCHDOG_PID", "")
        is_for_us = not pid or pid == str(os.getpid())
        usec = env.get("WATCHDOG_USEC", "0") if is_for_us else "0"
        self.watchdog_s: float | None = int(usec) / 2e6 if usec.isdigit() and int(usec) else None
        """Interval of `alive` in seconds, half of what systemd waits for; None if systemd does not ask for it."""

    def ready(self) -> None:
        """Report that the gate is on duty."""
        self._send("READY=1")

    def alive(self) -> None:
        """Report that all critical parts make progress."""
        self._send(HEARTBEAT)

    async def keep_alive(self) -> None:
        """Send `alive` at the interval that systemd asks for, until cancelled. Return at once if it does not ask."""
        while self.watchdog_s is not None:
            self.alive()
            await asyncio.sleep(self.watchdog_s)

    def stopping(self) -> None:
        """Report that the process ends as asked."""
        self._send("STOPPING=1")

    def watch(self, within_s: float) -> None:
        """Make systemd end this process after `within_s` seconds without a heartbeat."""
        self._send(f"WATCHDOG_USEC={within_s * 1e6:.0f}")

    def _send(self, text: str) -> None:
        """Send a line, after the lines that found the socket full. A full socket loses heartbeats and no other line."""
        if self._socket is None:
            return
        try:
            self._socket.sendto(f"{self._unsent}{text}".encode(), self._address)
            self._unsent = ""
        except BlockingIOError:
            self._unsent += "" if text == HEARTBEAT else f"{text}\n"
        except OSError:  # the manager may be gone; the gate does not depend on it
            return

    def _opened(self) -> socket.socket | None:
        """Open the socket once, at the start: a confined vision process cannot open another socket later."""
        if not self._address:
            return None
        return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

"""What systemd is told: READY, STOPPING, what we are doing, and that we live (sd_notify(3): one datagram)."""

import os
import socket


class Notifier:
    """Talks to the service manager, or to nobody where there is none."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        env = dict(os.environ) if environment is None else environment
        address = env.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = self._opened()
        pid = env.get("WATCHDOG_PID", "")
        is_ours = not pid or pid == str(os.getpid())
        usec = env.get("WATCHDOG_USEC", "0") if is_ours else "0"
        self.watchdog_s: float | None = int(usec) / 2e6 if usec.isdigit() and int(usec) else None
        """How often to say that we live: half of what systemd waits for; None where it does not ask."""

    def ready(self) -> None:
        """The gate is on duty."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(f"STATUS={text}")

    def alive(self) -> None:
        """All critical parts make progress."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """We end because we were asked to."""
        self._send("STOPPING=1")

    def watch(self, within_s: float) -> None:
        """From here on the manager ends us when we are silent for so long."""
        self._send(f"WATCHDOG_USEC={within_s * 1e6:.0f}")

    def _send(self, text: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(text.encode(), self._address)
        except OSError:  # the manager is gone or was never there: nothing of ours depends on it
            return

    def _opened(self) -> socket.socket | None:
        """Once, because vision can have no further socket once it has given up what it does not need."""
        if not self._address:
            return None
        return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

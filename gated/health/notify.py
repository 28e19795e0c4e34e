"""What systemd is told: READY, STOPPING, what we are doing, and that we live (sd_notify(3): one datagram)."""

import os
import socket


class Notifier:
    """Talks to the service manager, or to nobody where there is none."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        env = dict(os.environ) if environment is None else environment
        self._address = env.get("NOTIFY_SOCKET", "")
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

    def _send(self, text: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            try:
                sock.sendto(text.encode(), address)
            except OSError:  # the manager is gone or was never there: nothing of ours depends on it
                return

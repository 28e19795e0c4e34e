"""The client of paho with limits against an untrusted broker. Used by `mqtt`.

No announced length above `MAX_PACKET_BYTES` is read. Messages of QoS 2 are noticed, so the caller ends the connection.
"""

import paho.mqtt.client as paho

from gated.protocol.limits import MAX_PACKET_BYTES


class LimitedPaho(paho.Client):
    """A paho client with limits. Plain paho takes any announced length, and keeps messages of QoS 2 for ever."""

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize > MAX_PACKET_BYTES:
            raise ConnectionAbortedError(f"a message of {bufsize} bytes begins, at most {MAX_PACKET_BYTES} are read")
        return super()._sock_recv(bufsize)

    def shut(self) -> None:
        """Close the socket, if one is open."""
        self._sock_close()

    @property
    def holds_back(self) -> bool:
        """Return whether the client keeps messages of QoS 2."""
        return bool(self._in_messages)

"""One connection to an untrusted broker: MQTT 3.1.1 or 5 over TLS, on the event loop. Used by `sync.office_link`.

Only this module and `paho_client` import paho. The worst effect of a broker is that this connection ends. No packet
longer than `MAX_PACKET_BYTES` enters memory. The socket is read only while messages are taken, and at most
`READS_PER_S` times a second. The rest waits at the broker.
"""

import asyncio
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from gated.protocol.envelope import Outgoing
from gated.protocol.limits import MAX_PACKET_BYTES
from gated.protocol.paho_client import LimitedPaho
from gated.runtime.daemon_thread import run_on_daemon

log = logging.getLogger(__name__)

Version = Literal["3.1.1", "5"]

KEEPALIVE_S = 30
"""MQTT keep-alive interval, in seconds."""
CONNECT_S = 5.0
"""Time limit, in seconds, for each of three steps: the network, TLS, and the broker's answer."""
ANSWER_S = 10.0
"""Time limit for a broker's confirmation, in seconds."""
MOST_WAITING = 20
"""Most messages that wait to be taken. Beyond that the socket is not read."""
KERNEL_BYTES = 256 * 1024
"""Size of the kernel's receive buffer, in bytes. More unread data stays at the broker, which limits a flood."""
READS_PER_S = 1000
"""Most reads a second."""
READS_AT_ONCE = 10
"""Most reads in a row. Then other tasks of the event loop can run."""
TICK_S = 1.0
"""Interval of `Connection._tick`, in seconds."""
NOT_THIS_VERSION = (1, 0x84)
"""Reason codes for an unsupported version, of MQTT 3.1.1 (3.2.2.3) and of MQTT 5 (3.2.2.2)."""


class NotSpokenError(ConnectionError):
    """Raised when a server answers, but not in this version of MQTT."""


class Arrived(NamedTuple):
    """A message from the broker."""

    topic: str
    payload: bytes
    retain: bool


class Connection:
    """One MQTT connection, from `connect` to `cut`. Every method raises an `OSError` once the connection is lost."""

    def __init__(
        self, address: tuple[str, int], identifier: str, version: Version, context: ssl.SSLContext, will: Outgoing
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._address, self._version = address, version
        self._up, self._down = self._loop.create_future(), self._loop.create_future()
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._arrived: deque[Arrived] = deque()
        self._arrival = asyncio.Event()
        self._reads, self._is_reading = 0, False
        self._reason, self._why = "", "it is closed"
        self._paho = LimitedPaho(
            CallbackAPIVersion.VERSION2,
            identifier,
            clean_session=None if version == "5" else True,
            protocol=paho.MQTTv5 if version == "5" else paho.MQTTv311,
            reconnect_on_failure=False,
        )
        self._paho.connect_timeout = CONNECT_S
        self._paho.tls_set_context(context)
        self._paho.will_set(will.topic, will.payload, 1, will.retain)
        self._paho.on_log = self._on_log
        self._paho.on_socket_register_write = lambda client, userdata, sock: None  # CONNECT is sent after `_listen`

    async def connect(self) -> None:
        """Dial, and wait until the broker accepts.

        Raises `NotSpokenError` if the MQTT version may be the cause, and another `OSError` for every other failure.
        """
        await run_on_daemon(self._dial, "dial")
        self._listen()
        self._tick()
        await asyncio.wait([self._up, self._down], timeout=CONNECT_S, return_when=asyncio.FIRST_COMPLETED)
        if not self._up.done():
            raise NotSpokenError(self._lost() if self._down.done() else "the broker does not answer")
        reason = self._up.result()
        if reason.value in NOT_THIS_VERSION:
            raise NotSpokenError(f"the broker refuses MQTT {self._version}")
        if reason.value:
            raise ConnectionRefusedError(f"the broker refuses the connection: {reason}")

    async def subscribe(self, topics: Sequence[str]) -> None:
        """Subscribe to these exact topics."""
        self._check()
        result, mid = self._paho.subscribe([(topic, 1) for topic in topics])
        await self._confirmed(result, mid)

    async def publish(self, out: Outgoing) -> None:
        """Hand a message to the broker, QoS 1, and wait for its PUBACK. The PUBACK proves no delivery to the office."""
        self._check()
        info = self._paho.publish(out.topic, out.payload, 1, out.retain)
        await self._confirmed(info.rc, info.mid)

    async def message(self) -> Arrived:
        """Wait for the next message, and return it."""
        while not self._arrived:
            self._check()
            self._arrival.clear()
            await self._arrival.wait()
        arrived = self._arrived.popleft()
        if not self._arrived:
            self._read_on()
        return arrived

    async def leave(self, within_s: float) -> None:
        """Disconnect, within `within_s` seconds."""
        if self._socket is not None:
            self._paho.disconnect()
            await asyncio.wait([self._down], timeout=within_s)

    def cut(self) -> None:
        """Close the connection without a disconnect: the broker then publishes the last will. May be called twice."""
        self._paho.shut()
        self._end()

    def _dial(self) -> None:
        """Connect. Runs on a thread, because it waits for the network."""
        if self._version == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize, properties.SessionExpiryInterval = MAX_PACKET_BYTES, 0
            self._paho.connect(*self._address, KEEPALIVE_S, clean_start=True, properties=properties)
        else:
            self._paho.connect(*self._address, KEEPALIVE_S)
        if self._down.done():  # `cut` was called during the wait
            self._paho.shut()

    def _listen(self) -> None:
        """Register the callbacks of paho. From here on, only the event loop uses paho."""
        client = self._paho
        client.on_connect, client.on_disconnect, client.on_message = (
            self._on_connect,
            self._on_disconnect,
            self._on_message,
        )
        client.on_publish = lambda client, userdata, mid, reason, properties: self._answered(mid)
        client.on_subscribe = lambda client, userdata, mid, reasons, properties: self._answered(mid)
        client.on_socket_register_write = lambda client, userdata, sock: self._loop.add_writer(sock, self._write)
        client.on_socket_unregister_write = self._on_written
        client.on_socket_close = self._on_closed
        if self._socket is not None:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # each write is a whole packet
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
            self._loop.add_writer(self._socket, self._write)

    @property
    def _socket(self) -> ssl.SSLSocket | None:
        """Return the TLS socket; None while there is no connection."""
        sock = self._paho.socket()
        return sock if isinstance(sock, ssl.SSLSocket) and not self._down.done() else None

    @property
    def broker_ends(self) -> datetime | None:
        """Return when the broker's certificate ends; None while there is no connection."""
        shown = self._socket.getpeercert() if self._socket is not None else None
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC) if shown else None

    def _check(self) -> None:
        if self._down.done() or self._paho.socket() is None:
            raise ConnectionAbortedError(self._lost())

    async def _confirmed(self, result: MQTTErrorCode, mid: int | None) -> None:
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS or mid is None:
            raise ConnectionAbortedError(paho.error_string(result))
        answer = self._answers[mid] = self._loop.create_future()
        try:
            await asyncio.wait([answer, self._down], timeout=ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._answers[mid]
        if not answer.done():
            self._check()
            raise ConnectionAbortedError(f"the broker confirmed nothing for {ANSWER_S:.0f} s")

    def _answered(self, mid: int) -> None:
        answer = self._answers.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(None)

    def _read(self) -> None:
        """Read a few packets, unless too many messages wait or the rate limit is reached."""
        for _ in range(READS_AT_ONCE):
            if len(self._arrived) >= MOST_WAITING or self._reads >= READS_PER_S:
                return self._pause()
            self._reads += 1
            self._within(self._paho.loop_read)
            if self._socket is None or not self._socket.pending():
                return None
        self._loop.call_soon(self._read_rest)
        return None

    def _read_rest(self) -> None:
        """Read the data that TLS has already taken from the socket: the event loop gets no event for it."""
        if self._is_reading:
            self._read()

    def _pause(self) -> None:
        """Stop reading. The network then slows the sender down."""
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
        self._is_reading = False

    def _read_on(self) -> None:
        if self._socket is not None and not self._is_reading:
            self._is_reading = True
            self._loop.add_reader(self._socket, self._read)
            self._loop.call_soon(self._read_rest)

    def _write(self) -> None:
        self._within(self._paho.loop_write)

    def _tick(self) -> None:
        """Keep the connection alive, and allow another second's worth of reading. Runs once a second."""
        if self._socket is None:
            return
        self._reads = 0
        if len(self._arrived) < MOST_WAITING:
            self._read_on()
        self._within(self._paho.loop_misc)
        self._loop.call_later(TICK_S, self._tick)

    def _within(self, work: Callable[[], MQTTErrorCode]) -> None:
        """Call paho. An exception caused by the broker's data ends the connection."""
        try:
            work()
        except Exception as error:  # noqa: BLE001 - invalid data ends the connection, not the gate
            self._reason = f"it sent what is no MQTT, {type(error).__name__}"
            self.cut()
        if self._paho.holds_back:
            self._reason = "it sent a message of QoS 2, which nobody asked for"
            self.cut()

    def _on_written(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        self._loop.remove_writer(sock)

    def _on_closed(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        self._loop.remove_reader(sock)

    def _on_connect(
        self, client: paho.Client, userdata: Any, flags: paho.ConnectFlags, reason: ReasonCode, properties: Any
    ) -> None:
        if not self._up.done():
            self._up.set_result(reason)

    def _on_disconnect(
        self, client: paho.Client, userdata: Any, flags: paho.DisconnectFlags, reason: ReasonCode, properties: Any
    ) -> None:
        self._why = str(reason)
        self._end()

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        self._arrived.append(Arrived(message.topic, bytes(message.payload), message.retain))
        self._arrival.set()

    def _on_log(self, client: paho.Client, userdata: Any, level: int, text: str) -> None:
        if level == paho.MQTT_LOG_ERR:
            self._reason = text

    def _end(self) -> None:
        if not self._down.done():
            self._down.set_result(None)
        self._arrival.set()

    def _lost(self) -> str:
        """Return why the connection was lost."""
        return f"the broker hung up ({self._reason or self._why})"

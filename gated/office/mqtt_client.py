"""The office's MQTT client: aiomqtt, made to close its connection when the `async with` block ends for any reason."""

from types import TracebackType
from typing import Self

import aiomqtt

Will, ProtocolVersion, MqttError = aiomqtt.Will, aiomqtt.ProtocolVersion, aiomqtt.MqttError


class Client(aiomqtt.Client):
    """An aiomqtt client that leaves no socket open after a cancelled or failed connect or disconnect.

    aiomqtt connects on a thread. The thread opens its socket even if the caller has stopped waiting.
    """

    _is_dialling = _is_left = False

    async def __aenter__(self) -> Self:
        """Connect to the broker. Raises `MqttError`."""
        self._is_left = False
        try:
            return await super().__aenter__()
        except BaseException:
            self._leave()
            raise

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Disconnect if possible, then close the socket. Raises `MqttError`."""
        try:
            await super().__aexit__(exc_type, exc, tb)
        finally:
            self._leave()

    def _leave(self) -> None:
        self._is_left = True
        if not self._is_dialling:
            self._client._sock_close()

    def _client_connect(self) -> None:
        """Connect, on a thread. Hands the socket to the event loop; closes the socket if the loop has ended."""
        self._is_dialling = True
        try:
            super()._client_connect()
        finally:
            try:
                self._loop.call_soon_threadsafe(self._dialled)
            except RuntimeError:
                self._client.on_socket_close = self._client.on_socket_unregister_write = None
                self._client._sock_close()

    def _dialled(self) -> None:
        self._is_dialling = False
        if self._is_left:
            self._leave()

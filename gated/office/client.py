"""The MQTT client of the office: aiomqtt, whose connection ends with its `async with`, whatever ended that."""

from types import TracebackType
from typing import Self

import aiomqtt

Will, ProtocolVersion, MqttError = aiomqtt.Will, aiomqtt.ProtocolVersion, aiomqtt.MqttError


class Client(aiomqtt.Client):
    """What is cancelled, or gives up, while it connects or says goodbye leaves no socket behind.

    aiomqtt dials on a thread, which opens its socket also when nobody waits for it any more.
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
        """Say goodbye, as far as that can be done. Raises `MqttError`."""
        try:
            await super().__aexit__(exc_type, exc, tb)
        finally:
            self._leave()

    def _leave(self) -> None:
        self._is_left = True
        if not self._is_dialling:
            self._client._sock_close()

    def _client_connect(self) -> None:
        """On a thread. What it opens is the loop's, or nobody's where the loop has ended meanwhile."""
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

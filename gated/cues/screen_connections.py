"""The limits on connections to the gate screen's server. They keep it usable for the kiosk's browser.

Every program of this machine can open connections and hold them. So it closes a connection without a complete request
within the time limit. Above the limit (for an address, or in total) it closes the oldest connection without a response
in progress. If all have one, it closes the oldest of all. The browser retries by itself, so it always gets a
connection.
"""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 3.0
"""The time that a connection has to send a request. A browser on this machine needs some milliseconds."""
MOST_SCREENS, MOST_OF_ONE_ADDRESS = 16, 12
"""The most connections in all, and per address. A browser opens at most six to one server."""


class Caller(H11Protocol):
    """One connection of uvicorn, with a time limit for its requests."""

    _timer: asyncio.TimerHandle | None = None
    came_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Start the time limit, and close another connection if there are too many."""
        super().connection_made(transport)
        self.came_at = self.loop.time()
        self._update_timer()
        self._make_room()

    def data_received(self, data: bytes) -> None:
        """Handle data. The time limit counts until the request is complete, even if its bytes arrive one by one."""
        super().data_received(data)
        self._update_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time limit."""
        self._stop_timer()
        super().connection_lost(exc)

    @property
    def is_answered(self) -> bool:
        """Whether a response to its request is in progress."""
        return self.cycle is not None and not self.cycle.response_complete

    def _update_timer(self) -> None:
        if self.is_answered:
            self._stop_timer()
        elif self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(HEAD_S, self._time_out)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_out(self) -> None:
        self._timer = None
        if not self.is_answered:
            self.transport.abort()

    def _make_room(self) -> None:
        every = [each for each in self.connections if isinstance(each, Caller) and not each.transport.is_closing()]
        same_address = [each for each in every if each.address == self.address]
        too_many = (
            same_address if len(same_address) > MOST_OF_ONE_ADDRESS else every if len(every) > MOST_SCREENS else []
        )
        others = sorted((c for c in too_many if c is not self), key=lambda each: (each.is_answered, each.came_at))
        if others:
            others[0].transport.abort()

    @property
    def address(self) -> str:
        """The IP address of the client, or an empty string."""
        return self.client[0] if self.client is not None else ""

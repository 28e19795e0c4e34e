"""Limits the connections to a port that strangers reach, per source and in total. Always accepts a new connection.

A stranger can open connections and send nothing, even before TLS begins. At the limit of a source, the new connection
replaces the oldest one of that source. At the limit of all, it replaces the oldest one of the source with the most
connections. The office's pairing server uses it.
"""

import ipaddress
import socket
from collections import Counter
from contextlib import suppress
from typing import Any

PREFIX_BITS = 64
"""Length of the IPv6 prefix that counts as one source, in bits.

One host usually has the whole /64 (RFC 4291, 2.5.4).
"""


def place_of(address: str) -> str:
    """Return the source of an address: an IPv4 address itself, or the /64 network of an IPv6 address.

    Returns any other text unchanged.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, PREFIX_BITS), strict=False))


class Guest(socket.socket):
    """One accepted connection. The `Listener` counts a connection until it is closed."""

    house: "Listener | None" = None
    """The listener that counts this connection."""
    place: str = ""
    """The source of this connection, as `place_of` returns it."""

    def close(self) -> None:
        """Close the connection and tell the listener."""
        if self.house is not None:
            self.house.discard(self)
        super().close()

    def show_out(self) -> None:
        """Shut the connection down. Its reader sees the end of the stream."""
        with suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)


class Listener(socket.socket):
    """A listening socket that counts its connections. Works with `asyncio` like any other socket."""

    def __init__(self, plain: socket.socket, most: int, most_of_one: int) -> None:
        """Take over `plain`, which already listens. `most`: limit in total. `most_of_one`: limit per source."""
        super().__init__(plain.family, plain.type, plain.proto, fileno=plain.detach())
        self._most, self._most_of_one = most, most_of_one
        self._guests: dict[Guest, None] = {}
        """Open connections, oldest first."""

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection and its address, as `socket.accept` does.

        May close another connection to make room.
        """
        plain, address = super().accept()
        guest = Guest(plain.family, plain.type, plain.proto, fileno=plain.detach())
        guest.place = place_of(address[0])
        self._make_room(guest.place)
        guest.house = self
        self._guests[guest] = None
        return guest, address

    def discard(self, guest: Guest) -> None:
        """Stop counting a connection that is closed."""
        self._guests.pop(guest, None)

    def _make_room(self, place: str) -> None:
        """Close the oldest connection of a source if a limit is reached."""
        crowd = Counter(guest.place for guest in self._guests)
        if crowd[place] < self._most_of_one:
            if len(self._guests) < self._most:
                return
            place = crowd.most_common(1)[0][0]
        longest = next(guest for guest in self._guests if guest.place == place)
        self.discard(longest)
        longest.show_out()

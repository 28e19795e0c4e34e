"""Who is connected to a port that strangers reach: so many from one place, so many in all, and a newcomer always.

A stranger can open connections and say nothing, also before TLS has begun. Who comes to a full house takes the place of
whoever has waited longest: of those from the same place, or of those from the place that has the most.
"""

import ipaddress
import socket
from collections import Counter
from contextlib import suppress
from typing import Any

PREFIX_BITS = 64
"""Of IPv6 whoever has one address has all with the same first half (RFC 4291, section 2.5.4)."""


def place_of(address: str) -> str:
    """Where a stranger comes from: an IPv4 address, or the network of an IPv6 one; anything else is a place as well."""
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
    """A connection that its listener knows of until it is closed."""

    house: "Listener | None" = None
    place: str = ""

    def close(self) -> None:
        """Close it, and make room."""
        if self.house is not None:
            self.house.left(self)
        super().close()

    def show_out(self) -> None:
        """End it: whoever reads from it hears that the other end has gone."""
        with suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)


class Listener(socket.socket):
    """A listening socket, for `asyncio` as any other, which keeps count of those that it lets in."""

    def __init__(self, plain: socket.socket, most: int, most_of_one: int) -> None:
        """Takes over `plain`, which listens already."""
        super().__init__(plain.family, plain.type, plain.proto, fileno=plain.detach())
        self._most, self._most_of_one = most, most_of_one
        self._guests: dict[Guest, None] = {}
        """By the time at which they came."""

    def accept(self) -> tuple[socket.socket, Any]:
        """The next one (`socket.accept`); another may go for it."""
        plain, address = super().accept()
        guest = Guest(plain.family, plain.type, plain.proto, fileno=plain.detach())
        guest.place = place_of(address[0])
        self._make_room(guest.place)
        guest.house = self
        self._guests[guest] = None
        return guest, address

    def left(self, guest: Guest) -> None:
        """One is closed."""
        self._guests.pop(guest, None)

    def _make_room(self, place: str) -> None:
        crowd = Counter(guest.place for guest in self._guests)
        if crowd[place] < self._most_of_one:
            if len(self._guests) < self._most:
                return
            place = crowd.most_common(1)[0][0]
        longest = next(guest for guest in self._guests if guest.place == place)
        self.left(longest)
        longest.show_out()

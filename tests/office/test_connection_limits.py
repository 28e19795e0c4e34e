"""The listener always admits a newcomer. A source that fills it loses its own connections first."""

import contextlib
import socket

import pytest

from gated.office.connection_limits import Listener, place_of

MOST, MOST_OF_ONE = 6, 3


@pytest.fixture
def house():
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(Listener(socket.create_server(("127.0.0.1", 0)), MOST, MOST_OF_ONE))
        port = listener.getsockname()[1]

        def come(place):
            ours = stack.enter_context(socket.socket())
            ours.bind((place, 0))
            ours.connect(("127.0.0.1", port))
            theirs, _ = listener.accept()
            stack.callback(theirs.close)
            return ours, theirs

        yield come


def is_out(pair):
    ours, _ = pair
    ours.settimeout(0.2)
    try:
        return ours.recv(1) == b""
    except TimeoutError:
        return False


def test_too_many_connections_of_one_address_end_its_oldest_waiting_one(house):
    mine = [house("127.0.0.1") for _ in range(MOST_OF_ONE + 2)]
    assert [is_out(pair) for pair in mine] == [True, True, False, False, False]


def test_at_the_limit_the_address_with_most_connections_loses_one(house):
    first = house("127.0.0.9")
    many = [house(f"127.0.0.{number}") for number in (1, 1, 1, 2, 2)]
    newcomer = house("127.0.0.3")
    assert [is_out(pair) for pair in many] == [True, False, False, False, False]
    assert not is_out(first)
    assert not is_out(newcomer)


def test_a_closed_connection_frees_its_place(house):
    for _ in range(20):
        pair = house("127.0.0.1")
        pair[1].close()
    stays = [house("127.0.0.1") for _ in range(MOST_OF_ONE)]
    assert not any(map(is_out, stays))


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("192.0.2.1", "192.0.2.1", True), ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True), ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False), ("fe80::1%eth0", "fe80::2%eth1", True), ("", "", True),
        ("no address", "", False), ("::1", "127.0.0.1", False),
    ],
)  # fmt: skip
def test_a_place_is_an_address_or_a_network(one, other, is_same):
    assert (place_of(one) == place_of(other)) is is_same

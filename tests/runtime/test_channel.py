"""A channel delivers whole, valid messages in order, or raises an error."""

import asyncio
import os
import socket
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gated.errors import WireError
from gated.runtime.channel import MAX_MESSAGE_BYTES, BlockingChannel, Channel, Codec


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    number: int


class Blob(msgspec.Struct, frozen=True, tag="blob"):
    data: bytes


Either = Ping | Blob


@pytest.fixture
async def pair():
    ours, theirs = socket.socketpair()
    channel = await Channel.over(ours, Either)
    yield channel, theirs
    await channel.close()
    theirs.close()


async def test_messages_arrive_whole_and_in_order(pair):
    channel, theirs = pair
    worker = BlockingChannel(theirs, Either)
    sent = [Ping(1), Blob(b"x" * 60_000), Ping(2)]

    def send():
        for message in sent:
            worker.send(message)

    await asyncio.to_thread(send)
    assert [await channel.receive() for _ in sent] == sent


async def test_both_ends_speak(pair):
    channel, theirs = pair
    channel.send(Ping(7))
    assert await asyncio.to_thread(BlockingChannel(theirs, Either).receive) == Ping(7)


async def test_the_end_is_an_eof_on_either_side(pair):
    channel, theirs = pair
    theirs.close()
    with pytest.raises(EOFError):
        await channel.receive()
    ours, other = socket.socketpair()
    other.close()
    with ours, pytest.raises(EOFError):
        BlockingChannel(ours, Either).receive()
    with pytest.raises((EOFError, OSError)):
        BlockingChannel(ours, Either).send(Ping(1))


async def test_an_end_in_the_middle_of_a_message_is_an_eof(pair):
    channel, theirs = pair
    theirs.sendall(struct.pack("<I", 100) + b"half")
    theirs.close()
    with pytest.raises(EOFError):
        await channel.receive()


async def test_a_length_that_nobody_of_ours_would_send_is_refused_before_it_is_read(pair):
    channel, theirs = pair
    theirs.sendall(struct.pack("<I", MAX_MESSAGE_BYTES + 1))
    with pytest.raises(WireError, match="limit"):
        await channel.receive()


async def test_a_message_too_long_is_not_sent(pair):
    with pytest.raises(WireError, match="limit"):
        pair[0].send(Blob(b"x" * MAX_MESSAGE_BYTES))


async def test_a_reader_that_has_stopped_is_an_error_and_not_a_growing_queue(pair):
    channel, _ = pair
    with pytest.raises(WireError, match="stopped reading"):
        for _ in range(100):
            channel.send(Blob(b"x" * 60_000))


async def test_the_kernel_reports_the_user_of_the_other_side(pair):
    assert pair[0].peer_uid == os.getuid()


@given(st.binary(max_size=200))
def test_noise_is_a_wire_error_or_a_message(noise):
    try:
        assert isinstance(Codec(Either).decode(noise), Ping | Blob)
    except WireError:
        pass


@given(st.binary(max_size=200), st.integers(-(2**63), 2**63 - 1))
def test_every_message_comes_back_as_it_was(data, number):
    codec = Codec(Either)
    for message in (Blob(data), Ping(number)):
        raw = codec.encode(message)
        assert codec.length(raw[:4]) == len(raw) - 4
        assert codec.decode(raw[4:]) == message


async def test_a_cancellation_that_meets_a_message_is_not_lost(pair):
    """`wait_for` of Python 3.11 loses this cancellation, and the cancelled part listens for ever."""
    channel, _ = pair

    async def listen():
        while True:
            await channel.receive(5.0)

    for steps in range(6):
        task = asyncio.create_task(listen())
        for _ in range(3):
            await asyncio.sleep(0)
        channel._reader.feed_data(Codec(Either).encode(Ping(1)))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=2.0)
        assert task.cancelled()
        channel._reader._buffer.clear()

"""Each fault of the proxy acts as requested, in its direction, and ends when healed."""

import asyncio
import contextlib
import time

import pytest

from tests.fakes.network_direction import SOUND, Fault
from tests.fakes.proxy import Proxy

PATIENCE_S = 30.0
A_WHILE_S = 0.3
"""Long enough for bytes that are not lost to arrive. On a slow machine these tests prove less, but do not fail."""


class Echo:
    """A server that sends back what it receives, and records it and the end of each connection."""

    def __init__(self):
        self.received, self.ends, self.connections = b"", [], 0

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while chunk := await reader.read(65536):
                self.received += chunk
                writer.write(chunk)
                await writer.drain()
            self.ends.append("end")
        except ConnectionError:
            self.ends.append("reset")
        writer.close()


@pytest.fixture
async def echo():
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    echo.port = server.sockets[0].getsockname()[1]
    yield echo
    server.close()


@pytest.fixture
async def proxy(echo):
    async with Proxy("127.0.0.1", echo.port) as proxy:
        yield proxy


@pytest.fixture
async def dial(proxy):
    writers = []

    async def dial():
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writers.append(writer)
        return reader, writer

    yield dial
    for writer in writers:
        writer.transport.abort()


async def soon(waiting):
    return await asyncio.wait_for(waiting, PATIENCE_S)


async def receives_nothing(reader):
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(reader.read(1), A_WHILE_S)
    return True


async def until(claim):
    async with asyncio.timeout(PATIENCE_S):
        while not claim():
            await asyncio.sleep(0.01)


async def echoed(pair, words):
    """Send bytes and return the echo."""
    pair[1].write(words)
    return await soon(pair[0].readexactly(len(words)))


async def test_without_faults_all_bytes_pass_in_order_and_are_counted(proxy, dial):
    words = bytes(range(256)) * 4000
    pairs = [await dial() for _ in range(3)]
    for pair in pairs:
        assert await echoed(pair, words) == words
    assert (proxy.connections, proxy.up.passed_bytes, proxy.down.passed_bytes) == (3, *[3 * len(words)] * 2)
    assert (proxy.up.swallowed_bytes, proxy.down.swallowed_bytes) == (0, 0)


async def test_the_end_of_one_side_reaches_the_other(echo, dial):
    reader, writer = await dial()
    writer.write(b"that was all")
    writer.write_eof()
    assert await soon(reader.read()) == b"that was all"
    assert echo.ends == ["end"]


async def test_latency_does_not_lower_the_rate(proxy, dial):
    pair = await dial()
    proxy.up.inflict(Fault(latency_s=0.2))
    began = time.monotonic()
    assert await echoed(pair, b"x") == b"x"
    assert time.monotonic() - began >= 0.2
    proxy.up.inflict(Fault(latency_s=1.5))
    pair[1].write(b"y" * 900_000)  # over fifty chunks, none waits for the one before
    assert await asyncio.wait_for(pair[0].readexactly(900_000), 60) == b"y" * 900_000


async def test_jitter_keeps_the_order(proxy, dial, echo):
    pair = await dial()
    proxy.inflict(Fault(jitter_s=0.05))
    words = [b"%04d" % number for number in range(50)]
    for word in words:
        pair[1].write(word)
        await asyncio.sleep(0.002)
    assert await soon(pair[0].readexactly(200)) == b"".join(words) == echo.received


async def test_the_rate_limit_holds_for_all_connections_together(proxy, dial):
    pairs = [await dial() for _ in range(2)]
    proxy.down.inflict(Fault(bytes_per_s=20_000))
    began = time.monotonic()
    await asyncio.gather(*[echoed(pair, b"z" * 5_000) for pair in pairs])
    assert time.monotonic() - began >= 0.4  # 10,000 bytes, without waiting for the last step


async def test_a_cut_closes_and_refuses_connections_until_healed(proxy, dial, echo):
    pair = await dial()
    assert await echoed(pair, b"before") == b"before"
    proxy.cut()
    assert await soon(pair[0].read()) == b""
    with pytest.raises(ConnectionRefusedError):
        await dial()
    proxy.cut()
    await proxy.heal()
    assert await echoed(await dial(), b"after") == b"after"
    await until(lambda: echo.ends == ["end"])


async def test_a_connection_during_a_cut_is_refused(proxy, echo):
    dialling = [asyncio.create_task(asyncio.open_connection("127.0.0.1", proxy.port)) for _ in range(5)]
    await asyncio.sleep(0)
    proxy.cut()
    for reader, writer in [pair for pair in await soon(asyncio.gather(*dialling, return_exceptions=True))
                           if not isinstance(pair, OSError)]:  # fmt: skip
        with contextlib.suppress(ConnectionError):
            assert await soon(reader.read()) == b""
        writer.close()
    assert echo.received == b""


async def test_a_half_open_proxy_loses_bytes_silently_in_both_directions(proxy, dial, echo):
    pair = await dial()
    assert await echoed(pair, b"before") == b"before"
    proxy.inflict(Fault(is_silent=True))
    pair[1].write(b"lost" * 1000)
    assert await receives_nothing(pair[0])
    new = await dial()
    new[1].write(b"hello?")
    assert await receives_nothing(new[0])
    assert echo.received == b"before"
    await until(lambda: proxy.up.swallowed_bytes == 4006)
    new[1].close()
    await asyncio.sleep(A_WHILE_S)
    assert echo.ends == [], "the end of a swallowed connection is swallowed as well"


async def test_one_direction_can_be_half_open_alone(proxy, dial, echo):
    pair = await dial()
    proxy.down.inflict(Fault(is_silent=True))
    pair[1].write(b"they hear me")
    assert await receives_nothing(pair[0])
    await until(lambda: echo.received == b"they hear me")
    pair[1].write(b", still")
    await until(lambda: echo.received == b"they hear me, still")


async def test_a_connection_that_lost_bytes_is_reset_after_the_fault(proxy, dial, echo):
    torn, whole = await dial(), await dial()
    for pair in (torn, whole):
        assert await echoed(pair, b"1") == b"1"
    proxy.inflict(Fault(is_silent=True))
    torn[1].write(b"2")
    await until(lambda: proxy.up.swallowed_bytes == 1)
    await proxy.heal()
    torn[1].write(b"3")
    with pytest.raises(ConnectionResetError):
        await soon(torn[0].read(1))
    assert await echoed(whole, b"4") == b"4"
    assert echo.received == b"114"


async def test_a_reset_reaches_both_sides_and_new_connections_work(proxy, dial, echo):
    pair = await dial()
    assert await echoed(pair, b"before") == b"before"
    proxy.reset()
    with pytest.raises(ConnectionResetError):
        await soon(pair[0].read(1))
    await until(lambda: echo.ends == ["reset"])
    assert await echoed(await dial(), b"after") == b"after"


async def test_truncation_closes_each_connection_in_the_middle(proxy, dial, echo):
    proxy.up.inflict(Fault(truncate_bytes=10))
    for turn in (1, 2):
        reader, writer = await dial()
        writer.write(b"0123456789abcdef")
        with contextlib.suppress(ConnectionError):
            await soon(reader.read())
        await until(lambda turn=turn: len(echo.ends) == turn)
        assert echo.received == b"0123456789" * turn
    proxy.inflict(SOUND)
    assert await echoed(await dial(), b"0123456789abcdef") == b"0123456789abcdef"


async def test_after_the_byte_limit_of_all_connections_there_is_silence(proxy, dial, echo):
    proxy.up.inflict(Fault(limit_bytes=10))
    first, second = await dial(), await dial()
    assert await echoed(first, b"123456") == b"123456"
    second[1].write(b"abcdefgh")
    assert await soon(second[0].readexactly(4)) == b"abcd"
    assert await receives_nothing(second[0])
    first[1].write(b"7")
    assert await receives_nothing(first[0])
    assert (echo.received, proxy.up.passed_bytes, proxy.up.swallowed_bytes) == (b"123456abcd", 10, 5)


async def test_an_unreachable_target_is_a_reset(dial, proxy):
    proxy._target = ("127.0.0.1", 1)
    reader, _ = await dial()
    with pytest.raises(ConnectionResetError):
        await soon(reader.read(1))


async def test_an_aborted_peer_is_noticed_by_the_other(proxy, dial, echo):
    pair = await dial()
    assert await echoed(pair, b"before") == b"before"
    pair[1].transport.abort()
    await until(lambda: echo.ends)


async def test_a_closed_proxy_leaves_nothing_behind(echo):
    before = asyncio.all_tasks()
    proxy = Proxy("127.0.0.1", echo.port)
    await proxy.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    proxy.inflict(Fault(latency_s=3600.0, bytes_per_s=1.0))
    writer.write(b"on its way for an hour" * 100)
    await until(lambda: proxy.connections == 1)
    await asyncio.sleep(0.05)
    await soon(proxy.close())
    await soon(proxy.close())
    assert await soon(reader.read()) == b""
    writer.close()
    await until(lambda: not [t for t in asyncio.all_tasks() - before if t.get_name().startswith("proxy")])


async def test_the_same_seed_gives_the_same_jitter():
    fault = Fault(latency_s=0.1, jitter_s=0.4)

    def thrown(seed):
        proxy = Proxy("127.0.0.1", 1, seed)
        proxy.inflict(fault)
        proxy._place.close()
        return [proxy.up.latency_s(proxy._dice) for _ in range(20)]

    assert thrown(7) == thrown(7) != thrown(8)
    assert all(0.1 <= latency <= 0.5 for latency in thrown(7))

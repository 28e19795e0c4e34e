"""Silent connections to the gate screen's server do not block the kiosk's browser."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from gated.cues import screen_connections
from gated.cues.screen import Screen
from gated.cues.screen_connections import MOST_OF_ONE_ADDRESS, MOST_SCREENS

GET = b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture
async def port(free_port, running):
    async with running(Screen(free_port, ("zh", "en"))), asyncio.timeout(60):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", free_port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            break
        yield free_port


@pytest.fixture
async def call(port):
    """Return a function that connects from an address of this machine and sends bytes."""
    async with AsyncExitStack() as last:

        async def connect(sent=b"", address="127.0.0.1"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
            last.callback(writer.close)
            writer.write(sent)
            await writer.drain()
            return reader, writer

        yield connect


async def watch(call, **more):
    """Open the stream of updates and wait for its first event. Returns the reader."""
    reader, _ = await call(GET % b"/updates" + b"\r\n", **more)
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    await reader.readuntil(b"data: ")
    return reader


async def ends(reader):
    """Wait until the server has closed the connection."""
    try:
        async with asyncio.timeout(30):
            while await reader.read(65536):
                pass
    except ConnectionError:
        pass


@pytest.mark.parametrize("sent", [b"", b"GET", GET % b"/", b"\r\n"])
async def test_silent_connections_do_not_block_the_page(call, sent):
    page = await watch(call)
    silent = [await call(sent) for _ in range(3 * MOST_SCREENS)]
    await watch(call)
    for _ in range(2):
        await page.readuntil(b"data: ")  # the first page still gets updates
    await asyncio.gather(*(ends(reader) for reader, _ in silent[: 2 * MOST_SCREENS]))


async def test_silent_connections_of_many_addresses_do_not_block_the_page(call):
    page = await watch(call)
    for i in range(3 * MOST_SCREENS):
        await call(address=f"127.0.1.{i + 1}")
    await watch(call)
    await page.readuntil(b"data: ")


@pytest.mark.parametrize("sent", [b"", b"GET /", GET % b"/updates"])
async def test_a_connection_without_a_request_in_time_is_closed(monkeypatch, call, sent):
    monkeypatch.setattr(screen_connections, "HEAD_S", 0.2)
    reader, _ = await call(sent)
    await ends(reader)


async def test_a_request_sent_byte_by_byte_is_closed_in_time(monkeypatch, call):
    monkeypatch.setattr(screen_connections, "HEAD_S", 0.3)
    reader, writer = await call(GET % b"/updates")
    over = asyncio.create_task(ends(reader))
    while not over.done():
        writer.write(b"X-More: 1\r\n")
        await asyncio.wait([over], timeout=0.05)


async def test_a_second_request_has_the_same_time_limit(monkeypatch, call):
    monkeypatch.setattr(screen_connections, "HEAD_S", 0.3)
    reader, writer = await call(GET % b"/nothing" + b"\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 404")
    over = asyncio.create_task(ends(reader))
    while not over.done():
        writer.write(b"G" if not over.done() else b"")
        await asyncio.wait([over], timeout=0.05)


@pytest.mark.parametrize("many", [MOST_OF_ONE_ADDRESS + 1, 3 * MOST_SCREENS])
async def test_many_open_pages_do_not_block_a_new_page(call, many):
    readers = [await watch(call) for _ in range(many)]
    await readers[-1].readuntil(b"data: ")
    await ends(readers[0])


async def test_a_page_with_a_response_in_progress_has_no_time_limit(monkeypatch, call):
    monkeypatch.setattr(screen_connections, "HEAD_S", 0.1)
    page = await watch(call)
    for _ in range(3):
        await page.readuntil(b"data: ")

"""A connection cancelled or closed at any moment leaves no socket open. Only one module builds an MQTT client."""

import ast
import asyncio
import contextlib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme

from gated.office.mqtt_client import Client, MqttError

PATIENCE_S = 60.0
ROOT = Path(__file__).parents[2]
HOME = ROOT / "gated/office/mqtt_client.py"


@pytest.fixture
def ends():
    """Return our TLS context and a server's TLS context."""
    authority = trustme.CA()
    server, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(ours)
    return ours, server


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_S)
        yield listener


def read_to_the_end(line):
    """Return all bytes received until the other end closes."""
    line.settimeout(PATIENCE_S)
    said = b""
    with contextlib.suppress(ConnectionError):
        while piece := line.recv(1000):
            said += piece
    return said


async def entered(client):
    async with client:
        raise AssertionError("nobody has answered")


@pytest.mark.parametrize("turns", [0, 1, 2, 5, 20])
async def test_a_connection_cancelled_while_dialling_is_closed_later(listener, ends, turns):
    ours, server = ends
    client = Client("localhost", listener.getsockname()[1], tls_context=ours)
    dialling = asyncio.create_task(entered(client))
    line, _ = await asyncio.to_thread(listener.accept)
    for _ in range(turns):
        await asyncio.sleep(0)
    dialling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dialling

    def finish():
        with contextlib.suppress(ConnectionError, ssl.SSLError), server.wrap_socket(line, server_side=True) as secured:
            read_to_the_end(secured)

    await asyncio.to_thread(finish)


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_a_silent_broker_leaves_no_open_connection(listener, is_cancelled):
    client = Client("localhost", listener.getsockname()[1], timeout=PATIENCE_S if is_cancelled else 0.2)
    dialling = asyncio.create_task(entered(client))
    line, _ = await asyncio.to_thread(listener.accept)
    with line:
        assert await asyncio.to_thread(line.recv, 1000)
        if is_cancelled:
            dialling.cancel()
        with pytest.raises(asyncio.CancelledError if is_cancelled else MqttError):
            await dialling
        assert await asyncio.to_thread(read_to_the_end, line) == b""


async def test_a_broker_without_a_goodbye_keeps_no_connection(listener):
    def answer():
        line, _ = listener.accept()
        line.recv(1000)
        line.sendall(b"\x20\x02\x00\x00")
        return line

    broker = asyncio.get_running_loop().run_in_executor(None, answer)
    is_up = asyncio.Event()

    async def stay():
        async with Client("localhost", listener.getsockname()[1], timeout=PATIENCE_S):
            is_up.set()
            await asyncio.Event().wait()

    staying = asyncio.create_task(stay())
    await asyncio.wait_for(is_up.wait(), PATIENCE_S)
    staying.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await staying
    with await broker as line:
        await asyncio.to_thread(read_to_the_end, line)


def test_a_loop_that_ends_while_dialling_leaves_no_socket(listener, ends):
    ours, server = ends
    with ThreadPoolExecutor() as threads:

        async def break_off():
            asyncio.get_running_loop().set_default_executor(Late())
            dialling = asyncio.create_task(entered(Client("localhost", listener.getsockname()[1], tls_context=ours)))
            line, _ = await asyncio.wrap_future(threads.submit(listener.accept))
            dialling.cancel()
            return line

        line = asyncio.run(break_off())
        with contextlib.suppress(ConnectionError, ssl.SSLError), server.wrap_socket(line, server_side=True) as secured:
            read_to_the_end(secured)


class Late(ThreadPoolExecutor):
    """An executor that does not delay the end of its event loop."""

    def shutdown(self, wait=True, *, cancel_futures=False):
        super().shutdown(wait=False)


def built(tree):
    """Yield the lines that build an aiomqtt client or import its name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "Client" and ast.unparse(node.value) == "aiomqtt":
            yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "aiomqtt":
            yield from (node.lineno for each in node.names if each.name in {"Client", "*", "client"})


def test_no_module_builds_a_client_that_could_leave_a_socket():
    files = [path for folder in ("gated", "tests", "hw_tests") for path in (ROOT / folder).rglob("*.py")]
    texts = {path: path.read_text() for path in files if path != HOME}
    trees = {path: ast.parse(text) for path, text in texts.items() if "aiomqtt" in text}
    assert trees, "the client's own tests import its errors"
    assert [f"{path.relative_to(ROOT)}:{line}" for path, tree in trees.items() for line in built(tree)] == []

"""A real browser without a window, driven over the DevTools protocol; a stage to drive it from; prompts made once."""

import asyncio
import base64
import contextlib
import itertools
import json
import subprocess
import time
import urllib.request
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from websockets.asyncio.client import connect

from gated.config import CueSettings
from gated.cues.prompts import render
from gated.cues.stage import Stage
from gated.simulator import network

PANEL = (800, 480)
"""A 7-inch panel, px."""


class Tab:
    """One page of the browser."""

    def __init__(self, websocket) -> None:
        self._websocket, self._numbers = websocket, itertools.count(1)
        self.seen: list[dict] = []
        """Events that came while an answer was waited for."""

    async def send(self, method: str, **parameters) -> dict:
        """Ask the browser to do something, and give what it answers."""
        number = next(self._numbers)
        await self._websocket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        async with asyncio.timeout(30):
            while (message := json.loads(await self._websocket.recv())).get("id") != number:
                self.seen.append(message)
        assert "error" not in message, message["error"]
        return message["result"]

    async def evaluate(self, expression: str):
        """The value of a JavaScript expression in the page."""
        result = await self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def go(self, url: str) -> None:
        """Open a page, and wait until it has been read."""
        await self.send("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def until(self, expression: str, timeout_s: float = 20.0) -> None:
        """Wait until something is true in the page."""
        async with asyncio.timeout(timeout_s):
            while not await self.evaluate(expression):
                await asyncio.sleep(0.02)

    async def screenshot(self) -> bytes:
        """What is on the panel, as PNG."""
        return base64.b64decode((await self.send("Page.captureScreenshot", format="png"))["data"])


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """The address of a browser's DevTools."""
    folder = tmp_path_factory.mktemp("chromium")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--no-first-run"]
    process = subprocess.Popen(
        ["chromium", *options, f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    port = folder / "DevToolsActivePort"
    deadline = time.monotonic() + 60
    while not (port.exists() and port.read_text().count("\n")):
        assert process.poll() is None, "chromium has ended"
        assert time.monotonic() < deadline, "chromium does not begin"
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port.read_text().split()[0]}"
    process.terminate()
    process.wait()


def new_tab(chromium: str) -> str:
    """Open an empty page, and give the address that it is driven by."""
    request = urllib.request.Request(f"{chromium}/json/new?about:blank", method="PUT")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["webSocketDebuggerUrl"]


@pytest.fixture
async def tab(chromium):
    """A page of its own, as large as the panel."""
    async with connect(await asyncio.to_thread(new_tab, chromium), max_size=None) as websocket:
        tab = Tab(websocket)
        for domain in ("Page", "Runtime", "Network", "Log"):
            await tab.send(f"{domain}.enable")
        width, height = PANEL
        await tab.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        yield tab
        await tab.send("Page.close")


@pytest.fixture
def free_port() -> int:
    """A port that nobody serves on."""
    return network.free_port()


@pytest.fixture(scope="session")
def spoken_prompts(tmp_path_factory):
    """The folder of all prompts in both languages, made once."""
    folder = tmp_path_factory.mktemp("prompts")
    assert all(is_made for _, is_made in render(folder, ("zh", "en")))
    return folder


class Played(list):
    """Stands in for the latch: what every line was told, in order, as (line, pattern, repeats)."""

    def __call__(self, line: str, pattern: tuple[float, ...], repeats: int) -> None:
        self.append((line, tuple(pattern), repeats))

    @property
    def now(self) -> dict[str, tuple[float, ...]]:
        """What every line does now."""
        return {line: pattern for line, pattern, _ in self}


@pytest.fixture
def played():
    """What the latch was told to play."""
    return Played()


ALL_LINES = {
    f"{line}_pin": pin
    for pin, line in enumerate(
        ("ready", "open", "refused", "fault", "red", "green", "blue", "buzzer", "vibration"), start=2
    )
}


@pytest.fixture
def stage_of(played, tmp_path):
    """Makes a stage with every line fitted, at noon, and what else its settings are to be."""

    def make(prompts=tmp_path, wall=None, monotonic=time.monotonic, **settings) -> Stage:
        noon = datetime(2026, 6, 1, 4, tzinfo=UTC)
        return Stage(
            CueSettings(**{**ALL_LINES, **settings}), prompts, ZoneInfo("Asia/Shanghai"), played,
            wall or (lambda: noon), monotonic=monotonic,
        )  # fmt: skip

    return make


@pytest.fixture
def running():
    """Runs something for as long as a `with` lasts."""

    @contextlib.asynccontextmanager
    async def run(part):
        task = asyncio.create_task(part.run())
        await asyncio.sleep(0)
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task], timeout=10)
            assert task.done()

    return run


@pytest.fixture
def loudspeaker(tmp_path, monkeypatch):
    """An `aplay` of ours that keeps what it hears; gives what each child was asked, and has heard so far."""
    program = tmp_path / "aplay"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked.$$\nexec cat > {tmp_path}/heard.$$\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def heard() -> list[np.ndarray]:
        files = sorted(tmp_path.glob("heard.*"), key=lambda p: p.stat().st_ctime_ns)
        return [np.frombuffer(p.read_bytes()[: p.stat().st_size // 2 * 2], "<i2") / 32767 for p in files]

    heard.asked = lambda: [p.read_text() for p in tmp_path.glob("asked.*")]
    return heard

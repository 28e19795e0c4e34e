"""A real headless browser (driven over the DevTools protocol), a stage, and prompts that are made once."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import subprocess
import time
import urllib.request
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from websockets.asyncio.client import connect

from gated.config import CueSettings
from gated.cues.prompts import render_prompts
from gated.cues.samples import lead_in, pcm
from gated.cues.stage import Stage
from gated.simulator import network

PANEL = (800, 480)
"""The size of a 7-inch panel in px."""


class Tab:
    """One page of the browser."""

    def __init__(self, websocket) -> None:
        self._websocket, self._numbers = websocket, itertools.count(1)
        self.seen: list[dict] = []
        """The events that arrived before the answer."""

    async def send(self, method: str, **parameters) -> dict:
        """Send a command to the browser and return its result."""
        number = next(self._numbers)
        await self._websocket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        async with asyncio.timeout(30):
            while (message := json.loads(await self._websocket.recv())).get("id") != number:
                self.seen.append(message)
        assert "error" not in message, message["error"]
        return message["result"]

    async def evaluate(self, expression: str):
        """Return the value of a JavaScript expression in the page."""
        result = await self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    async def go(self, url: str) -> None:
        """Open a page and wait until it is loaded."""
        await self.send("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def until(self, expression: str, timeout_s: float = 20.0) -> None:
        """Wait until a JavaScript expression is true in the page."""
        async with asyncio.timeout(timeout_s):
            while not await self.evaluate(expression):
                await asyncio.sleep(0.02)

    async def resize(self, width: int, height: int) -> None:
        """Set the size of the panel in px."""
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    async def screenshot(self) -> bytes:
        """Return the content of the panel as PNG."""
        return base64.b64decode((await self.send("Page.captureScreenshot", format="png"))["data"])


@contextlib.contextmanager
def browser(folder, **environment):
    """Run a browser with extra environment variables. Yields the URL of its DevTools."""
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--no-first-run"]
    process = subprocess.Popen(
        ["chromium", *options, f"--user-data-dir={folder}", "about:blank"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment},
    )  # fmt: skip
    port = folder / "DevToolsActivePort"
    deadline = time.monotonic() + 60
    try:
        while not (port.exists() and port.read_text().count("\n")):
            assert process.poll() is None, "chromium has ended"
            assert time.monotonic() < deadline, "chromium does not start"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port.read_text().split()[0]}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """The URL of the DevTools of a browser."""
    with browser(tmp_path_factory.mktemp("chromium")) as url:
        yield url


FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig><dir>/usr/share/fonts</dir>
<selectfont><rejectfont><pattern><patelt name="lang"><string>zh-cn</string></patelt></pattern></rejectfont>
<rejectfont><glob>*CJK*</glob></rejectfont><rejectfont><glob>*wqy*</glob></rejectfont></selectfont>
<cachedir>{cache}</cachedir></fontconfig>"""


@pytest.fixture
def chromium_without_chinese(tmp_path):
    """The URL of the DevTools of a browser without a Chinese font."""
    (tmp_path / "fonts.conf").write_text(FONTS.format(cache=tmp_path / "cache"))
    with browser(tmp_path / "profile", FONTCONFIG_FILE=str(tmp_path / "fonts.conf")) as url:
        yield url


def new_tab(chromium: str) -> str:
    """Open an empty page and return the URL of its DevTools websocket."""
    request = urllib.request.Request(f"{chromium}/json/new?about:blank", method="PUT")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["webSocketDebuggerUrl"]


@contextlib.asynccontextmanager
async def tab_in(chromium: str):
    """Open a separate page in a browser, as large as the panel."""
    async with connect(await asyncio.to_thread(new_tab, chromium), max_size=None) as websocket:
        tab = Tab(websocket)
        for domain in ("Page", "Runtime", "Network", "Log"):
            await tab.send(f"{domain}.enable")
        await tab.resize(*PANEL)
        yield tab
        await tab.send("Page.close")


@pytest.fixture
async def tab(chromium):
    """A separate page, as large as the panel."""
    async with tab_in(chromium) as tab:
        yield tab


@pytest.fixture
async def bare_tab(chromium_without_chinese):
    """A separate page in a browser without a Chinese font."""
    async with tab_in(chromium_without_chinese) as tab:
        yield tab


@pytest.fixture
def free_port() -> int:
    """A free TCP port."""
    return network.free_port()


@pytest.fixture(scope="session")
def spoken_prompts(tmp_path_factory):
    """The folder of all prompts in both languages, made once."""
    folder = tmp_path_factory.mktemp("prompts")
    assert all(is_made for _, is_made in render_prompts(folder, ("zh", "en")))
    return folder


class Played(list):
    """A stand-in for the latch. It lists every command in order, as (line, pattern, repeats)."""

    def __call__(self, line: str, pattern: tuple[float, ...], repeats: int) -> None:
        self.append((line, tuple(pattern), repeats))

    @property
    def now(self) -> dict[str, tuple[float, ...]]:
        """The current pattern of every line."""
        return {line: pattern for line, pattern, _ in self}


@pytest.fixture
def played():
    """The commands that the latch received."""
    return Played()


ALL_LINES = {
    f"{line}_pin": pin
    for pin, line in enumerate(
        ("ready", "open", "refused", "fault", "red", "green", "blue", "buzzer", "vibration"), start=2
    )
}


@pytest.fixture
def stage_of(played, tmp_path):
    """Return a function that makes a stage with every line fitted, at noon, and with further settings."""

    def make(prompts=tmp_path, wall=None, monotonic=time.monotonic, may_locate=lambda: False, **settings) -> Stage:
        noon = datetime(2026, 6, 1, 4, tzinfo=UTC)
        return Stage(
            CueSettings(**{**ALL_LINES, **settings}), prompts, ZoneInfo("Asia/Shanghai"), played,
            wall or (lambda: noon), monotonic=monotonic, may_locate=may_locate,
        )  # fmt: skip

    return make


@pytest.fixture
def running():
    """Return a context manager that runs a part while its `with` block lasts."""

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
    """Install a stand-in for `aplay` that stores its input. Returns a function that returns the samples per process.

    The lead-in is removed; `played.raw()` has it. `played.asked()` returns the arguments of each process.
    """
    program = tmp_path / "aplay"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked.$$\nexec cat > {tmp_path}/played.$$\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    lead = np.frombuffer(pcm(lead_in()), "<i2") / 32767

    def played() -> list[np.ndarray]:
        return [each[lead.size :] if np.array_equal(each[: lead.size], lead) else each for each in raw()]

    def raw() -> list[np.ndarray]:
        files = sorted(tmp_path.glob("played.*"), key=lambda p: p.stat().st_ctime_ns)
        return [np.frombuffer(p.read_bytes()[: p.stat().st_size // 2 * 2], "<i2") / 32767 for p in files]

    played.raw = raw
    played.asked = lambda: [p.read_text() for p in tmp_path.glob("asked.*")]
    return played

"""A real Chromium reads the kiosk's policies from Debian's folder. All of them are in force and hold."""

import asyncio
import contextlib
import functools
import http.server
import itertools
import json
import os
import shutil
import signal
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

import gated.cues
from gated.provision.gate_units import POLICIES, unit_files

ENTER = """
mount -t tmpfs none /etc/chromium && mkdir -p "$(dirname "$2")" || exit
[ ! -e "$1" ] || cp "$1" "$2"
shift 2
exec "$@"
"""
"""Mounts the policy file at its installed place, in a mount namespace that ends with the browser."""
OPTIONS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0"]
BLOCKED = "net::ERR_BLOCKED_BY_ADMINISTRATOR"
DEPRECATED = {"AutofillAddressEnabled", "AutofillCreditCardEnabled"}
"""Old policy names that older Chromium versions need. This version still obeys them."""
ROWS = """(() => {
    const rows = {};
    const walk = (node) => {
        if (node.shadowRoot) walk(node.shadowRoot);
        for (const child of node.children ?? []) {
            if (child.tagName === 'POLICY-ROW') {
                const words = (child.shadowRoot ?? child).textContent.trim().split(/\\s+/);
                if (!words.join(' ').includes('Not set')) rows[words[0]] = words.join(' ');
            }
            walk(child);
        }
    };
    walk(document.documentElement);
    return rows;
})()"""
WAIT_S = 120


def can_run():
    """Return True if Chromium is here and this process may make a mount namespace."""
    tools = all(map(shutil.which, ("chromium", "unshare")))
    return tools and subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


pytestmark = [pytest.mark.slow, pytest.mark.skipif(not can_run(), reason="needs Chromium, and root for a namespace")]


class Page(http.server.SimpleHTTPRequestHandler):
    """A server of the gate screen's files and of one download."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path != "/file.bin":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Disposition", "attachment; filename=file.bin")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"data")

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served():
    handler = functools.partial(Page, directory=str(Path(gated.cues.__file__).parent / "page"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.asked = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def screen():
    """Yield the server of the gate screen. `asked` holds the requested paths."""
    with served() as server:
        yield server


def installed(port, **changes):
    """Return the policies as installed for a screen at that port, with changes."""
    files = unit_files(Path("/"), None, is_pi=False, screen_port=port, releases=None)
    return {**json.loads(files[Path("/") / POLICIES]), **changes}


def readable(port):
    """Return the policies without those that block the test's view."""
    looked_at = [f"http://127.0.0.1:{port}", "chrome://policy"]
    return installed(port, DeveloperToolsAvailability=1, RemoteDebuggingAllowed=True, URLAllowlist=looked_at)


@contextlib.contextmanager
def kiosk(folder, policies, page):
    """Run a browser with these policies and yield its profile folder."""
    folder.mkdir()
    file = folder / "gated.json"
    if policies is not None:
        file.write_text(json.dumps(policies))
    words = ["sh", "-c", ENTER, "sh", str(file), f"/{POLICIES}"]
    browser = subprocess.Popen(
        ["unshare", "-m", *words, "chromium", *OPTIONS, f"--user-data-dir={folder / 'profile'}", page],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    try:
        yield folder / "profile"
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()


def until(seen):
    end = time.monotonic() + WAIT_S
    while not (found := seen()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


class Tab:
    """A browser tab that the test drives by the DevTools protocol."""

    def __init__(self, websocket):
        self._websocket, self._numbers, self.events = websocket, itertools.count(1), []

    async def send(self, method, **parameters):
        number = next(self._numbers)
        await self._websocket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (message := await self._next()).get("id") != number:
            self.events.append(message)
        return message["result"]

    async def event(self, is_it):
        while not (found := [each for each in self.events if is_it(each)]):
            self.events.append(await self._next())
        return found[0]

    async def _next(self):
        async with asyncio.timeout(WAIT_S):
            return json.loads(await self._websocket.recv())


@contextlib.asynccontextmanager
async def tab(profile):
    port = profile / "DevToolsActivePort"
    said = await asyncio.to_thread(until, lambda: port.exists() and port.read_text().count("\n") and port.read_text())

    def new():
        request = urllib.request.Request(f"http://127.0.0.1:{said.split()[0]}/json/new?about:blank", method="PUT")
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            return json.load(answer)["webSocketDebuggerUrl"]

    async with connect(await asyncio.to_thread(new), max_size=None) as websocket:
        made = Tab(websocket)
        await made.send("Page.enable")
        yield made


async def test_every_policy_is_in_force_and_none_is_wrong(tmp_path, screen):
    policies = readable(screen.server_port)
    with kiosk(tmp_path / "kiosk", policies, "about:blank") as profile:
        async with tab(profile) as page:
            await page.send("Page.navigate", url="chrome://policy")
            rows, end = {}, time.monotonic() + WAIT_S
            while not policies.keys() <= rows.keys() and time.monotonic() < end:
                await asyncio.sleep(0.2)
                found = await page.send("Runtime.evaluate", expression=ROWS, returnByValue=True)
                rows = found["result"].get("value", {})
    assert rows.keys() == policies.keys()
    right = {name for name, words in rows.items() if " Platform Machine Mandatory OK Value " in words}
    assert rows.keys() - right == DEPRECATED
    assert all(" Platform Machine Mandatory Deprecated Value " in rows[name] for name in DEPRECATED)


async def test_the_browser_shows_the_gate_screen_and_nothing_else(tmp_path, screen):
    gate = f"http://127.0.0.1:{screen.server_port}"
    with served() as other, kiosk(tmp_path / "kiosk", readable(screen.server_port), "about:blank") as profile:
        elsewhere = [
            "file:///etc/passwd", f"http://127.0.0.1:{other.server_port}/", f"http://localhost:{screen.server_port}/",
            "chrome://settings/", "chrome://version/", "chrome://downloads/", "chrome://extensions/", "chrome://flags/",
            "chrome://inspect/", "chrome-untrusted://terminal/",
            "devtools://devtools/bundled/inspector.html", "data:text/html,x", f"view-source:{gate}/",
        ]  # fmt: skip
        async with tab(profile) as page:
            assert "errorText" not in await page.send("Page.navigate", url=f"{gate}/")
            await asyncio.to_thread(until, lambda: "/page.js" in screen.asked)
        said = {}
        for url in elsewhere:
            async with tab(profile) as page:
                said[url] = (await page.send("Page.navigate", url=url)).get("errorText")
    assert said == dict.fromkeys(elsewhere, BLOCKED)
    assert other.asked == []


@pytest.mark.parametrize(("is_kiosk", "ends"), [(True, "canceled"), (False, "completed")])
async def test_nothing_is_downloaded_which_else_would_be(tmp_path, screen, is_kiosk, ends):
    policies = readable(screen.server_port) if is_kiosk else None
    with kiosk(tmp_path / "kiosk", policies, "about:blank") as profile:
        async with tab(profile) as page:
            target = {"behavior": "default", "eventsEnabled": True}
            await page.send("Browser.setDownloadBehavior", **target)
            await page.send("Page.navigate", url=f"http://127.0.0.1:{screen.server_port}/file.bin")
            done = await page.event(
                lambda each: (
                    each.get("method") == "Browser.downloadProgress"
                    and each["params"]["state"] in ("canceled", "completed")
                )
            )
    assert done["params"]["state"] == ends


def test_the_browser_cannot_be_inspected(tmp_path, screen):
    """The browser has the installed policies, and its caller asks for a debugging port."""
    with kiosk(tmp_path / "kiosk", installed(screen.server_port), f"http://127.0.0.1:{screen.server_port}/") as profile:
        until(lambda: "/page.js" in screen.asked)
        assert not (profile / "DevToolsActivePort").exists()


def test_the_file_names_the_port_of_the_screen():
    assert installed(9001)["URLAllowlist"] == ["http://127.0.0.1:9001"]

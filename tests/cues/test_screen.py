"""The gate screen in a real browser: readable from 3 m, without colour, prompt, and correct when the gate is gone."""

import asyncio
import io
import itertools
import json
import time
from importlib.resources import files

import numpy as np
import pytest
from msgspec import structs
from PIL import Image

from gated.cues.cue import Colour, Situation
from gated.cues.plan import PLAN
from gated.cues.screen import HEADERS, Screen, screen_page
from gated.cues.words import Fitted, cue_pictogram
from gated.runtime.tasks import optional

LANGUAGES = ("zh", "en")
LETTER_PX = 78
"""The least height of letters: 1/200 of 3 m is 15 mm. A 7-inch panel of 800 px is 154 mm wide: 5.2 px per mm."""
CONTRAST = 7.0


def showing(port, situation="idle"):
    """Make a screen that shows a situation."""
    screen = Screen(port, LANGUAGES)
    screen.show(Situation(situation))
    return screen


@pytest.fixture
async def screen(free_port, running):
    screen = Screen(free_port, LANGUAGES)
    screen.url = f"http://127.0.0.1:{free_port}/"
    async with running(screen):
        async with asyncio.timeout(20):
            while not await answers(free_port):
                await asyncio.sleep(0.02)
        yield screen


async def answers(port) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def ask(url, path="/", host=None, method="GET", more=""):
    """Send a plain request. Returns the status, the headers and the beginning of the body."""
    port = int(url.split(":")[2].strip("/"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{method} {path} HTTP/1.1\r\nHost: {host or f'127.0.0.1:{port}'}\r\nConnection: close\r\n{more}\r\n"
    writer.write(head.encode())
    async with asyncio.timeout(20):
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        body = await reader.read(65536)
    writer.close()
    headers = dict(line.lower().split(": ", 1) for line in answer[1:] if ": " in line)
    return int(answer[0].split()[1]), headers, body


@pytest.fixture
async def panel(tab, screen):
    """The page on the panel. Its `show` waits until the situation is visible."""
    await tab.go(screen.url)
    await tab.until("document.querySelectorAll('#cue .words p').length > 0")

    async def show(situation, first=None):
        screen.show(Situation(situation), first)
        wanted = json.dumps([situation, first or ""], separators=(",", ":"))
        await tab.until(
            f"JSON.stringify([document.body.dataset.situation, document.body.dataset.first]) === '{wanted}'"
        )

    tab.show = show
    return tab


LOOKS = [*((s, None) for s in Situation), *((s, "light") for s in (Situation.OPEN, Situation.REFUSED, Situation.FIRE))]


def luminance(colour):
    """Return the relative luminance of an rgb() colour (WCAG 2.2)."""
    parts = [int(float(part)) / 255 for part in colour.strip("rgba()").split(",")[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_measure_of_contrast_is_that_of_wcag():
    assert contrast("rgb(255, 255, 255)", "rgb(0, 0, 0)") == pytest.approx(21)
    assert contrast("rgb(119, 119, 119)", "rgb(255, 255, 255)") == pytest.approx(4.48, abs=0.01)


COLOURS = """(() => {
  const main = [...document.querySelectorAll("main")].find((m) => getComputedStyle(m).display !== "none");
  const of = (part) => getComputedStyle(main.querySelector(part));
  return [getComputedStyle(document.body).backgroundColor, of(".pictogram").fill, of(".words p").color,
    of(".sentences p").color];
})()"""

LETTERS = """(() => {
  const pen = document.createElement("canvas").getContext("2d");
  return [...document.querySelectorAll("#cue .words p")].map((p) => {
    const style = getComputedStyle(p);
    pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    const box = pen.measureText(p.textContent);
    const place = p.getBoundingClientRect();
    return [p.lang, box.actualBoundingBoxAscent + box.actualBoundingBoxDescent, place.left + box.width];
  });
})()"""

OVERFLOW = """[...document.querySelectorAll("main *")].filter((e) => e.getClientRects().length && e.tagName !== "use")
  .map((e) => e.getBoundingClientRect())
  .filter((r) => r.left < -0.5 || r.top < -0.5 || r.right > innerWidth + 0.5 || r.bottom > innerHeight + 0.5).length"""


async def test_pictogram_and_words_have_a_contrast_of_seven_to_one(panel):
    least = 21.0
    for situation, first in LOOKS:
        await panel.show(situation, first)
        ground, *inks = await panel.evaluate(COLOURS)
        least = min(least, *(contrast(ground, ink) for ink in inks))
    print(f"least contrast {least:.1f}:1 of {len(LOOKS)} looks")
    assert least >= CONTRAST


async def test_a_pulsing_pictogram_has_a_contrast_of_seven_to_one_at_its_faintest(panel):
    style = files("gated.cues").joinpath("page", "style.css").read_text()
    opacity = float(style.split("@keyframes pulse { 50% { opacity: ")[1].split(";")[0])
    for situation in ("refused", "alarm", "fire"):
        await panel.show(situation)
        ground, ink, *_ = await panel.evaluate(COLOURS)
        faint = [opacity * float(part) for part in ink.strip("rgb()").split(",")]
        assert contrast(ground, f"rgb({', '.join(map(str, faint))})") >= CONTRAST


async def test_letters_are_high_enough_for_three_metres_on_a_seven_inch_panel(panel):
    """Without a telephone number or notes. With them, words may shrink to 80 px."""
    heights = []
    for situation in Situation:
        await panel.show(situation)
        for language, height, right in await panel.evaluate(LETTERS):
            heights.append((height, situation, language))
            assert right <= 800, f"{situation} in {language} is cut off"
    print(f"lowest word {min(heights)[0]:.0f} px: {min(heights)[1]} in {min(heights)[2]}")
    assert min(heights)[0] >= LETTER_PX


async def test_nothing_is_cut_off(panel):
    for situation, first in LOOKS:
        await panel.show(situation, first)
        if situation is not Situation.LOOKING:  # its ring turns, and the corners of its box with it
            assert await panel.evaluate(OVERFLOW) == 0, situation


@pytest.mark.parametrize("fitted", [Fitted(), Fitted(card=False), Fitted(False, False, False)], ids=str)
async def test_without_colour_all_pictograms_are_different(panel, screen, monkeypatch, fitted):
    monkeypatch.setattr(screen, "_fitted", fitted)
    await panel.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    await panel.send("Emulation.setEmulatedVisionDeficiency", type="achromatopsia")
    shapes = {}
    for situation in Situation:
        await panel.show(situation)
        box = await panel.evaluate(
            "(() => { const r = document.querySelector('#cue .pictogram').getBoundingClientRect();"
            " return [r.left, r.top, r.right, r.bottom]; })()"
        )
        picture = Image.open(io.BytesIO(await panel.screenshot())).convert("L").crop(box)
        shapes[situation] = np.asarray(picture.resize((200, 200))) > 100
    for one, other in itertools.combinations(Situation, 2):
        a, b = shapes[one], shapes[other]
        differs = np.count_nonzero(a ^ b) / np.count_nonzero(a | b)
        assert differs > 0.2, f"{one} and {other} look alike: {differs:.2f}"


async def test_a_screenshot_shows_the_situation(panel):
    pictures = set()
    for situation in Situation:
        await panel.show(situation)
        assert await panel.evaluate("document.querySelector('#cue use').getAttribute('href')") == (
            f"#{PLAN[situation].pictogram}"
        )
        assert await panel.evaluate("document.querySelector('#cue .words').innerText.split(/\\n+/)") == list(
            PLAN[situation].words.values()
        )
        pictures.add(await panel.screenshot())
    assert len(pictures) == len(Situation)


def test_the_page_draws_exactly_the_pictograms_of_the_plan():
    page = files("gated.cues").joinpath("page", "index.html").read_text()
    drawn = {part.split('"')[0] for part in page.split('<symbol id="')[1:]}
    gates = [Fitted(*has, True, number) for has in itertools.product((True, False), repeat=3) for number in ("", "110")]
    assert drawn == {cue_pictogram(cue, fitted) for cue in PLAN.values() for fitted in gates}


def test_every_colour_of_the_plan_has_a_style():
    style = files("gated.cues").joinpath("page", "style.css").read_text()
    assert all(f'data-colour="{colour}"' in style for colour in Colour)


def test_the_page_contains_the_out_of_order_text():
    gone = files("gated.cues").joinpath("page", "index.html").read_text().split('<main id="gone"')[1]
    cue = PLAN[Situation.OUT_OF_ORDER]
    for text in (*cue.words.values(), *cue.sentences.values(), f"#{cue.pictogram}"):
        assert text in gone


async def test_a_change_reaches_the_page_within_a_tenth_of_a_second(panel, screen):
    await panel.evaluate("""
        window.changes = [];
        new MutationObserver(() => changes.push([document.body.dataset.situation, Date.now()]))
          .observe(document.body, {attributes: true, attributeFilter: ["data-situation"]});
    """)
    sent = []
    for situation in ("looking", "open", "idle", "refused", "calling") * 4:
        sent.append((situation, time.time() * 1000))
        screen.show(Situation(situation))
        await panel.until(f"changes.length === {len(sent)}")
    changes = await panel.evaluate("changes")
    assert [s for s, _ in changes] == [s for s, _ in sent]
    late = sorted(seen_at - sent_at for (_, sent_at), (_, seen_at) in zip(sent, changes, strict=True))
    print(f"sent to shown: median {late[len(late) // 2]:.0f} ms, worst {late[-1]:.0f} ms of {len(late)}")
    assert late[0] < 100, "even on a busy machine the fastest of twenty is in time"


async def test_without_the_gate_the_page_shows_out_of_order_and_recovers(tab, free_port, running):
    screen = showing(free_port, "open")
    async with running(screen):
        async with asyncio.timeout(20):
            while not await answers(free_port):
                await asyncio.sleep(0.02)
        await tab.go(f"http://127.0.0.1:{free_port}/")
        await tab.until("document.body.dataset.situation === 'open'")
        assert not await tab.evaluate("document.body.classList.contains('is-gone')")
    await tab.until("document.body.classList.contains('is-gone')")
    assert await tab.evaluate("getComputedStyle(document.querySelector('#cue')).display") == "none"
    assert await tab.evaluate("document.querySelector('#gone').innerText.includes('停用')")
    ground, *inks = await tab.evaluate(COLOURS)
    assert min(contrast(ground, ink) for ink in inks) >= CONTRAST
    async with running(showing(free_port, "refused")):
        await tab.until("!document.body.classList.contains('is-gone')")
        await tab.until("document.body.dataset.situation === 'refused'")


async def test_a_short_silence_does_not_show_out_of_order(panel):
    await asyncio.sleep(3.5)
    assert not await panel.evaluate("document.body.classList.contains('is-gone')")


async def test_texts_are_never_parsed_as_html(panel, screen, monkeypatch):
    evil = "<img src=x onerror=alert(1)>"
    cue = structs.replace(PLAN[Situation.OPEN], words={"zh": evil, "en": evil}, sentences={"zh": evil, "en": evil})
    monkeypatch.setattr("gated.cues.screen.PLAN", {Situation.OPEN: cue})
    screen.show(Situation.OPEN)
    await panel.until("document.querySelector('#cue .words').textContent.includes('onerror')")
    assert await panel.evaluate("document.querySelectorAll('#cue img').length") == 0


async def test_the_page_loads_only_from_the_gate_without_browser_errors(panel):
    for situation in Situation:
        await panel.show(situation)
    asked = [e["params"]["request"]["url"] for e in panel.seen if e["method"] == "Network.requestWillBeSent"]
    assert asked
    assert all(url.startswith("http://127.0.0.1:") for url in asked)
    paths = {url.split("/", 3)[3] for url in asked}
    assert paths <= {"", "style.css", "page.js", "updates", "favicon.ico"}
    complaints = [e for e in panel.seen if e["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")]
    assert [c for c in complaints if "favicon" not in json.dumps(c)] == []


async def test_the_browser_enforces_the_content_security_policy(panel):
    loaded = await panel.evaluate("""new Promise((done) => {
        const script = document.createElement("script");
        script.textContent = "window.isInjected = true";
        document.body.append(script);
        const picture = new Image();
        picture.onload = () => done("a picture");
        picture.onerror = () => done(window.isInjected ? "a script" : "nothing");
        picture.src = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=";
    })""")
    assert loaded == "nothing"


@pytest.mark.parametrize("path", ["/", "/style.css", "/page.js"])
async def test_every_file_has_the_security_headers(screen, path):
    status, headers, body = await ask(screen.url, path)
    assert status == 200
    assert body
    assert {name: headers.get(name) for name in HEADERS} == {name: value.lower() for name, value in HEADERS.items()}
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers


@pytest.mark.parametrize("path", ["/made.json", "/../plan.py", "/%2e%2e/plan.py", "/page/index.html", "/index.html"])
async def test_nothing_else_is_served(screen, path):
    status, headers, _ = await ask(screen.url, path)
    assert status == 404
    assert "content-security-policy" in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_only_reading_is_allowed(screen, method):
    status, headers, _ = await ask(screen.url, method=method)
    assert status == 405
    assert "content-security-policy" in headers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "gate.local:80", "", "[::1]"])
@pytest.mark.parametrize("path", ["/", "/updates"])
async def test_a_foreign_host_name_is_refused(screen, host, path):
    status, _, body = await ask(screen.url, path, host=host or " ")
    assert status == 400
    assert b"situation" not in body


async def test_no_other_page_may_read_the_stream(screen):
    port = int(screen.url.split(":")[2].strip("/"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /updates HTTP/1.1\r\nHost: localhost:{port}\r\nOrigin: http://evil.example\r\n\r\n".encode())
    async with asyncio.timeout(20):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    writer.close()
    assert "access-control-allow-origin" not in head
    assert "cross-origin-resource-policy: same-origin" in head


async def test_the_stream_begins_with_the_current_page_and_repeats_it(screen):
    port = int(screen.url.split(":")[2].strip("/"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /updates HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    received = []
    async with asyncio.timeout(30):
        while len(received) < 3:
            line = await reader.readline()
            if line.startswith(b"data: "):
                received.append(json.loads(line[6:]))
                if len(received) == 1:
                    screen.show(Situation.OPEN, "light")
    writer.close()
    assert [h["situation"] for h in received] == ["idle", "open", "open"]
    assert received[1] == {
        "situation": "open", "pictogram": "tick", "colour": "white-blue", "first": "light",
        "words": [["zh", "开"], ["en", "OPEN"]], "sentences": [["zh", "门开了"], ["en", "The gate is open."]],
        "notes": [], "languages": ["zh", "en"], "phone": "", "left_s": None, "release_s": None,
        "keys": None,
    }  # fmt: skip


async def test_a_closed_stream_is_removed(screen):
    port = int(screen.url.split(":")[2].strip("/"))
    for _ in range(40):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /updates HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        async with asyncio.timeout(20):
            assert b"200" in await reader.readline()
        writer.close()
        await asyncio.sleep(0.02)
    async with asyncio.timeout(20):
        while screen._watchers:
            screen.show(Situation.IDLE)
            await asyncio.sleep(0.05)


async def test_a_taken_port_is_a_loss_until_it_is_free(free_port):
    """A lost screen does not end the gate."""
    taken, losses = await asyncio.start_server(lambda *_: None, "127.0.0.1", free_port), []
    screen = Screen(free_port, LANGUAGES)
    task = asyncio.create_task(optional("screen", screen.run, lambda *loss: losses.append(loss), first_s=0.05))
    async with asyncio.timeout(20):
        while not losses:
            await asyncio.sleep(0.02)
        taken.close()
        await taken.wait_closed()
        while not await answers(free_port):
            await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait([task])
    assert losses[-1] == ("screen", None)
    assert {name for name, _ in losses} == {"screen"}
    assert "choose another cues.screen_port" in losses[0][1]


async def test_the_server_ends_while_a_page_is_open(free_port, tab, running):
    async with running(Screen(free_port, LANGUAGES)) as task:
        async with asyncio.timeout(20):
            while not await answers(free_port):
                await asyncio.sleep(0.02)
        await tab.go(f"http://127.0.0.1:{free_port}/")
        await tab.until("document.body.dataset.situation === 'idle'")
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=10)
        assert done
    assert not await answers(free_port)


def test_a_site_with_one_language_shows_it_alone():
    assert screen_page(Situation.OPEN, ("en",)).words == [("en", "OPEN")]
    assert screen_page(Situation.OPEN, ("zh",)).languages == ["zh"]
    assert screen_page(Situation.OPEN, ("zh",)).words == [("zh", "开"), ("en", "OPEN")], "for a browser without a font"
    assert screen_page(Situation.OPEN, ("en", "zh")).words == [("en", "OPEN"), ("zh", "开")]

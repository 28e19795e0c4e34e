"""Every situation on every size of panel, measured in a real browser: complete, large enough, and in place."""

import asyncio
import contextlib
import io
from itertools import product

import msgspec
import numpy as np
import pytest
from PIL import Image

from gated import events
from gated.cues.cue import Situation
from gated.cues.fingerprint import ScreenNotes
from gated.cues.plan import NOTES
from gated.cues.screen import MOST_NOTES, Screen, screen_page
from gated.cues.words import Fitted

PANELS = [(480, 800), (800, 480), (1280, 800), (1024, 600)]
LANGUAGES = [("zh",), ("en",), ("zh", "en")]
NUMBER = "+86 0371-6555 1234"
EVERYTHING, NOTHING = Fitted(phone=NUMBER), Fitted(False, False, False, False, NUMBER)
WIDEST = sorted(NOTES, key=lambda part: -len(NOTES[part]["en"]))[: MOST_NOTES + 1]
"""The longest notes, which need the most lines."""
LOOKS = [
    *product(LANGUAGES, [EVERYTHING], [()]),
    (("zh", "en"), EVERYTHING, tuple(NOTES)),
    (("zh", "en"), EVERYTHING, tuple(WIDEST)),
    (("zh", "en"), EVERYTHING, tuple(WIDEST[:3])),
    (("zh", "en"), NOTHING, ()),
    (("zh", "en"), Fitted(False, True, True), ()),
]
"""Cases of (languages, fitted parts, lost parts)."""
COUNTED = (Situation.OPEN, Situation.OPENING)

MEASURE = """
(pages) => {
  const least = {".words p": 80, ".sentences p": 40, "#notes p": 24, ".phone span": 40, "#remaining span": 40};
  const seen = (element) => element.getClientRects().length > 0;
  const blocks = ["#notes", ".pictogram", ".words", ".sentences", ".phone", "#remaining"];
  const problems = [];
  for (const page of pages) {
    const report = (problem) => problems.push(`${page.situation} ${page.languages}: ${problem}`);
    [lastsMs, endsAt] = [1000 * (page.release_s ?? 0), performance.now() + 1000 * (page.left_s ?? 0)];
    show(page);
    refresh();
    fit();
    for (const [which, px] of Object.entries(least)) {
      for (const text of document.querySelectorAll(`#cue ${which}, body > ${which}`)) {
        if (!seen(text)) continue;
        const size = parseFloat(getComputedStyle(text).fontSize);
        if (size < px) report(`${which} is ${size} px`);
        const range = document.createRange();
        range.selectNodeContents(text);
        for (const line of range.getClientRects()) {
          if (line.left < -0.5 || line.right > innerWidth + 0.5) report(`${which} is cut off at the side`);
        }
      }
    }
    const rects = blocks.map((which) => document.querySelector(which.startsWith("#") ? which : `#cue ${which}`))
      .filter(seen).map((element) => [element, element.getBoundingClientRect()]).filter(([, r]) => r.height > 0);
    for (const [element, r] of rects) {
      const name = element.className.baseVal ?? (element.className || element.id);
      if (r.top < -0.5 || r.bottom > innerHeight + 0.5) report(`${name} leaves the panel: ${r.top}..${r.bottom}`);
      if (name === "pictogram" && r.height < 60) report(`the pictogram is ${r.height} px high`);
      for (const [other, o] of rects) {
        const isBeside = r.right <= o.left + 0.5 || o.right <= r.left + 0.5
          || r.bottom <= o.top + 0.5 || o.bottom <= r.top + 0.5;
        if (other !== element && !isBeside) report(`${name} lies over another block`);
      }
    }
    if (document.scrollingElement.scrollHeight > innerHeight || document.scrollingElement.scrollWidth > innerWidth) {
      report("the page scrolls");
    }
    const shown = page.languages.length;
    for (const which of [".words p", ".sentences p"]) {
      if (document.querySelectorAll(`#cue ${which}`).length !== shown) report(`${which}: not every language is there`);
    }
  }
  return problems;
}
"""


def pages(languages, fitted, lost=()):
    """Yield the page of every situation."""
    for situation in Situation:
        beside = ScreenNotes(100, 100) if lost else ScreenNotes()
        page = screen_page(situation, languages, None, lost, fitted, beside=beside)
        if situation in COUNTED:
            page = msgspec.structs.replace(page, release_s=8.0, left_s=5.5)
        yield page


async def serves(port):
    """Wait until the port accepts connections."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(OSError):
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
                return
            await asyncio.sleep(0.02)


@pytest.fixture
async def page(tab, free_port, running):
    """The real page, whose content the test sets."""
    async with running(Screen(free_port, ("zh", "en"))):
        await serves(free_port)
        await tab.go(f"http://127.0.0.1:{free_port}/")
        await tab.until("document.querySelectorAll('#cue .words p').length > 0")
    await tab.evaluate("receivedAt = Infinity")  # the server is gone; this keeps the page from showing it
    return tab


async def measured(tab, size, shown) -> list[str]:
    await tab.resize(*size)
    return await tab.evaluate(f"({MEASURE})({msgspec.json.encode(list(shown)).decode()})")


@pytest.mark.parametrize("size", PANELS, ids=str)
async def test_every_situation_is_complete_large_and_in_place(page, size):
    problems = []
    for languages, fitted, lost in LOOKS:
        found = await measured(page, size, pages(languages, fitted, lost))
        problems += [f"{problem} ({fitted}, {len(lost)} notes)" for problem in found]
    assert problems == []


async def test_the_measure_finds_a_page_that_overflows(page):
    long = msgspec.structs.replace(screen_page(Situation.OPEN, ("en",)), sentences=[("en", "much too long " * 40)])
    wide = msgspec.structs.replace(screen_page(Situation.OPEN, ("en",)), words=[("en", "UNBREAKABLEWORDS")])
    assert any(
        "leaves the panel" in problem or "over" in problem for problem in await measured(page, (800, 480), [long])
    )
    assert any("at the side" in problem for problem in await measured(page, (480, 800), [wide]))


@pytest.mark.parametrize("size", PANELS[:2], ids=str)
async def test_no_letter_touches_the_panel_edge_or_is_cut_by_its_box(page, size):
    """A box that cuts a descender of its last line has ink in its last row of pixels."""
    for shown in pages(("zh", "en"), EVERYTHING):
        await measured(page, size, [shown])
        box = await page.evaluate(
            "(() => { const r = document.querySelector('#cue').getBoundingClientRect(); return [r.top, r.bottom]; })()"
        )
        picture = np.asarray(Image.open(io.BytesIO(await page.screenshot())).convert("L"))
        assert not picture[int(box[1]) - 1].any(), f"{shown.situation}: cut at the bottom"
        assert not picture[0].any() | picture[-1].any() | picture[:, 0].any() | picture[:, -1].any(), shown.situation


async def test_the_remaining_time_is_a_shrinking_bar_and_seconds(tab, free_port, running):
    screen = Screen(free_port, ("zh", "en"))
    screen.show(Situation.OPEN, release=(6.0, 8.0))
    bar_and_text = "['i', 'span'].map((part) => document.querySelector(`#remaining ${part}`))"
    bar_and_text = f"(([bar, text]) => [bar.getBoundingClientRect().width, text.innerText])({bar_and_text})"
    async with running(screen):
        await serves(free_port)
        await tab.go(f"http://127.0.0.1:{free_port}/")
        await tab.until("document.body.dataset.situation === 'open'")
        await tab.evaluate("window.words = document.querySelector('#cue .words p')")
        await tab.until("!document.querySelector('#remaining').hidden")
        wide, text = await tab.evaluate(bar_and_text)
        assert text.strip() in ("6 s", "5 s", "4 s")
        await tab.until(f"{bar_and_text}[0] < {wide} - 100")
        later, text = await tab.evaluate(bar_and_text)
        assert int(text.split()[0]) < 6
        assert later < wide
        assert await tab.evaluate("window.words.isConnected"), "a screen reader reads them once"
        screen.show(Situation.IDLE)
        await tab.until("document.querySelector('#remaining').hidden")


async def test_the_stage_sends_the_remaining_release_time_to_the_page(stage_of, free_port, monkeypatch):
    now = [100.0]
    stage = stage_of(screen_port=free_port, monotonic=lambda: now[0])
    calls = []
    monkeypatch.setattr(stage._screen, "show", lambda *given, **_: calls.append((given[0], given[3])))
    stage.handle_event(events.DoorReleased("grant", 8.0, "v"))
    assert calls[-1] == (Situation.OPEN, (8.0, 8.0))
    now[0] = 103.0
    stage.handle_event(events.Degraded(["network"]))
    assert calls[-1] == (Situation.OPEN, (5.0, 8.0))
    stage.handle_event(events.DoorSecured("closed"))
    assert calls[-1] == (Situation.IDLE, None)


async def test_the_out_of_order_page_shows_the_telephone_number_and_is_complete(tab, free_port, running):
    screen = Screen(free_port, ("zh", "en"), EVERYTHING)
    screen.show(Situation.UNANSWERED)
    async with running(screen):
        await serves(free_port)
        await tab.go(f"http://127.0.0.1:{free_port}/")
        await tab.until("document.querySelector('#gone .phone span').textContent !== ''")
    for size in PANELS:
        await tab.resize(*size)
        await tab.until("document.body.classList.contains('is-gone')")
        await tab.evaluate("fit()")
        text, ends = await tab.evaluate(
            "[document.querySelector('#gone').innerText, [...document.querySelectorAll('#gone > *')]"
            ".map((part) => part.getBoundingClientRect()).map((r) => [r.right, r.bottom])]"
        )
        assert NUMBER in text
        assert all(right <= size[0] and bottom <= size[1] for right, bottom in ends)


@pytest.mark.parametrize("languages", [("zh", "en"), ("zh",)])
async def test_without_chinese_letters_the_page_is_english_and_the_log_names_the_package(
    bare_tab, free_port, running, caplog, languages
):
    screen = Screen(free_port, languages)
    screen.show(Situation.FAULT)
    async with running(screen):
        await serves(free_port)
        await bare_tab.go(f"http://127.0.0.1:{free_port}/")
        await bare_tab.until("document.querySelectorAll('#cue .words p').length > 0")
        shown = await bare_tab.evaluate("document.querySelector('#cue').innerText")
        assert "FAULT" in shown
        assert not any("一" <= character <= "鿿" for character in shown)
        gone = "[...document.querySelectorAll('#gone p[lang]')].filter((p) => !p.hidden).map((p) => p.lang)"
        assert set(await bare_tab.evaluate(gone)) == {"en"}
    (record,) = [r for r in caplog.records if "letters" in r.message]
    assert "fonts-noto-cjk" in record.message


async def test_with_chinese_letters_the_page_detects_them(page):
    assert await page.evaluate("hasLetters")

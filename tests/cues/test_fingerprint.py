"""A fingerprint on the gate screen: read by two people at two gates, asked for, and in nobody's way."""

import asyncio
import io

import msgspec
import numpy as np
import pytest
from PIL import Image

from gated.cues.cue import Situation
from gated.cues.fingerprint import (
    REQUEST_NAME,
    RequestedFingerprint,
    ScreenNotes,
    requested_fingerprint,
    show_fingerprint,
    waiting_note,
)
from gated.cues.screen import Screen, screen_page
from gated.runtime.local_request import wishing
from tests.cues.test_panels import PANELS, serves
from tests.cues.test_screen import contrast

PRINT = "1f3a 88c0 b6d8 0e4f 9a27 c5b1 d3e6 7042"
OWN, OTHER = RequestedFingerprint("gate-2", PRINT, is_own=True), RequestedFingerprint("gate-3", PRINT, is_own=False)
BOTH = ("zh", "en")


def page(situation=Situation.IDLE, languages=BOTH, **beside):
    return screen_page(situation, languages, beside=ScreenNotes(**beside))


def test_only_an_idle_gate_shows_a_fingerprint():
    for situation in Situation:
        assert (page(situation, compared=OWN).keys is not None) == (situation is Situation.IDLE)


def test_a_visitor_of_an_idle_gate_with_a_fingerprint_still_reads_what_to_do():
    plain, shown = page(), page(compared=OWN)
    assert msgspec.structs.replace(shown, keys=None) == plain


def test_the_screen_names_gate_and_command_of_a_fingerprint_in_both_languages():
    own, theirs = page(compared=OWN).keys, page(compared=OTHER).keys
    assert (own.gate, theirs.gate) == ("gate-2", "gate-3")
    assert [language for language, _ in own.labels] == ["zh", "en"]
    assert "this gate" in own.labels[1][1]
    assert "由社区提供" in theirs.labels[0][1]
    assert "from the office" in theirs.labels[1][1]


def test_a_long_name_keeps_its_beginning_and_its_end():
    shown = page(compared=RequestedFingerprint("the-gate-beside-the-shed-no-12", PRINT, is_own=False)).keys.gate
    assert (shown, len(shown)) == ("the-gate-besid…the-shed-no-12"[:14] + "…" + "he-shed-no-12"[-13:], 28)


def test_the_digit_groups_equal_those_of_the_command_line():
    assert " ".join(page(compared=OTHER).keys.groups) == PRINT


def test_no_character_of_a_gates_name_is_parsed_as_markup():
    evil = RequestedFingerprint("a\u202eb\nc", PRINT, is_own=False)
    assert page(compared=evil).keys.gate == r"a\u202eb\nc"


@pytest.mark.parametrize(
    ("gates", "consents", "text"),
    [
        (0, 0, None),
        (1, 0, "to check: keys 1"),
        (0, 3, "to check: consents 3"),
        (2, 3, "to check: keys 2, consents 3"),
        (100, 3600, "to check: keys 99+, consents 99+"),
    ],
)
def test_the_number_of_waiting_consents_is_a_small_note_at_every_cue(gates, consents, text):
    note = waiting_note(ScreenNotes(gates, consents))
    assert (None if note is None else note["en"]) == text
    for situation in (Situation.IDLE, Situation.OPEN, Situation.LOCKDOWN):
        shown = page(situation, gates=gates, consents=consents)
        assert shown.notes == ([] if text is None else [("zh", note["zh"]), ("en", text)])
        assert shown.words == page(situation).words


def test_a_loss_is_shown_before_waiting_consents():
    shown = screen_page(Situation.IDLE, ("en",), None, ["network"], beside=ScreenNotes(1, 0))
    assert shown.notes == [("en", "no network · to check: keys 1")]


def test_a_fingerprint_is_requested_while_the_command_runs(tmp_path):
    assert requested_fingerprint(tmp_path) is None
    with show_fingerprint(tmp_path, OTHER):
        assert requested_fingerprint(tmp_path) == OTHER
    assert requested_fingerprint(tmp_path) is None


@pytest.mark.parametrize(
    "odd",
    [
        b"", b"{}", b"\xff", b"[" * 4000,
        b'{"gate": "", "fingerprint": "%s", "is_own": true}' % PRINT.encode(),
        b'{"gate": "g", "fingerprint": "%s", "is_own": true}' % PRINT.upper().encode(),
        b'{"gate": "g", "fingerprint": "call 0371 to open", "is_own": true}',
        b'{"gate": "g", "fingerprint": "%s\\n", "is_own": true}' % PRINT.encode(),
    ],
)  # fmt: skip
def test_only_a_fingerprint_can_be_put_on_the_screen(tmp_path, odd):
    with wishing(tmp_path / REQUEST_NAME, odd):
        assert requested_fingerprint(tmp_path) is None


async def test_the_stage_shows_and_removes_fingerprint_and_waiting_note_at_once(
    stage_of, free_port, tmp_path, monkeypatch
):
    monkeypatch.setattr("gated.cues.stage.LONGEST_SLEEP_S", 0.01)
    stage = stage_of(screen_port=free_port)
    shown = []
    monkeypatch.setattr(stage._screen, "show", lambda *_, beside: shown.append(beside))
    stage.show_pending(1, 2)
    stage.show_pending(1, 2)
    assert shown == [ScreenNotes(1, 2)], "once"
    stage.show_pending(0, 0)
    assert shown[-1] == ScreenNotes()
    monkeypatch.setattr(stage, "_ask_compared", lambda: requested_fingerprint(tmp_path))
    task = asyncio.create_task(stage._compare(lambda: None))
    async with asyncio.timeout(20):
        with show_fingerprint(tmp_path, OWN):
            while shown[-1] != ScreenNotes(compared=OWN):
                await asyncio.sleep(0.01)
        while shown[-1] != ScreenNotes():
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture
async def shown(tab, free_port, running, tmp_path):
    """The page as it comes from the gate, with the fingerprint or without it."""
    screen = Screen(free_port, BOTH)
    async with running(screen):
        await serves(free_port)
        await tab.go(f"http://127.0.0.1:{free_port}/")
        await tab.until("document.querySelectorAll('#cue .words p').length > 0")
        tab.screen = screen
        yield tab


WHOLE = """(() => {
  const parts = [...document.querySelectorAll("#cue .keys span, #cue .keys p, #cue .sentences p, #notes p")];
  const out = parts.map((e) => e.getBoundingClientRect())
    .filter((r) => r.left < 0 || r.top < 0 || r.right > innerWidth || r.bottom > innerHeight);
  const [keys, below, picture] = [".keys", ".sentences", ".pictogram"]
    .map((part) => document.querySelector(`#cue ${part}`).getBoundingClientRect());
  const size = parseFloat(getComputedStyle(document.querySelector("#cue .groups")).fontSize);
  const isBeside = picture.right <= keys.left + 0.5 || picture.bottom <= keys.top + 0.5;
  const apart = keys.bottom <= below.top + 0.5 && isBeside;
  const fits = keys.top >= document.querySelector("#cue").getBoundingClientRect().top;
  return [out.length, apart, fits, size, picture.height];
})()"""


@pytest.mark.parametrize("size", PANELS, ids=str)
@pytest.mark.parametrize("name", ["gate-2", "the-gate-beside-the-bicycle-shed-of-the-north-yard-no-12"])
async def test_a_fingerprint_is_complete_and_large_on_every_panel(shown, size, name):
    await shown.resize(*size)
    compared = RequestedFingerprint(name, PRINT, is_own=False)
    shown.screen.show(Situation.IDLE, beside=ScreenNotes(2, 14, compared))
    await shown.until("document.querySelectorAll('#cue .groups span').length === 8")
    read = "[...document.querySelectorAll('#cue .groups span')].map((e) => e.textContent).join(' ')"
    assert await shown.evaluate(read) == PRINT, "read row by row, as on the command line"
    out, is_apart, fits, px, picture = await shown.evaluate(WHOLE)
    assert (out, is_apart, fits) == (0, True, True)
    assert px >= 40
    assert picture >= 60


async def test_a_fingerprint_has_a_contrast_of_seven_to_one(shown):
    shown.screen.show(Situation.IDLE, beside=ScreenNotes(1, 1, OWN))
    await shown.until("document.querySelectorAll('#cue .groups span').length === 8")
    of = "(part) => getComputedStyle(document.querySelector(part))"
    ground, *inks = await shown.evaluate(
        f"[({of})('body').backgroundColor, ...['#cue .groups span', '#cue .labels p', '#notes p']"
        f".map((part) => ({of})(part).color)]"
    )
    assert min(contrast(ground, ink) for ink in inks) >= 7


async def test_a_visitor_sees_the_cue_at_once_and_the_fingerprint_returns_afterwards(shown):
    for situation in (Situation.IDLE, Situation.LOOKING, Situation.OPEN, Situation.IDLE):
        shown.screen.show(situation, beside=ScreenNotes(0, 0, OWN))
        is_idle = "true" if situation is Situation.IDLE else "false"
        now = "[document.body.dataset.situation, !document.querySelector('#cue .keys').hidden].join()"
        await shown.until(f"{now} === '{situation},{is_idle}'")
        assert await shown.evaluate("document.querySelector('#cue .words').hidden") == (situation is Situation.IDLE)
    shown.screen.show(Situation.IDLE)
    await shown.until("document.querySelector('#cue .keys').hidden")
    assert np.asarray(Image.open(io.BytesIO(await shown.screenshot()))).any()

"""The notes for the maintainer of the gate about lost parts that keep nobody out."""

import pytest

from gated.cues.cue import Situation
from gated.cues.plan import NOTES, PLAN
from gated.cues.screen import screen_page
from gated.events import Degraded


@pytest.mark.parametrize("part", ["network", "server", "clock", "journal"])
def test_a_harmless_loss_has_a_note_in_both_languages(part):
    page = screen_page(Situation.IDLE, ("zh", "en"), None, [part])
    assert page.notes == [("zh", NOTES[part]["zh"]), ("en", NOTES[part]["en"])]


def test_several_notes_share_one_line_without_repetition():
    page = screen_page(Situation.OPEN, ("en",), None, ["clock", "credentials", "gallery", "network"])
    assert page.notes == [("en", "clock unsure · database trouble · no network")]


def test_the_most_urgent_notes_are_shown_and_the_others_counted():
    page = screen_page(Situation.OPEN, ("en",), None, [*reversed(NOTES)])
    assert page.notes == [("en", "list may be old · clock unsure · database trouble · no network · +4")]


def test_a_loss_with_its_own_cue_has_no_note():
    assert screen_page(Situation.FAULT, ("zh", "en"), None, ["vision", "latch"]).notes == []


def test_a_note_does_not_change_the_cue():
    plain, noted = (screen_page(Situation.OPEN, ("zh", "en"), None, lost) for lost in ([], ["network"]))
    assert (plain.words, plain.pictogram, plain.colour) == (noted.words, noted.pictogram, noted.colour)


def test_no_note_is_a_situation_word():
    words = {text for cue in PLAN.values() for text in cue.words.values()}
    assert not words & {text for note in NOTES.values() for text in note.values()}


async def test_the_stage_shows_a_note_at_once_and_removes_it(stage_of, free_port, monkeypatch):
    stage = stage_of(screen_port=free_port)
    shown = []
    monkeypatch.setattr(stage._screen, "show", lambda *what, **_: shown.append(what))
    stage.handle_event(Degraded(["network"]))
    assert shown[-1][2] == ("network",)
    assert stage.situation is Situation.IDLE
    stage.handle_event(Degraded([]))
    assert shown[-1][2] == ()

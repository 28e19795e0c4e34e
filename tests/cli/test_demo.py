"""Tests `gated demo`: the whole morning with real processes, and the board that shows it."""

import importlib.util
import io
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from gated.cli.demo import own_set, show_page
from gated.cli.demo_board import DemoBoard, claim, decision
from gated.simulator.desk import JournalFact, wait_for
from gated.simulator.director import Now, StepOutcome
from gated.simulator.morning import MorningStep

pytestmark = pytest.mark.long

PICTURES = Path(__file__).parents[1] / "pictures"
AT = datetime(2027, 1, 15, 8, 30, tzinfo=UTC)
BODY = {"threshold": 0.5, "latency_s": 0.02, "score": 0.83, "pad_score": 0.97}
GRANTED = JournalFact(AT, "access_granted", {**BODY, "subject": "a" * 16})
DENIED = JournalFact(AT, "access_denied", {**BODY, "reason": "attack", "score": None})


def demo(*arguments):
    command = [sys.executable, "-m", "gated", "demo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def load_maker():
    """Load the program that makes the pictures of the first page."""
    spec = importlib.util.spec_from_file_location("make_pictures", PICTURES / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_the_morning_goes_as_expected_and_is_recorded(tmp_path, request):
    if own_set() == "evaluation":
        request.getfixturevalue("shared")
    done = demo("--fast", "--record", str(tmp_path / "pictures"))
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All as expected" in done.stdout
    assert "NO" not in done.stdout.split()
    for words in ("open for Wang Yu", "vision came back", "refused", "The gate screen is http://127.0.0.1:"):
        assert words in done.stdout
    assert len(list((tmp_path / "pictures").glob("*.jpg"))) > 10
    made, kept = load_maker().decision(tmp_path / "pictures"), Image.open(PICTURES / "decision.jpg")
    assert (made.size, made.mode) == (kept.size, kept.mode)


def test_a_missing_model_set_is_named():
    done = demo("--set", "evaluatoin")
    assert done.returncode == 3
    assert "did you mean 'evaluation'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def browser(tmp_path, monkeypatch):
    """Make a machine whose only browser records its page. Returns the file with the record."""
    program = tmp_path / "bin" / "firefox"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >"{tmp_path}/shown"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/bin")
    monkeypatch.setattr("gated.cli.demo.BROWSERS", ("no-browser-of-that-name", "firefox"))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "shown"


def test_without_a_display_no_browser_is_started(browser):
    assert show_page("http://127.0.0.1:1/") is False


@pytest.mark.parametrize("display", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_with_a_display_and_a_browser_the_gate_screen_opens(browser, monkeypatch, display):
    monkeypatch.setenv(display, ":0")
    assert show_page("http://127.0.0.1:1/") is True
    for _ in wait_for(10.0):
        if browser.exists() and browser.read_text():
            break
    assert browser.read_text() == "http://127.0.0.1:1/\n"


def test_a_display_without_a_browser_is_no_error(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("gated.cli.demo.BROWSERS", ("no-browser-of-that-name",))
    assert show_page("http://127.0.0.1:1/") is False


@pytest.fixture
def board():
    """Return a board that prints into a pipe, with its output."""
    board = DemoBoard("gated demo", 3)
    board._console = Console(file=io.StringIO(), width=150, highlight=False)
    return board


def printed(board):
    return board._console.file.getvalue()


def test_in_a_pipe_each_event_is_printed_once_on_one_line(board):
    now = Now(title="Wang Yu comes home", vision="sees", network="up", facts=[(GRANTED, "Wang Yu")])
    with board:
        for _ in range(3):
            board.show(now)
        now.title, now.network = "a stranger tries", "CUT"
        now.facts.append((DENIED, ""))
        board.show(now)
    assert [line.split()[:3] for line in printed(board).splitlines()] == [
        ["gated", "demo"],
        ["network:", "up,", "0"],
        ["1/3", "Wang", "Yu"],
        ["16:30:00", "OPEN", "Wang"],
        ["network:", "CUT,", "0"],
        ["1/3", "a", "stranger"],
        ["16:30:00", "closed", "attack"],
    ]


def test_on_a_terminal_the_board_shows_everything(board):
    now = Now(
        title="a stranger tries", in_view="a stranger", result="closed: unknown", door="secured", vision="sees",
        network="CUT", waiting=7, people=6, facts=[(GRANTED, "Wang Yu")] * 9,
    )  # fmt: skip
    board._console.print(board._picture(now))
    text = printed(board)
    for words in ("a stranger tries", "closed: unknown", "SECURED", "network CUT", "events waiting 7", "people 6"):
        assert words in text
    assert text.count("OPEN    Wang Yu") == 6
    assert len(text.splitlines()) <= 24


def test_the_table_shows_expected_and_actual_results(board):
    home = MorningStep("home", let_in=("Wang Yu",))
    attack = MorningStep("a print", also="refused", is_attack=True)
    board.table(
        [StepOutcome(home, ("Wang Yu",), "", True), StepOutcome(home, (), "", True), StepOutcome(attack, (), "", False)]
    )
    rows = [line.split("  ") for line in printed(board).splitlines()]
    assert [row[-1].strip() or [c for c in row if c.strip()][-1].strip() for row in rows if "home" in row[0]] == [
        "yes",
        "NO",
    ]
    assert "not judged for this model set" in printed(board)


def test_expectations_and_decisions_are_shown_as_words():
    assert claim(("b", "a"), "events wait") == "open for a, b; events wait"
    assert claim((), "") == "nothing"
    assert decision(GRANTED, "Wang Yu").endswith(
        "OPEN    Wang Yu      score 0.83 of 0.50, PAD 0.97, 20 ms after the frame"
    )
    assert "closed  attack       score 0.00" in decision(DENIED, "")

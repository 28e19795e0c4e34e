"""The page that is handed over: everything that was found, and no key, code or person on it."""

from datetime import UTC, datetime

import pytest

from gated.config import parse
from gated.errors import StateError
from gated.health.board import Board
from gated.health.finding import amber, green, red
from gated.health.report import report, rows_of

NOW = datetime(2026, 12, 24, 15, 30, tzinfo=UTC)
FINDINGS = [green("latch", "serves"), amber("power", "unknown", "look <again>"), red("disk", "read-only", "change it")]

KEYS = ("ca", "cert", "key", "gate_keys", "office_keys")


@pytest.fixture
def page(tmp_path):
    settings = parse(
        {
            "site": {"id": "market-south"}, "gate": {"id": "gate-2"},
            "door": {"lock_pin": 5, "rex_pin": 23, "contact_pin": 22, "fire_pin": 24},
            "sync": {"url": "mqtts://office.lan"} | {name: f"/secret/{name}" for name in KEYS},
        },
        tmp_path,
    )  # fmt: skip
    return report(settings, Board("Raspberry Pi 5", "1000abcd", True), FINDINGS, NOW, [("relay: idle at boot", "kept")])


def test_it_says_what_it_is_what_was_found_and_what_was_tried(page):
    for words in ("gate-2", "market-south", "1000abcd", "2026-12-24 15:30", "strike on pin 5", "exit button 23",
                  "1 green, 1 amber, 1 red", "relay: idle at boot", "mqtts://office.lan", "Owner:"):  # fmt: skip
        assert words in page


def test_every_light_is_a_sign_and_a_step_as_well(page):
    for sign in ("✓", "!", "✗"):
        assert sign in page
    assert "change it" in page


def test_nothing_that_was_said_becomes_markup(page):
    assert "look &lt;again&gt;" in page
    assert "<again>" not in page


def test_no_path_of_a_key_is_on_it(page):
    assert "/secret" not in page


def test_what_hw_tests_wrote_is_read():
    row = b'{"promise": "relay: idle", "outcome": "kept", "at": "2026-12-24T10:00", "took_s": 1}'
    assert rows_of(b'{"board": {}, "results": [' + row + b"]}") == [("relay: idle", "kept, 2026-12-24")]


@pytest.mark.parametrize("data", [b"", b"[]", b'{"results": 1}'])
def test_something_else_is_said_to_be_none(data):
    with pytest.raises(StateError, match=r"no report\.json"):
        rows_of(data)

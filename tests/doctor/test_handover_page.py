"""The handover page shows every finding, and no key, code or person."""

import re
import subprocess
from datetime import UTC, datetime

import msgspec
import pytest

from gated.config import parse
from gated.doctor.board import Board
from gated.doctor.finding import amber, green, red
from gated.doctor.handover_page import TestedPromise as Promise
from gated.doctor.handover_page import changed, report
from gated.doctor.handover_page import tested_promises as promises_of
from gated.errors import StateError

BOARD = Board("Raspberry Pi 5", "1000abcd", True)
NOW = datetime(2026, 12, 24, 15, 30, tzinfo=UTC)
FINDINGS = [green("latch", "serves"), amber("power", "unknown", "look <again>"), red("disk", "read-only", "change it")]

TRIED = [
    Promise("relay: idle at boot", "kept", "2026-12-23T10:00"),
    Promise("camera: frames are fresh", "broken", "2026-12-24"),
]
KEYS = ("ca", "cert", "key", "gate_keys", "office_keys")


@pytest.fixture
def settings(tmp_path):
    return parse(
        {
            "site": {"id": "market-south"}, "gate": {"id": "gate-2"},
            "door": {"lock_pin": 5, "rex_pin": 23, "contact_pin": 22, "fire_pin": 24},
            "sync": {"url": "mqtts://office.lan"} | {name: f"/secret/{name}" for name in KEYS},
        },
        tmp_path,
    )  # fmt: skip


@pytest.fixture
def page(settings):
    return report(settings, BOARD, FINDINGS, NOW, TRIED)


def test_the_page_shows_gate_findings_and_trials(page):
    for words in ("gate-2", "market-south", "1000abcd", "2026-12-24 23:30:00 Asia/Shanghai", "strike on pin 5",
                  "exit button 23", "1 green, 1 amber, 1 red", "relay: idle at boot", "mqtts://office.lan",
                  "1 of 2 promises kept, 2026-12-23 to 2026-12-24", "Owner:"):  # fmt: skip
        assert words in page


def test_every_light_has_a_sign_and_a_next_step(page):
    for sign in ("✓", "!", "✗"):
        assert sign in page
    assert "change it" in page


def test_no_text_becomes_markup(page):
    assert "look &lt;again&gt;" in page
    assert "<again>" not in page


def test_the_page_shows_no_path_of_a_key(page):
    assert "/secret" not in page


def test_the_page_shows_no_broker_password(settings):
    sync = msgspec.structs.replace(settings.sync, url="mqtts://gate:hunter2@office.lan")
    page = report(msgspec.structs.replace(settings, sync=sync), BOARD, FINDINGS, NOW)
    assert "hunter2" not in page
    assert "office.lan" in page


def test_changed_settings_are_shown_and_defaults_are_not(settings):
    told = dict(changed(settings))
    assert told["[door]"] == "lock_pin 5, contact_pin 22, rex_pin 23, fire_pin 24"
    assert "[sync]" not in told  # [sync] holds keys, and the page names the server elsewhere
    assert "[camera]" not in told


def test_a_broken_promise_comes_first(page):
    assert 0 < page.index("✗ camera: frames are fresh") < page.index("✓ relay: idle at boot")


def test_the_page_of_a_healthy_gate_fits_on_one_a4_sheet(settings, tmp_path):
    """A real browser prints it: every promise of `hw_tests`, every part, and two amber findings."""
    findings = [green(f"part {i}", "does what it is for, 12.3 ms, as it was measured") for i in range(32)]
    findings += [
        amber("power", "normal now; since power-on the supply was under 4.63 V", "fit the Pi's own supply")
    ] * 2
    tried = [
        Promise(f"relay {i}: a latch that is killed secures the lock in time", "kept", "2026-12-24") for i in range(40)
    ]
    page, sheet = tmp_path / "page.html", tmp_path / "page.pdf"
    page.write_text(report(settings, BOARD, findings, NOW, tried))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer", f"--user-data-dir={tmp_path}/c"]
    subprocess.run(
        ["chromium", *options, f"--print-to-pdf={sheet}", page.as_uri()], check=True, capture_output=True, timeout=60
    )
    assert len(re.findall(rb"/Type\s*/Page\b", sheet.read_bytes())) == 1


def test_the_report_of_hw_tests_is_read():
    row = b'{"promise": "relay: idle", "outcome": "kept", "at": "2026-12-24T10:00", "took_s": 1}'
    assert promises_of(b'{"board": {}, "results": [' + row + b"]}") == (
        Promise("relay: idle", "kept", "2026-12-24T10:00"),
    )


@pytest.mark.parametrize("data", [b"", b"[]", b'{"results": 1}'])
def test_a_file_that_is_not_a_report_is_refused(data):
    with pytest.raises(StateError, match=r"no report\.json"):
        promises_of(data)

"""Tests the calls to systemctl and the reading of its answers. `tests/rehearsal` calls the real systemctl."""

import pytest

from gated.errors import UpdateError
from gated.update.services import Systemd


@pytest.fixture
def systemctl(tmp_path, monkeypatch):
    """Return a function that takes systemctl's output and returns a file with the list of its calls."""
    asked = tmp_path / "asked"

    def says(text, code=0):
        program = tmp_path / "systemctl"
        program.write_text(f"#!/bin/sh\necho \"$*\" >>{asked}\nprintf '{text}'\nexit {code}\n")
        program.chmod(0o755)
        return asked

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return says


def test_both_are_started_anew_without_waiting(systemctl):
    asked = systemctl("")
    Systemd().restart()
    assert asked.read_text().splitlines() == [
        "reset-failed gated-latch.service gated.service",
        "--no-block restart gated-latch.service",
        "--no-block restart gated.service",
    ]


def test_stopping_the_brain_leaves_the_latch(systemctl):
    asked = systemctl("")
    Systemd().stop_brain()
    assert asked.read_text() == "stop gated.service\n"


@pytest.mark.parametrize(
    ("said", "run"),
    [
        ("ActiveState=active\\nMainPID=41\\n", "41"),
        ("MainPID=41\\nActiveState=activating\\n", ""),
        ("ActiveState=failed\\nMainPID=0\\n", ""),
        ("", ""),
    ],
)
def test_a_brain_is_on_duty_while_its_unit_is_active(systemctl, said, run):
    systemctl(said)
    assert Systemd().run() == run


def test_a_systemctl_that_fails_says_why(systemctl):
    systemctl("no such unit", 5)
    with pytest.raises(UpdateError, match="systemctl stop"):
        Systemd().stop_brain()


def test_without_systemctl_the_error_names_the_machine_to_run_it_on(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UpdateError, match="on the gate, as root"):
        Systemd().run()

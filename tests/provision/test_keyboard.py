"""The gate screen blocks its keyboard's keys from kernel, systemd and logind."""

import re
from pathlib import Path

import pytest

from gated.errors import UpdateError
from gated.provision import keyboard


def test_the_keyboard_settings_take_effect_at_once(monkeypatch):
    called = []
    monkeypatch.setattr(keyboard, "systemctl", lambda *words: called.append(words[-1]))
    assert keyboard.apply_files().light == "green"
    assert called == ["systemd-sysctl.service", "systemd-logind.service"]


def test_a_refusal_of_systemd_is_reported_and_stops_nothing(monkeypatch):
    def fails(*words):
        raise UpdateError("refused")

    monkeypatch.setattr(keyboard, "systemctl", fails)
    found = keyboard.apply_files()
    assert (found.light, "refused" in found.result) == ("amber", True)


@pytest.mark.skipif(not Path("/lib/systemd/systemd-logind").exists(), reason="needs systemd")
def test_every_key_is_one_that_systemd_knows():
    """An unknown key name has no effect in systemd. Its own programs contain the names of all known keys."""
    names = re.findall(r"(?m)^(\w+)=", "".join(keyboard.FILES.values()))
    known = b"".join(path.read_bytes() for path in programs())
    assert names
    assert [name for name in names if name.encode() not in known] == []


def programs():
    folder = Path("/lib/systemd")
    return [folder / "systemd", folder / "systemd-logind", *folder.glob("libsystemd-*.so")]

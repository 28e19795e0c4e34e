"""Provisioning finds the missing Debian packages for screen and sound, and installs nothing else."""

import shutil
import subprocess

import pytest

from gated.errors import ProvisionError
from gated.provision import packages
from gated.provision.packages import Needs, install, missing


@pytest.fixture
def machine(monkeypatch):
    """Return a function that makes a machine with these programs and fonts. `asked` holds the commands."""
    asked = []

    def make(*programs, fonts="", codes=(), has_sessions=True):
        answers = list(codes)

        def run(*words):
            asked.append(words)
            if words[0] == "fc-list":
                return subprocess.CompletedProcess(words, 0, fonts, "")
            code = answers.pop(0) if answers else 0
            return subprocess.CompletedProcess(words, code, "", "E: no network" if code else "")

        monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name in programs else None)
        monkeypatch.setattr(packages, "_run", run)
        monkeypatch.setattr(packages, "_has_sessions", lambda: has_sessions)
        monkeypatch.setattr(packages, "has_lists", lambda: True)
        return asked

    return make


def test_a_screen_needs_a_compositor_a_browser_and_a_font_with_chinese(machine):
    machine()
    assert missing(Needs(screen=True, sound=False)) == ["cage", "chromium", "fonts-noto-cjk"]
    machine("cage", "chromium")
    assert missing(Needs(screen=True, sound=False)) == ["fonts-noto-cjk"]
    machine("cage", "chromium", fonts="WenQuanYi Micro Hei\n")
    assert missing(Needs(screen=True, sound=False)) == [], "any font that has it will do"
    machine("cage", "chromium", fonts="WenQuanYi Micro Hei\n", has_sessions=False)
    assert missing(Needs(screen=True, sound=False)) == ["libpam-systemd"]


def test_sound_needs_a_voice_and_a_player(machine):
    machine()
    assert missing(Needs(screen=False, sound=True)) == ["espeak-ng", "alsa-utils"]


def test_a_gate_without_either_needs_nothing(machine):
    machine()
    assert missing(Needs(screen=False, sound=False)) == []


def test_they_are_installed_without_what_is_only_recommended(machine):
    asked = machine()
    install(["cage"])
    assert asked == [("apt-get", "install", "-qq", "--no-install-recommends", "-y", "cage")]


def test_old_lists_are_fetched_anew_once(machine):
    asked = machine(codes=[100])
    install(["cage"])
    assert [words[1] for words in asked] == ["install", "update", "install"]


def test_without_a_network_it_says_what_to_do(machine):
    machine(codes=[100, 100])
    with pytest.raises(ProvisionError, match=r"cage \(E: no network\); connect the network.*bring their \.deb files"):
        install(["cage"])


def test_a_trial_installs_nothing(machine):
    asked = machine()
    install(["cage"], is_trial=True)
    assert asked == [("apt-get", "install", "-qq", "--no-install-recommends", "--simulate", "cage")]


def test_a_fresh_card_that_knows_no_packages_yet_is_no_fault(machine, monkeypatch, tmp_path):
    has_lists = packages.has_lists
    asked = machine(codes=[100])
    monkeypatch.setattr(packages, "has_lists", has_lists)
    monkeypatch.setattr(packages, "LISTS", tmp_path)
    install(["cage"], is_trial=True)
    assert asked == []
    (tmp_path / "mirror_dists_bookworm_main_binary-arm64_Packages.lz4").touch()
    with pytest.raises(ProvisionError, match="cannot be installed: cage"):
        install(["cage"], is_trial=True)


def test_nothing_is_asked_where_nothing_is_missing(machine):
    asked = machine()
    install([])
    assert asked == []

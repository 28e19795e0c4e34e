"""Fixtures: a root with releases, and a gate in a folder whose versions behave as told."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parent)]

from cuts import pack  # noqa: E402
from machine import OLD, Machine, make_shims  # noqa: E402

from gated.update import build, health, updater  # noqa: E402
from gated.update.release import Releases  # noqa: E402


@pytest.fixture
def releases(tmp_path):
    """Return a root whose old version is whole and current."""
    releases = Releases(tmp_path / "opt")
    make_whole(releases, OLD)
    releases.switch(OLD)
    return releases


def make_whole(releases, version):
    folder = releases.begin(version)
    program = folder / "venv" / "bin" / "gated"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    releases.finish(version)


@pytest.fixture(name="make_whole")
def _make_whole():
    return make_whole


@pytest.fixture
def bundle(tmp_path):
    pack(tmp_path / "bundle")
    return tmp_path / "bundle"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that takes a kind of new version and returns a gate that runs the old version."""
    for module, names in ((updater, ("time", "run")), (build, ("run", "_install")), (health, ("_latch_trouble",))):
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name))  # restored after the test
    make_shims(tmp_path / "shims")
    made = []

    def make(kind):
        machine = Machine(tmp_path / "gate", kind, tmp_path / "shims")
        machine.install()
        made.append(machine)
        return machine

    yield make
    for machine in made:
        machine.stop_brain()

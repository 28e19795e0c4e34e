"""Fixtures for provisioning: a machine in a folder, with a user that every Debian has."""

import encodings.idna  # noqa: F401 - read while we are root: "nobody" may not be able to read this Python
import subprocess
import sys

import pytest

from gated.provision import step_state as places
from gated.provision.installer_answers import InstallerAnswers
from gated.provision.step_state import Making
from gated.provision.steps import steps

SITE, GATE = "market-south", "gate-2"


@pytest.fixture(autouse=True)
def no_camera(monkeypatch):
    """Make sure that no test opens the Pi's camera. A stand-in for its library may remain from tests of another
    folder.
    """
    monkeypatch.setitem(sys.modules, "picamera2", None)


@pytest.fixture
def root(open_folder, tmp_path, monkeypatch):
    """Return the root of a machine, empty except for the kernel's files."""
    monkeypatch.setattr(places, "USER", "nobody")
    monkeypatch.setattr(places, "SOCKET", str(tmp_path / "latch.sock"))
    (open_folder / "proc").mkdir()
    (open_folder / "proc/meminfo").write_text("MemTotal: 4000000 kB\nMemAvailable: 3000000 kB\n")
    return open_folder


@pytest.fixture
def picture(tmp_path):
    """Return a picture for the camera to show."""
    from PIL import Image

    Image.new("RGB", (1280, 960), (90, 90, 90)).save(tmp_path / "frame.png")
    return tmp_path / "frame.png"


@pytest.fixture
def answers(picture):
    """Return a function that makes the answers of a gate on a desk with the models that come with gated."""

    def make(settings=None, **said):
        tables = {
            "door": {"pins": "mock", "rex_pin": 23, "contact_pin": 22},
            "camera": {"kind": "replay", "path": str(picture)},
            "models": {"dir": "models"},
        }
        for table, values in (settings or {}).items():
            tables[table] = {**tables.get(table, {}), **values}
        return InstallerAnswers(**{"site": SITE, "gate": GATE, "models": "courtyard", "settings": tables} | said)

    return make


@pytest.fixture
def making(root):
    """Return a function that makes a `Making`. `told` holds the findings about the machine."""

    def make(answers, **values):
        told = []
        usual = {"root": root, "is_starting": False, "report": told.append}
        gate = Making(answers, root / "etc/gated/gated.toml", **(usual | values))
        gate.told = told
        return gate

    return make


def taken(gate, upto=None):
    """Take every step that is not yet done, as the command does. Returns the steps taken and the steps already done."""
    done, already = [], []
    for step in steps(gate):
        if step.is_done():
            already.append(step.title)
        else:
            step.do()
            done.append(step.title)
        if step.title == upto:
            break
    return done, already


@pytest.fixture(name="taken")
def taken_fixture():
    return taken


@pytest.fixture
def full_disk(tmp_path):
    """Yield a folder on a disk of 1 MB."""
    folder = tmp_path / "full"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)

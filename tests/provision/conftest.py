"""A machine in a folder: what of it provisioning reads and writes, with a user that every Debian has."""

import encodings.idna  # noqa: F401 - read while we are root: "nobody" may not be able to read this Python
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from gated.provision import steps
from gated.provision.answers import Answers
from gated.provision.steps import Provisioning

SITE, GATE = "market-south", "gate-2"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The root of a machine, empty but for what the kernel shows."""
    monkeypatch.setattr(steps, "USER", "nobody")
    monkeypatch.setattr(steps, "SOCKET", str(tmp_path / "latch.sock"))
    root = Path(tempfile.mkdtemp(prefix="gated-root-", dir="/var/tmp"))  # where others than root may go
    root.chmod(0o755)
    (root / "proc").mkdir()
    (root / "proc/meminfo").write_text("MemTotal: 4000000 kB\nMemAvailable: 3000000 kB\n")
    yield root
    shutil.rmtree(root)


@pytest.fixture
def picture(tmp_path):
    """A picture for the camera to show."""
    from PIL import Image

    Image.new("RGB", (1280, 960), (90, 90, 90)).save(tmp_path / "frame.png")
    return tmp_path / "frame.png"


@pytest.fixture
def answers(picture):
    """Of a gate on a desk with the models that come with gated."""

    def make(settings=None, **said):
        tables = {
            "door": {"pins": "mock", "rex_pin": 23, "contact_pin": 22},
            "camera": {"kind": "replay", "path": str(picture)},
            "models": {"dir": "models"},
        }
        for table, values in (settings or {}).items():
            tables[table] = {**tables.get(table, {}), **values}
        return Answers(**{"site": SITE, "gate": GATE, "models": "courtyard", "settings": tables} | said)

    return make


@pytest.fixture
def making(root):
    """A gate in the making: `told` has what was said of the machine."""

    def make(answers, **values):
        told = []
        usual = {"root": root, "is_starting": False, "tell": told.append}
        provisioning = Provisioning(answers, root / "etc/gated/gated.toml", **(usual | values))
        provisioning.told = told
        return provisioning

    return make


def taken(provisioning, upto=None):
    """Take every step that is not done, as the command does; gives which were taken and which were done already."""
    done, already = [], []
    for step in provisioning.steps():
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
    """A folder on a disk of 1 MB."""
    folder = tmp_path / "full"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)

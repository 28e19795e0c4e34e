"""The link to the office: the gate that has one loads its code, and no other gate does."""

import json
import subprocess
import sys

import pytest

BUILD = """
import asyncio, json, sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gated import config
from gated.brain import Brain
from gated.face.vision_start import gate_vision

file, url = Path(sys.argv[1]), sys.argv[2]
settings = config.load(file)
settings = msgspec.structs.replace(settings, sync=msgspec.structs.replace(settings.sync, url=url))

async def parts():
    with closing(Brain(settings, file, gate_vision(settings), datetime.now(UTC))) as brain:
        return [name for name, _ in brain.optional_parts()]

print(json.dumps([asyncio.run(parts()), sorted(sys.modules)]))
"""


def built(gate, url=""):
    """The optional parts of a brain with this office, and the modules that its process has loaded."""
    command = [sys.executable, "-c", BUILD, str(gate.config), url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def of(packages, modules):
    """The loaded modules of some packages."""
    return [name for name in modules if any(name == each or name.startswith(f"{each}.") for each in packages)]


def test_a_gate_without_an_office_loads_no_code_of_the_link(gate):
    parts, modules = built(gate)
    assert "sync" not in parts
    assert of(["gated.office_wiring", "gated.commands", "gated.sync", "joserfc", "aiomqtt", "paho"], modules) == []


def test_a_gate_with_an_office_has_its_link(gate):
    parts, modules = built(gate, "mqtts://office.example")
    assert "sync" in parts
    assert "gated.office_wiring" in modules


@pytest.mark.parametrize("url", ["", "mqtts://office.example"])
def test_the_brain_loads_no_code_of_the_office(gate, url):
    _, modules = built(gate, url)
    others = ["gated.office", "gated.provision", "gated.update", "gated.simulator", "gated.cli", "rich"]
    assert of(others, modules) == []

"""A fingerprint on the screen of a gate that runs: real processes, a real command, what a browser is told."""

import json
import urllib.request
from contextlib import closing
from datetime import UTC, datetime

import pytest
from PIL import Image

from gated.gallery.holdings import Holdings
from gated.gallery.record_changes import Change, GateKeys
from gated.people.held_records import RecordState
from gated.protocol.jose import Identity
from gated.protocol.vouching import fingerprint
from gated.simulator.network import free_port

pytestmark = pytest.mark.slow

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def shown(port):
    """What the page is told now; None while nobody serves it."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/updates", timeout=5) as stream:
            return json.loads(next(line for line in stream if line.startswith(b"data: "))[6:])
    except OSError:
        return None


def test_a_fingerprint_is_shown_while_its_command_runs_and_removed_after_a_kill(gate, shared):
    party, port = Identity.make().party, free_port()
    (gate.folder / "frames").mkdir()
    Image.new("RGB", (640, 480), (90, 90, 90)).save(gate.folder / "frames" / "00.png")
    gate.write(cues={"screen_port": port})
    with closing(Holdings.open(gate.state, "courtyard-2")) as holdings:
        change = Change(RecordState("gate/back", 1), GateKeys("back", party.dump().decode()))
        holdings.apply([change], 1, NOW)
    gate.start("run")
    page = gate.wait_for(lambda: (now := shown(port)) and now["situation"] == "idle" and now["notes"] and now)
    assert page["notes"][1] == ["en", "to check: keys 1"]
    assert page["keys"] is None, "nothing that arrives is shown large by itself"
    asking = gate.start("gates", "show", "back", "--on-screen")
    page = gate.wait_for(lambda: (now := shown(port)) and now["keys"] and now)
    told = fingerprint("courtyard-2", "back", party)
    assert (page["keys"]["gate"], " ".join(page["keys"]["groups"])) == ("back", told)
    assert f"back: {told}" in gate.log("gates")
    asking.kill()
    gate.wait_for(lambda: (now := shown(port)) and now["keys"] is None)
    gate.run("gates", "accept", "back", "--fingerprint", told, check=0)
    gate.wait_for(lambda: (now := shown(port)) and not now["notes"])

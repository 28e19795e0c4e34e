"""With a damaged state folder the gate starts and admits nobody who is not enrolled."""

import asyncio
import contextlib
import os
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gated.access.lockdown import begin_lockdown, end_lockdown
from gated.brain import Brain
from gated.config.proposing import propose
from gated.config.settings_trial import begin
from gated.errors import GatedError
from gated.events import CallPressed
from gated.face.manifest import lawful_set
from gated.face.vision_start import gate_vision
from gated.gallery.enrolment import enrol
from gated.gallery.gallery import Gallery
from gated.gallery.repair import repair
from gated.journal.journal import Journal
from gated.journal.recent_rows import last_time, read_newest
from gated.people.credential_store import Credentials
from gated.people.issuing import issue_card, set_pin
from gated.protocol.jose import Identity
from gated.service.start_events import first_facts
from gated.sync.command_desk import CommandDesk
from tests.fakes.recording_door import RecordingDoor

from .conftest import toml

NOW = datetime.now(UTC)
SITE, GATE = "courtyard-2", "front"
EXAMPLES = int(os.environ.get("GATED_TEST_DAMAGES", "8"))
"""Number of damaged folders to try. Set it higher after a change to the code that reads them."""
PEOPLE = 6
STRANGERS = ("w26:12-9991", "w26:12-9992")
PIN = "492716"


def face(number, dimension):
    vector = np.random.default_rng(number).standard_normal(dimension)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a gate that was in use: people with faces, cards and PINs, a journal, orders, keys, settings from the
    office.
    """
    folder = tmp_path_factory.mktemp("home")
    state = folder / "state"
    identity, keys = Identity.make(), folder / "state" / "keys"
    tables = {
        "state_dir": str(state), "site": {"id": SITE, "clock": "trusted"}, "gate": {"id": GATE},
        "models": {"dir": str(folder), "set": "courtyard"}, "camera": {"kind": "replay", "path": str(folder)},
        "door": {"pins": "mock", "contact_pin": 22, "rex_pin": 23},
        "sync": {"url": "mqtts://localhost:1", **{key: str(keys / key) for key in ("ca", "cert", "key")},
                 "gate_keys": str(keys / "gate.keys"), "office_keys": str(keys / "office.keys")},
    }  # fmt: skip
    config = folder / "gated.toml"
    config.write_text(toml(tables))
    embedder = lawful_set(begin(config).settings)
    with contextlib.closing(Gallery.open(state, SITE, embedder.embedder_sha256, embedder.dimension)) as gallery:
        subjects = [
            enrol(gallery, f"n{number}", f"h{number}", [face(number, embedder.dimension)], consent=f"paper-{number}",
                  notice="1", threshold=0.6, at=NOW).subject
            for number in range(PEOPLE)
        ]  # fmt: skip
    with contextlib.closing(Credentials.open(state, SITE)) as store:
        for number, subject in enumerate(subjects):
            issue_card(store, f"w26:12-100{number}", subject, uses=None if number else 3)
        set_pin(store, PIN, subjects[1], least=6)
    with contextlib.closing(Journal.open(state, SITE, GATE)) as journal:
        journal.extend([(CallPressed(), NOW)] * 60)
    CommandDesk(state, SITE, GATE).close()
    identity.save(keys / "gate.keys")
    (keys / "office.keys").write_bytes(Identity.make().party.dump())
    begin_lockdown(state, "li", NOW)
    end_lockdown(state, "li")
    propose(config, "access.frames = 4\n")
    return folder, embedder


def hurt(path, dice):
    """Damage a file in one of the ways of a failing card."""
    content = bytearray(path.read_bytes())
    match dice.choice(["cut", "empty", "zeros", "noise", "bits", "bits", "gone", "folder"]):
        case "cut":
            path.write_bytes(content[: dice.randrange(len(content) + 1)])
        case "empty":
            path.write_bytes(b"")
        case "zeros" | "noise" as how:
            at, length = dice.randrange(len(content) + 1) // 512 * 512, dice.choice([512, 4096, 40960])
            block = bytes(length) if how == "zeros" else dice.randbytes(length)
            content[at : at + length] = block[: max(0, len(content) - at)]
            path.write_bytes(content)
        case "bits":
            for _ in range(dice.randrange(1, 40) if content else 0):
                content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
            path.write_bytes(content)
        case "gone":
            path.unlink()
        case "folder":
            path.unlink()
            path.mkdir()


async def live(folder, embedder, dice):
    """Run a brain on that folder as `brain_run.run` does, with a person at the gate. Returns how often it opened."""
    config = folder / "gated.toml"
    start = begin(config)
    state = start.settings.state
    repaired, entries = repair(state), read_newest(state, SITE, GATE)
    facts = first_facts(start.settings, start, entries, repaired)
    brain = Brain(start.settings, config, gate_vision(start.settings), last_time(entries), facts)
    door = RecordingDoor()
    try:
        brain.entrance.credentials._responder._release = door.release
        brain.entrance.faces._door = door
        with ThreadPoolExecutor(1) as thread, contextlib.suppress(GatedError):
            replica, side = thread.submit(brain.following._build).result()
            assert replica.mark.version >= 0
            side.close()
        watch = asyncio.create_task(brain.entrance.run())
        await asyncio.sleep(0.02)
        for number in STRANGERS:
            await brain.entrance.credentials.handle_card(number)
        await brain.entrance.credentials.handle_pin("318204")
        probe = face(4711 + dice.randrange(1000), embedder.dimension)
        assert all(candidate.score < 0.9 for candidate in brain.gallery.search(probe))
        assert door.released == []
        for number in range(PEOPLE):
            await brain.entrance.credentials.handle_card(f"w26:12-100{number}")
        assert not watch.done(), "the entrance has not ended"
        watch.cancel()
        await asyncio.wait([watch])
    finally:
        brain.entrance.close()
        brain.gallery.close()
        brain._journal.close(0.3)
    return len(door.released)


def test_without_damage_everybody_is_let_in(home, tmp_path):
    folder, embedder = home
    assert asyncio.run(live(folder, embedder, random.Random(1))) == PEOPLE


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**9))
def test_the_brain_starts_from_any_broken_memory_card_and_lets_in_enrolled_people_only(home, tmp_path_factory, seed):
    dice = random.Random(seed)
    (whole, embedder), folder = home, tmp_path_factory.mktemp("hurt")
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    config = folder / "gated.toml"
    config.write_text(config.read_text().replace(str(whole), str(folder)))
    files = sorted(path for path in (folder / "state").rglob("*") if path.is_file())
    for path in dice.sample(files, dice.randrange(1, 4)):
        hurt(path, dice)
    asyncio.run(live(folder, embedder, dice))
    shutil.rmtree(folder)

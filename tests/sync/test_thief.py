"""Attacks with the office's key alone: settings, schedules, a replaced face, and three messages that ask for the faces.

All parts are real. The door does not open, and no face leaves.
"""

import json
from contextlib import closing
from datetime import UTC, datetime

import numpy as np
import pytest

from gated.config import ModelSettings, load, load_own
from gated.face.manifest import load_set
from gated.gallery.gallery import Gallery
from gated.people.store import Consent, Person
from gated.protocol.command_messages import ChangeSettings, Reply, Share
from gated.protocol.face_messages import SharedFace
from gated.protocol.jose import Identity
from gated.protocol.record_messages import Delta
from gated.protocol.wire_records import GateRecord, PersonRecord, WireConsent
from gated.sync.sealed_faces import seal_face
from gated.types import SubjectId

pytestmark = pytest.mark.slow

SITE, GATE = "market-south", "gate-2"
US = {"site": SITE, "gate": GATE}
SYNC = ("url", "ca", "cert", "key", "gate_keys", "office_keys", "ack_timeout_s", "backoff_max_s")
ANN, NOW = SubjectId("a" * 16), datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
LOOSE = {
    "access.threshold": "1e-9", "access.pad_threshold": "1e-9", "access.margin": "0.0", "access.frames": "1",
    "readers.attempts": "100", "readers.rest_s": "1.0", "readers.pin_digits": "4", "door.release_s": "30.0",
}  # fmt: skip

EVERY_DAY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"]


def unit(place):
    return np.eye(128, dtype=np.float32)[place]


@pytest.fixture
def home(whole_gate, broker):
    """A gate whose door has an unlock schedule, and Ann, whose face was taken there."""
    settings, models = broker.settings(), {"set": "evaluation", "dir": "nowhere"}
    sync = {key: getattr(settings, key) for key in SYNC}
    whole_gate.write(site={"id": SITE}, gate={"id": GATE}, models=models, sync=sync, door={"free_passage": "day"})
    text = whole_gate.config.read_text()  # a schedule without days
    whole_gate.config.write_text(f"{text}\n[schedules.day]\ndays = []\n")
    embedder = load_set(ModelSettings(**models))
    person = Person(ANN, "Ann", "2-401", "active", NOW, (Consent("recognise", "paper-1", "1", NOW),))
    with (
        closing(Gallery.open(whole_gate.state, SITE, embedder.embedder_sha256, embedder.dimension)) as gallery,
        gallery.enrolling(),
    ):
        gallery.add(person, [unit(0)])
    whole_gate.embedder = embedder
    whole_gate.start("run")
    return whole_gate


def theft(home, gate_keys, thief):
    """The office's records after the theft: a gate of the thief, and Ann with the thief's face and all consents."""
    face = seal_face(gate_keys, ANN, home.embedder.embedder_sha256, [("t", unit(1))])
    consents = [WireConsent(purpose, "paper-9", "1", NOW.isoformat()) for purpose in ("recognise", "transfer")]
    person = PersonRecord(n=2, subject=ANN, name="Ann", household="2-401", added_at=NOW.isoformat(), consents=consents,
                          face=face)  # fmt: skip
    gate = GateRecord(n=1, gate="gate-9", keys=thief.party.dump().decode())
    return Delta(**US, after=0, upto=2, records=[gate, person])


async def test_the_office_s_key_opens_nothing_and_carries_no_face_away(home, receiver, until):
    thief = Identity.make()

    def facts(kind):
        return [json.loads(event.body) for event in receiver.server.events.values() if event.kind == kind]

    def answers():
        return [reply for reply in receiver.replies if isinstance(reply, Reply)]

    await until(lambda: "online" in receiver.states, "online")
    toml = "".join(f"{key} = {value}\n" for key, value in LOOSE.items())
    await receiver.order(1, ChangeSettings(toml))
    await receiver.order(2, ChangeSettings(f"schedules.day.days = {EVERY_DAY}\n"))
    await until(lambda: len(answers()) == 2, "what became of the settings")
    loosened, opened = sorted(answers(), key=lambda reply: reply.command)
    assert (loosened.outcome, opened.outcome) == ("refused", "refused")
    assert {finding.part for finding in loosened.findings} == set(LOOSE)
    assert "only the installer may" in opened.findings[0].says
    assert load(home.config) == load_own(home.config)

    await receiver.publish(theft(home, receiver.peer.other, thief))
    await until(lambda: facts("record_quarantined") and facts("gate_held") and facts("consent_held"), "what waits")
    assert facts("record_quarantined")[0]["why"] == "changed"
    for number in (3, 4):
        await receiver.order(number, Share(ANN, "gate-9"))
    await until(lambda: len(answers()) == 4, "what became of the faces")
    assert {(reply.outcome, *(f.level for f in reply.findings)) for reply in answers()[2:]} == {("refused", "waits")}
    assert not [said for said in receiver.replies if isinstance(said, SharedFace)]
    assert facts("face_shared") == []

    with closing(Gallery.open(home.state, SITE, home.embedder.embedder_sha256, home.embedder.dimension)) as gallery:
        stranger, resident = gallery.search(unit(1)), gallery.search(unit(0))
    assert not stranger or stranger[0].score < home.embedder.threshold
    assert (resident[0].subject, round(resident[0].score, 3)) == (ANN, 1.0)
    assert [change for change in home.trace() if change["line"] == "lock" and change["on"]] == []
    assert facts("door_released") == []
    assert facts("settings_tried") == []

"""A person at the gate sees other gates' keys and wider consents and accepts them."""

import json
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.cues.fingerprint import RequestedFingerprint, requested_fingerprint
from gated.gallery.gallery import Gallery
from gated.gallery.holdings import Holdings
from gated.gallery.person_data import PersonData
from gated.gallery.record_changes import PERSON, Change, GateKeys
from gated.people.held_records import RecordState
from gated.people.store import Consent, Person
from gated.protocol.jose import Identity
from gated.protocol.vouching import fingerprint
from gated.storage.reopening import Reopening
from gated.types import SubjectId

ANN, BOB = SubjectId("a" * 16), SubjectId("b" * 16)
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
SITE = "courtyard-2"
OTHER, THIEF = Identity.make().party, Identity.make().party


def keys(name, party, n):
    return Change(RecordState(f"gate/{name}", n), GateKeys(name, party.dump().decode()))


def filed(subject, n):
    consents = tuple(Consent(purpose, f"paper-{n}", "1", NOW) for purpose in ("recognise", "transfer"))
    person = Person(subject, f"Name {subject[0]}", "2-401", "active", NOW, consents)
    return Change(RecordState(PERSON + subject, n), PersonData(person, (), (), ()))


@pytest.fixture
def yard(gate):
    """Yield a gate that knows another gate, and Ann. Her face was taken here before the office allowed its transfer."""
    holdings = Holdings.open(gate.state, SITE)
    plain = filed(ANN, 2)
    before = Person(ANN, "Ann", "2-401", "active", NOW, plain.content.person.consents[:1])
    holdings.apply(
        [keys("back", OTHER, 1), Change(plain.holding, PersonData(before, (), (), ())), filed(BOB, 3)], 3, NOW
    )
    with holdings.register.changing():
        holdings.register.store_capture(before, "ab" * 32, [unit()], NOW)
    holdings.apply([filed(ANN, 4)], 4, NOW)
    gate.holdings = holdings

    def run(*arguments, check=0, answer=None):
        done = CliRunner().invoke(main, ["--config", str(gate.config), *arguments], input=answer)
        assert done.exit_code == check, done.output
        return done.output

    gate.run = run
    yield gate
    holdings.close()


def unit():
    import numpy as np

    return np.eye(1, 128, dtype=np.float32)[0]


def test_a_gate_is_listed_and_accepted_by_its_fingerprint(yard):
    shown = fingerprint(SITE, "back", OTHER)
    (own, row) = json.loads(yard.run("gates", "list", "--json"))
    assert (own["state"], row) == (
        "this gate", {"gate": "back", "fingerprint": shown, "state": "not accepted yet", "faces": False}
    )  # fmt: skip
    assert "accepted back" in yard.run("gates", "accept", "back", "--fingerprint", shown.replace(" ", "").upper())
    assert json.loads(yard.run("gates", "list", "--json"))[1]["state"] == "accepted here"
    assert [event["gate"] for event in yard.events("gate_accepted")] == ["back"]


@pytest.fixture
def screened(yard, monkeypatch):
    """Return the same gate with a screen and keys of its own."""
    own = Identity.make()
    yard.config.write_text(yard.config.read_text() + "\n[cues]\nscreen_port = 8123\n")
    monkeypatch.setattr("gated.cli.gates._own", lambda settings: fingerprint(SITE, settings.gate.id, own.party))
    monkeypatch.setattr("gated.cli.gates.SCREEN_POLL_S", 0.01)
    yard.own = own.party
    return yard


def test_a_gate_shows_the_same_fingerprint_here_and_on_itself(screened):
    """One person reads it aloud at one gate, another follows at the other: the same groups in the same order."""
    assert screened.run("gates", "show", "back") == f"back: {fingerprint(SITE, 'back', OTHER)}\n"
    own = json.loads(screened.run("gates", "list", "--json"))[0]
    assert screened.run("gates", "show") == f"{own['gate']}: {own['fingerprint']}\n"
    assert own["fingerprint"] == fingerprint(SITE, own["gate"], screened.own)


def test_the_screen_shows_the_fingerprint_only_while_the_command_runs(screened, monkeypatch):
    seen = []
    monkeypatch.setattr("gated.cli.gates.time.sleep", lambda _: seen.append(requested_fingerprint(screened.state)))
    printed = screened.run("gates", "show", "back", "--on-screen", "--minutes", "0.001")
    assert set(seen) == {RequestedFingerprint("back", fingerprint(SITE, "back", OTHER), is_own=False)}
    assert "on the screen" in printed
    assert requested_fingerprint(screened.state) is None


def test_keys_replaced_while_shown_disappear_from_the_screen(screened, monkeypatch):
    def replaced(_):
        screened.holdings.apply([keys("back", THIEF, 9)], 9, NOW)

    monkeypatch.setattr("gated.cli.gates.time.sleep", replaced)
    assert "have changed meanwhile" in screened.run("gates", "show", "back", "--on-screen", check=1)
    assert requested_fingerprint(screened.state) is None


def test_a_gate_without_a_screen_names_the_command_line(yard):
    assert "no screen" in yard.run("gates", "show", "back", "--on-screen", check=1)
    assert fingerprint(SITE, "back", OTHER) in yard.run("gates", "show", "back")
    assert "unknown gate" in yard.run("gates", "show", "front-yard", check=1)


def test_an_unpaired_gate_has_no_fingerprint(yard):
    assert "is not paired" in yard.run("gates", "show", check=1)


def test_waiting_gates_are_counted_without_this_gate(yard):
    gallery = Gallery(Reopening(lambda _: yard.holdings.register, yard.state), "ab" * 32, 128)
    assert gallery.to_accept("front") == (1, 1)
    assert gallery.to_accept("back") == (1, 1), "counted once, until something changes"
    yard.run("gates", "accept", "back", "--yes")
    yard.run("people", "consents", "accept", "--yes")
    assert gallery.to_accept("front") == (0, 0)
    yard.holdings.apply([keys("front", THIEF, 8)], 8, NOW)
    assert gallery.to_accept("front") == (0, 0), "what the office says of this gate itself"


def test_a_fingerprint_different_from_the_offices_shares_no_face(yard):
    printed = yard.run("gates", "accept", "back", "--fingerprint", fingerprint(SITE, "back", THIEF), check=1)
    assert "a different fingerprint" in printed
    assert not yard.holdings.neighbours()[0].is_trusted


def test_accepting_a_gate_needs_the_compared_fingerprint(yard):
    assert "no person has compared" in yard.run("gates", "accept", "back", check=2)
    assert "unknown gate" in yard.run("gates", "accept", "front", check=1)
    assert not yard.holdings.neighbours()[0].is_trusted
    yard.run("gates", "accept", "back", "--yes")
    assert yard.holdings.neighbours()[0].is_trusted


def test_changed_keys_are_reported_and_wait_again(yard):
    yard.run("gates", "accept", "back", "--yes")
    yard.holdings.apply([keys("back", THIEF, 5)], 5, NOW)
    assert json.loads(yard.run("gates", "list", "--json"))[1]["state"] == "keys differ from the accepted ones"
    yard.holdings.apply([keys("back", OTHER, 6)], 6, NOW)
    assert "earlier keys" in json.loads(yard.run("gates", "list", "--json"))[1]["state"]


def test_consents_of_people_enrolled_here_are_listed_and_accepted_together(yard):
    (row,) = json.loads(yard.run("people", "consents", "list", "--json"))
    assert (row["subject"], row["purposes"], row["papers"]) == (ANN, ["transfer"], "transfer: paper-4")
    assert "there is no terminal to ask at" in yard.run("people", "consents", "accept", check=2)
    assert yard.holdings.agreed(ANN) == set()
    assert "accepted the consents of 1 people; 0 wait" in yard.run("people", "consents", "accept", "--yes")
    assert yard.holdings.agreed(ANN) == {"transfer"}
    assert [event["people"] for event in yard.events("consents_accepted")] == [1]
    assert json.loads(yard.run("people", "consents", "list", "--json")) == []


def test_a_person_without_waiting_consents_cannot_be_accepted(yard):
    printed = yard.run("people", "consents", "accept", BOB, "--yes", check=1)
    assert "has no waiting consent" in printed
    assert yard.holdings.agreed(ANN) == set() == yard.holdings.agreed(BOB)

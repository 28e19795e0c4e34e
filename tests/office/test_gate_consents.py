"""A consent given at a gate reaches the office. No gate can claim such a consent for arbitrary residents."""

import json
from contextlib import closing

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from gated.cli import main
from gated.office.store import Store
from gated.protocol.command_messages import Command


def enrolled(court, gate, subject, *consents, **more):
    body = {"subject": subject, "templates": 3, "notice": "2026-11", "embedder_sha256": "ab" * 32}
    gate.happen("person_enrolled", **body, purposes=list(consents), **more)
    gate.batch(len(gate.rows), len(gate.rows))


def purposes(court, who):
    return {consent.purpose: consent.reference for consent in court.store.book.person(who.subject).consents}


def alarms(court):
    return [(alarm.gate, alarm.detail) for alarm in court.store.alarms.all() if alarm.kind == "consent_given"]


@pytest.fixture
def ann(court, person):
    """Store a person who consented to recognition only."""
    who = person(1, purposes=("recognise",))
    court.store.book.put(who)
    court.due()
    return who


def test_a_consent_given_at_a_gate_is_stored_and_its_faces_requested(court, gate, other, ann, only):
    enrolled(court, gate, ann.subject, "transfer")
    paper = purposes(court, ann)["recognise"]
    assert purposes(court, ann) == {"recognise": paper, "transfer": f"{paper} (said at gate-1)"}
    assert [c.action.to for c in only(Command, court.due())] == ["gate-2"]
    assert alarms(court) == []


def test_an_enrolment_without_a_consent_stores_no_consent(court, gate, other, ann, only):
    enrolled(court, gate, ann.subject)
    assert list(purposes(court, ann)) == ["recognise"]
    assert only(Command, court.due()) == []


def test_a_consent_claimed_for_a_face_of_another_gate_raises_an_alarm(court, gate, other, ann):
    """The attack: a stolen gate claims that every resident consented there."""
    enrolled(court, other, ann.subject)
    enrolled(court, gate, ann.subject, "transfer")
    assert list(purposes(court, ann)) == ["recognise"]
    assert alarms(court) == [("gate-1", ann.subject)]


@pytest.mark.parametrize("purpose", ["recognise", "advertise", "", "x" * 65, "TRANSFER"])
def test_a_gate_can_report_no_other_purpose(court, gate, ann, purpose):
    before = purposes(court, ann)
    enrolled(court, gate, ann.subject, purpose)
    assert purposes(court, ann) == before


def test_for_a_removed_or_not_recognisable_person_no_consent_is_stored(court, gate, person):
    nobody, gone = person(2, purposes=()), person(3)
    for who in (nobody, gone):
        court.store.book.put(who)
    court.store.book.remove(f"person/{gone.subject}")
    for who in (nobody, gone):
        enrolled(court, gate, who.subject, "transfer")
    assert purposes(court, nobody) == {}
    assert court.store.book.get(f"person/{gone.subject}").key


def test_a_repeated_row_restores_no_withdrawn_consent(court, gate, ann):
    enrolled(court, gate, ann.subject, "transfer")
    court.store.book.put(ann)
    gate.batch(len(gate.rows), len(gate.rows))
    assert list(purposes(court, ann)) == ["recognise"]


@pytest.mark.parametrize("when", ["earlier", "later"])
def test_a_late_report_restores_no_withdrawn_consent(court, gate, ann, when):
    """The gate was offline. Ann consented there in the morning, and withdrew the consent at the office at noon."""
    enrolled(court, gate, "f" * 16)
    at = gate.rows[-1].at
    moment = {"earlier": at.replace("20", "19", 1), "later": at.replace("20", "29", 1)}[when]
    court.store.book.put(replace(ann, withdrawn={"transfer": moment}))
    enrolled(court, gate, ann.subject, "transfer")
    assert ("transfer" in purposes(court, ann)) == (when == "earlier")


def test_a_withdrawal_is_stored_and_no_gate_is_informed_of_it(tmp_path, person):
    folder = tmp_path / "office"
    who = person(1)
    with closing(Store.create(folder, "market-south")) as store:
        store.book.put(who)
    words = ["office", "--dir", str(folder), "person", "change", who.subject, "--withdraw", "transfer"]
    assert CliRunner().invoke(main, words).exit_code == 0
    with closing(Store.open(folder)) as store:
        assert list(store.book.person(who.subject).withdrawn) == ["transfer"]
        (record,) = store.book.after("gate-1", 0)
        assert not hasattr(record, "withdrawn")


def test_a_person_added_after_the_gates_report_has_the_consents_given_there(tmp_path):
    folder, subject = tmp_path / "office", "8c1f0e5a77b2d943"
    with closing(Store.create(folder, "market-south")) as store:
        store.faces.record_enrolment(subject, "gate-1", "2026-11-23T08:00:00+00:00", ["transfer"])
    words = ["office", "--dir", str(folder), "person", "add", "--name", "Ann", "--household", "2-401", "--yes"]
    done = CliRunner().invoke(main, [*words, "--subject", subject, "--consent", "paper-1", "--notice", "2026-11"])
    assert done.exit_code == 0, done.output
    assert "also recorded the consent to transfer that the gate reported: paper-1 (said at gate-1)" in done.output
    shown = CliRunner().invoke(main, ["office", "--dir", str(folder), "person", "show", subject, "--json"]).output
    assert [consent["purpose"] for consent in json.loads(shown)["consents"]] == ["recognise", "transfer"]


def test_a_report_gives_no_consent_to_a_person_added_without_one(tmp_path):
    folder, subject = tmp_path / "office", "8c1f0e5a77b2d943"
    with closing(Store.create(folder, "market-south")) as store:
        store.faces.record_enrolment(subject, "gate-1", "2026-11-23T08:00:00+00:00", ["transfer"])
    words = ["office", "--dir", str(folder), "person", "add", "--name", "Ann", "--household", "2-401", "--yes"]
    assert CliRunner().invoke(main, [*words, "--subject", subject]).exit_code == 0
    with closing(Store.open(folder)) as store:
        assert store.book.person(subject).consents == []


def test_an_enrolment_of_an_older_gate_has_no_consent(tmp_path):
    from gated.office.schema import MIGRATIONS
    from gated.storage import database

    before = next(number for number, script in enumerate(MIGRATIONS) if "COLUMN given" in script)
    with closing(database.connect(tmp_path / "office.db", MIGRATIONS[:before])) as old, old:
        old.execute("INSERT INTO enrolled VALUES ('s', 'gate-1', '2026-11-23T08:00:00+00:00')")
    with closing(database.connect(tmp_path / "office.db", MIGRATIONS)) as new:
        assert tuple(new.execute("SELECT gate, given FROM enrolled").fetchone()) == ("gate-1", "[]")

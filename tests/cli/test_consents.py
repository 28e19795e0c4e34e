"""A person agrees to a purpose on the gate's command line while the gate takes their face."""

import json
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from functools import partial

import numpy as np
import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.gallery.enrolment import enrol_known
from gated.gallery.gallery import Gallery
from gated.gallery.holdings import Holdings
from gated.people.given_consents import NAME, consents_given_now
from gated.people.store import RECOGNISE, Consent, Person
from gated.runtime.local_request import wished
from gated.types import SubjectId

ANN, BOB = SubjectId("a" * 16), SubjectId("b" * 16)
NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
GIVE = ("--transfer", "--consent", "paper-9", "--notice", "2026-11", "--yes")


@pytest.fixture
def yard(gate, monkeypatch):
    """Yield a gate that knows Ann and Bob, who agreed to be recognised. Its commands run in this process."""
    monkeypatch.setattr("gated.cli.consents.FACE_POLL_S", 0.02)
    gallery = Gallery.open(gate.state, "courtyard-2", "ab" * 32, 4)
    for subject, name in ((ANN, "Ann"), (BOB, "Bob")):
        consents = (Consent(RECOGNISE, "paper-1", "2026-11", NOW),)
        gallery._register.admit(Person(subject, name, "2-401", "active", NOW, consents))
    gate.gallery = gallery

    def give(*arguments):
        words = ["--config", str(gate.config), "people", "consents", "give", *arguments]
        return CliRunner().invoke(main, words)

    gate.give = give
    yield gate
    gallery.close()


def meanwhile(work):
    """Start `work` in a thread. Returns a function that waits for its end."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread.join


def enrol_during_command(state, subject, picture):
    """Wait until a consent command runs, then enrol a face here for the office."""
    deadline = time.monotonic() + 20
    while wished(state / NAME) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    with closing(Gallery.open(state, "courtyard-2", "ab" * 32, 4)) as gallery:
        vector = np.eye(4, dtype=np.float32)[picture]
        enrol_known(
            gallery, subject, [vector], threshold=0.7, at=NOW, given=partial(consents_given_now, state, subject, NOW)
        )


def agreed(yard, subject):
    return Holdings(yard.gallery._register).agreed(subject)


def test_a_consent_given_during_enrolment_counts_and_the_command_ends(yard):
    done = meanwhile(lambda: enrol_during_command(yard.state, ANN, 0))
    printed = yard.give("Ann", *GIVE)
    done()
    assert printed.exit_code == 0, printed.output
    assert "Ann (2-401): the consent is valid from now on" in printed.output
    assert agreed(yard, ANN) == {"transfer"}
    assert not (yard.state / NAME).exists()


def test_without_an_enrolment_no_consent_is_stored(yard):
    printed = yard.give("Ann", *GIVE, "--minutes", "0.01")
    assert printed.exit_code == 1
    assert "nothing was recorded" in printed.output
    assert agreed(yard, ANN) == set()


def test_the_enrolment_of_another_person_stores_no_consent_of_either(yard, monkeypatch):
    done = meanwhile(lambda: enrol_during_command(yard.state, BOB, 0))
    printed = yard.give("Ann", *GIVE, "--minutes", "0.01")
    done()
    assert printed.exit_code == 1
    assert agreed(yard, ANN) == set() == agreed(yard, BOB)


def test_for_a_waiting_face_no_consent_is_stored_and_the_command_reports_it(yard):
    when_said_nothing = partial(enrol_known, yard.gallery, ANN, threshold=0.7, at=NOW)
    when_said_nothing([np.eye(4, dtype=np.float32)[0]])
    done = meanwhile(lambda: enrol_during_command(yard.state, ANN, 1))
    printed = yard.give("Ann", *GIVE)
    done()
    assert printed.exit_code == 1
    assert "the new face waits" in printed.output
    assert agreed(yard, ANN) == set()


@pytest.mark.parametrize("missing", ["--transfer", "--consent", "--notice", "--yes"])
def test_a_consent_needs_purpose_paper_notice_and_operator(yard, missing):
    at = GIVE.index(missing)
    left = GIVE[:at] + GIVE[at + (2 if missing in ("--consent", "--notice") else 1) :]
    printed = yard.give("Ann", *left)
    assert printed.exit_code == 2
    assert not (yard.state / NAME).exists()


def test_a_consent_for_an_unknown_person_is_refused(yard):
    assert yard.give("Cat", *GIVE).exit_code == 1


def test_the_command_is_in_the_people_group(yard):
    shown = CliRunner().invoke(main, ["people", "consents", "--help"]).output
    assert "give" in shown
    assert (
        json.loads(
            CliRunner().invoke(main, ["--config", str(yard.config), "people", "consents", "list", "--json"]).output
        )
        == []
    )

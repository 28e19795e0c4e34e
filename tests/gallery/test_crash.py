"""Real processes, killed before each statement and at random moments."""

import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gated.embedding import Embedding
from gated.gallery.gallery import Gallery
from gated.gallery.holdings import Holdings

DIMENSION = 32
EMBEDDER = "ab" * 32

CHILD = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
import numpy as np
from gated.gallery.enrolment import enrol, enrol_known
from gated.gallery.gallery import Gallery
from tests.gallery.changes import remove

state = Path(sys.argv[1])

def face(person, picture):
    vector = np.random.default_rng(person).standard_normal(32)
    vector += 0.05 * np.random.default_rng((person, picture)).standard_normal(32)
    return (vector / np.linalg.norm(vector)).astype(np.float32)

def report(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def join(gallery, person):
    return enrol(gallery, f"Resident Number {person}", f"Flat {person}", [face(person, 0), face(person, 1)],
                 consent=f"paper-{person}", notice="notice-3", threshold=0.7, at=datetime.now(UTC)).subject

def die_before(gallery, statement):
    left = [statement]
    def count(_):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    for connection in gallery._register._stores.connections:
        connection.set_trace_callback(count)

def work(what, number, argument):
    gallery = Gallery.open(state, "site", "ab" * 32, 32)
    if what == "enrol":
        die_before(gallery, int(number))
        report("enrolled", join(gallery, int(argument)))
    elif what == "again":
        die_before(gallery, int(number))
        subject, person = argument.split("/")
        faces = [face(int(person), 0), face(int(person), 1)]
        report("enrolled", enrol_known(gallery, subject, faces, threshold=0.7, at=datetime.now(UTC)).subject)
    elif what == "remove":
        die_before(gallery, int(number))
        report("removed", remove(gallery, argument))
    else:  # until somebody kills us
        person = int(argument)
        mine = []
        while True:
            person += 1
            mine.append(join(gallery, person))
            report("enrolled", mine[-1])
            if len(mine) > 2:
                subject = mine.pop(0)
                report("removing", subject)
                remove(gallery, subject)
                report("removed", subject)

for line in sys.stdin:  # a child for each order, so that the libraries are loaded only once
    what, number, argument = line.split()
    child = os.fork()
    if child == 0:
        work(what, number, argument)
        os._exit(0)
    if what == "forever":
        report("begun", child)
    report("killed" if os.WIFSIGNALED(os.waitpid(child, 0)[1]) else "ended", "-")
"""


class Victims:
    """Child processes that work on one state folder and are killed during the work."""

    def __init__(self, state: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, what: str, number: int, argument: object) -> list[tuple[str, str]]:
        """Run one child. Return its messages, and "killed" or "ended" as the last one."""
        self._order(what, number, argument)
        return self._listen()

    def run_and_kill(self, after: int, share: float, argument: object) -> list[tuple[str, str]]:
        """Run a child that works until this method kills it. The kill comes after the message number `after`, plus
        `share` of the mean time between messages. So a slow machine kills it at the same progress as a fast
        machine.
        """
        self._order("forever", 0, argument)
        ((_, child),) = self._listen(1)
        began = time.monotonic()
        said = self._listen(after)
        time.sleep(share * (time.monotonic() - began) / after)
        os.kill(int(child), signal.SIGKILL)
        return said + self._listen()

    def _order(self, *words: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()

    def _listen(self, most: float = math.inf) -> list[tuple[str, str]]:
        """Return the next messages: at most `most`, up to the final one."""
        assert self._process.stdout is not None
        said: list[tuple[str, str]] = []
        while len(said) < most and (not said or said[-1][0] not in {"killed", "ended"}):
            word, argument = self._process.stdout.readline().split()
            said.append((word, argument))
        return said

    def close(self) -> None:
        self._process.communicate(timeout=20)


@pytest.fixture
def victims(state: Path) -> Iterator[Victims]:
    victims = Victims(state)
    yield victims
    victims.close()


def face(person: int) -> Embedding:
    vector = np.random.default_rng(person).standard_normal(DIMENSION)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def is_whole(gallery: Gallery) -> bool:
    """Return whether every enrolled person has two readable templates, no other template or key is left
    except pending ones, and no erasure is due.
    """
    register = gallery._register
    subjects = register._people.subjects()
    debts = [c.execute("SELECT count(*) FROM erasures").fetchone()[0] for c in register._stores.connections]
    return (
        gallery.size == len(subjects)
        and gallery.template_count == 2 * len(subjects)
        and register._templates.count() == 2 * len(register._people.faces())
        and register._templates.keys().keys() == register._people.faces()
        and gallery.unreadable_count == 0
        and debts == [0, 0]
    )


def has_traces(state: Path, person: int) -> bool:
    secrets = [f"Resident Number {person}".encode(), f"paper-{person}".encode()]
    contents = [file.read_bytes() for file in state.rglob("*") if file.is_file()]
    return any(secret in content for secret in secrets for content in contents)


def finds(gallery: Gallery, person: int) -> bool:
    return any(candidate.score > 0.7 for candidate in gallery.search(face(person)))


def test_killed_before_any_statement_of_an_enrolment_somebody_is_enrolled_wholly_or_not_at_all(
    state: Path, opened, join, victims: Victims
) -> None:
    opened().close()
    outcomes = set()
    for statement in range(1, 100):
        person = 1000 + statement
        said = victims.run("enrol", statement, person)
        gallery = opened()
        assert is_whole(gallery), f"killed before statement {statement}"
        assert len(gallery.people()) == gallery.size
        outcomes.add((said[-1][0], finds(gallery, person)))
        gallery.close()
        if said[-1][0] == "ended":
            break
    assert {("killed", False), ("killed", True), ("ended", True)} == outcomes


def test_killed_before_any_statement_of_a_removal_somebody_is_there_wholly_or_gone_without_a_trace(
    state: Path, opened, victims: Victims
) -> None:
    outcomes = set()
    for statement in range(1, 100):
        person = 1000 + statement
        subject = victims.run("enrol", 0, person)[0][1]
        said = victims.run("remove", statement, subject)
        gallery = opened()
        assert is_whole(gallery), f"killed before statement {statement}"
        is_there = finds(gallery, person)
        assert is_there == (subject in {each.subject for each in gallery.people()})
        assert is_there == has_traces(state, person), f"killed before statement {statement}"
        outcomes.add((said[-1][0], is_there))
        gallery.close()
        if said[-1][0] == "ended":
            break
    assert {("killed", False), ("killed", True), ("ended", False)} == outcomes


def test_a_kill_before_any_statement_of_a_new_enrolment_keeps_the_old_face(
    state: Path, opened, victims: Victims
) -> None:
    outcomes = set()
    for statement in range(1, 100):
        person = 1000 + 2 * statement
        subject = victims.run("enrol", 0, person)[0][1]
        said = victims.run("again", statement, f"{subject}/{person + 1}")
        gallery = opened()
        assert is_whole(gallery), f"killed before statement {statement}"
        assert finds(gallery, person), f"killed before statement {statement}"
        assert not finds(gallery, person + 1)
        outcomes.add((said[-1][0], bool(Holdings(gallery._register).waiting(subject, gallery.embedder_sha256))))
        gallery.close()
        if said[-1][0] == "ended":
            break
    assert {("killed", False), ("killed", True), ("ended", True)} == outcomes


def test_a_kill_at_any_moment_keeps_every_acknowledged_change(state: Path, opened, victims: Victims) -> None:
    chance = random.Random(20260301)
    enrolled: set[str] = set()
    gone: set[str] = set()
    for number in range(30):
        said = victims.run_and_kill(chance.randint(1, 12), chance.random(), 100_000 * (number + 1))
        assert said[-1][0] == "killed"
        enrolled |= {subject for word, subject in said if word == "enrolled"}
        gone |= {subject for word, subject in said if word == "removed"}
        doubtful = {subject for word, subject in said if word == "removing"} - gone
        gallery = opened()
        assert is_whole(gallery)
        there = {person.subject for person in gallery.people()}
        assert there >= enrolled - gone - doubtful
        assert not there & gone
        gone |= doubtful - there
        enrolled |= there
        gallery.close()
    assert len(gone) > 30

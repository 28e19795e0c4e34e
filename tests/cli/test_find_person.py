"""A command finds people by name and asks before a step that cannot be undone."""

import json
import os
import pty
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest
from click.testing import CliRunner

from gated.cli import find_person, main
from gated.cli.find_person import matching


@dataclass(frozen=True)
class NamedPerson:
    subject: str
    name: str
    household: str


WANG, WANG_LI, LI = (
    NamedPerson("8c1f0e5a77b2d943", "王芳", "3-502"),
    NamedPerson("8c1faaaaaaaaaaaa", "王芳丽", "3-503"),
    NamedPerson("03bd6e1f2a9c5840", "Li Na", "3-502"),
)
EVERYBODY = [WANG, WANG_LI, LI]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("8c1f0e5a77b2d943", [WANG]),
        ("8c1f0e", [WANG]),
        ("8c1f", [WANG, WANG_LI]),
        ("8C1F0E", [WANG]),
        ("王芳", [WANG]),  # a whole name counts more than a part
        ("芳", [WANG, WANG_LI]),
        ("王芳丽", [WANG_LI]),
        ("ｌｉ　ｎａ", [LI]),
        ("LI NA", [LI]),
        ("na", [LI]),
        ("王芳 ３－５０２", [WANG]),
        ("Li Na (3-502)", [LI]),
        ("03b", []),  # too few digits of an id
        ("3-502", []),  # a household is no person's name
        ("zhao", []),
        ("", []),
        ("  ", []),
    ],
)
def test_a_person_is_found_by_id_name_or_part_of_a_name(words, found):
    assert matching(words, EVERYBODY) == found


@pytest.fixture
def office(gate):
    """Return a gate with three people. Its commands run in this process."""

    def run(*arguments, check=0, typed=None):
        done = CliRunner().invoke(main, ["--config", str(gate.config), "people", *arguments], input=typed)
        assert done.exit_code == check, done.output
        assert "Traceback" not in done.output
        return done.output

    gate.office = run
    gate.ids = {
        name: run("add", "--name", name, "--household", flat).split()[-1]
        for name, flat in (("Wang Fang", "3-502"), ("Wang Fei", "3-503"), ("Li Na", "3-502"))
    }
    return gate


@pytest.fixture
def answering(monkeypatch):
    """Act as if a person sat at the terminal. The test gives the typed text with the command."""
    monkeypatch.setattr(find_person, "is_asked", lambda: True)


COMMANDS = [
    ["show"], ["suspend"], ["resume"], ["role"], ["rights", "--door", "main"], ["prefer", "--first", "touch"],
    ["card", "add", "--number", "12345678"], ["remove", "--yes"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_accepts_a_name(office, command):
    words = command[:2] if command[0] == "card" else command[:1]
    printed = office.office(*words, "li na", *command[len(words) :])
    if command[0] not in ("show", "role"):
        assert "Li Na (3-502)" in printed
    assert "no person here" in office.office(*words, "zhao", *command[len(words) :], check=1)


def test_a_pin_is_set_and_removed_by_name(office):
    assert "Li Na (3-502)" in office.office("pin", "set", "Li Na", typed="739154\n")
    assert "Li Na (3-502)" in office.office("pin", "remove", "Li Na")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_several_matches_without_a_terminal_are_refused(office, command):
    words = command[:2] if command[0] == "card" else command[:1]
    printed = office.office(*words, "wang", *command[len(words) :], check=1)
    assert office.ids["Wang Fang"] in printed
    assert office.ids["Wang Fei"] in printed
    assert "Fang" not in printed  # the log shows no name
    assert [each["status"] for each in json.loads(office.office("list", "--json"))] == ["active"] * 3


def test_several_matches_on_a_terminal_offer_a_choice(office, answering):
    printed = office.office("suspend", "wang", typed="2\n")
    assert "1  Wang Fang (3-502)" in printed
    assert "suspended Wang Fei (3-503)" in printed
    assert [each["name"] for each in json.loads(office.office("list", "--json")) if each["status"] != "active"] == [
        "Wang Fei"
    ]


def test_a_removal_needs_confirmation_and_names_the_person(office, answering):
    assert "Erase Li Na (3-502)" in office.office("remove", "Li Na", typed="n\n", check=1)
    assert len(json.loads(office.office("list", "--json"))) == 3
    assert "removed Li Na (3-502)" in office.office("remove", "Li Na", typed="y\n")
    assert len(json.loads(office.office("list", "--json"))) == 2


def test_a_removal_without_a_terminal_or_yes_is_refused(office):
    printed = office.office("remove", "Li Na", check=2)
    assert "--yes" in printed
    assert "Li Na" not in printed.replace("'Li Na'", "")
    assert len(json.loads(office.office("list", "--json"))) == 3


@pytest.mark.parametrize("spelling", ["3-502", "３－５０２", "3–502"])
@pytest.mark.parametrize("name", ["Li Na", "LI NA", "Ｌｉ Ｎａ"])
def test_a_second_person_with_the_same_name_in_a_household_needs_confirmation(office, name, spelling):
    assert "--yes" in office.office("add", "--name", name, "--household", spelling, check=2)
    assert len(json.loads(office.office("list", "--json"))) == 3
    office.office("add", "--name", name, "--household", spelling, "--yes")
    assert len(json.loads(office.office("list", "--json"))) == 4


def test_the_same_name_in_another_household_needs_no_confirmation(office):
    office.office("add", "--name", "Li Na", "--household", "9-101")


@pytest.mark.parametrize("near", ["3502", "3-5O2", "3号楼502室", "03-502"])
def test_a_household_similar_to_a_known_one_needs_confirmation(office, near):
    assert "nearly the same name" in office.office("add", "--name", "Zhao", "--household", near, check=2)
    office.office("add", "--name", "Zhao", "--household", near, "--yes")


def test_a_role_similar_to_a_known_one_needs_confirmation(office):
    office.office("role", "Li Na", "staff")
    assert "'staff'" in office.office("role", "Wang Fei", "staf", check=2)
    office.office("role", "Wang Fei", "STAFF")
    assert {each["role"] for each in json.loads(office.office("list", "--json"))} == {"resident", "staff"}


@pytest.mark.parametrize(("option", "wrong"), [("--schedule", "wrok"), ("--gate", "frnot"), ("--door", "mian")])
def test_an_unknown_name_is_refused_with_similar_names(office, option, wrong):
    office.write(schedules={"work": {"start": "08:00", "end": "18:00"}})
    assert "did you mean" in office.office("rights", "Li Na", option, wrong, check=2)


def test_an_access_rule_may_be_for_this_gate_only(office):
    office.office("rights", "Li Na", "--gate", "Front", "--door", "MAIN")
    assert json.loads(office.office("show", "Li Na", "--json"))["rights"][0]["door"] == "front/main"
    office.office("rights", "Li Na", "--gate", "front")
    assert [each["door"] for each in json.loads(office.office("show", "Li Na", "--json"))["rights"]] == [
        "front/main",
        "front/*",
    ]


def test_the_question_appears_on_a_real_terminal(gate):
    gate.run("people", "add", "--name", "Li Na", "--household", "3-502", check=0)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gated", "--config", str(gate.config), "people", "remove", "na"]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        printed = b""
        deadline = time.monotonic() + 60
        while b"for good?" not in printed and time.monotonic() < deadline:
            printed += os.read(ours, 4096)
        os.write(ours, b"n\n")
        assert process.wait(60) == 1
    os.close(ours)
    assert b"Erase Li Na (3-502)" in printed
    assert len(gate.json("people", "list")) == 1

"""Tests `gated lockdown`: a person orders and ends it, the command reports it, and a running gate obeys."""

import pytest
from click.testing import CliRunner

from gated.access.lockdown import read_last_record, read_lockdown
from gated.cli import main


@pytest.fixture
def office(gate):
    """Return a function that runs the gate's lockdown command in this process."""

    def run(*arguments, check=0):
        done = CliRunner().invoke(main, ["--config", str(gate.config), "lockdown", *arguments])
        assert done.exit_code == check, done.output
        assert "Traceback" not in done.output
        return done.output

    gate.state.mkdir(mode=0o700)
    return run


def test_without_a_command_there_is_no_lockdown(office, gate):
    assert "no lockdown" in office("status")
    assert gate.json("lockdown", "status", check=0) == {"on": False, "by": None, "at": None}


def test_a_lockdown_shows_who_began_it_and_when(office, gate):
    assert "ordered by the office" in office("on", "--by", "the office")
    assert "ordered by the office" in office("status")
    status = gate.json("lockdown", "status", check=0)
    assert (status["on"], status["by"]) == (True, "the office")
    assert status["at"].endswith("Z")


def test_a_second_lockdown_command_does_not_replace_the_first(office, gate):
    office("on", "--by", "the office")
    assert "ordered by the office" in office("on", "--by", "the guard")
    assert read_lockdown(gate.state).by == "the office"


def test_the_person_who_ended_the_lockdown_is_recorded(office, gate):
    office("on", "--by", "the office")
    assert "no lockdown" in office("off", "--by", "the guard")
    assert read_lockdown(gate.state) is None
    assert read_last_record(gate.state).by == "the guard"


def test_ending_no_lockdown_is_not_an_error(office):
    assert "no lockdown" in office("off", "--by", "the guard")


def test_an_unreadable_lockdown_can_be_shown_and_ended(office, gate):
    (gate.state / "lockdown.json").write_bytes(b"{")
    assert "a file that cannot be read" in office("status")
    office("off", "--by", "the guard")
    assert "no lockdown" in office("status")


@pytest.mark.parametrize("verb", ["on", "off"])
@pytest.mark.parametrize("name", [None, "", "  ", "two\nlines", "x" * 101, "\x1b[31mred"])
def test_beginning_and_ending_a_lockdown_need_a_name(office, gate, verb, name):
    office(verb, *([] if name is None else ["--by", name]), check=2)
    assert read_last_record(gate.state) is None


def test_without_a_gate_no_lockdown_begins(gate):
    done = gate.run("lockdown", "on", "--by", "the office", check=3)
    assert "no lockdown has begun" in done.stderr


def test_a_running_gate_obeys_and_records_who_began_and_ended_the_lockdown(gate, wait_for):
    gate.write(models={"dir": "nowhere"})
    gate.start("run")
    wait_for(lambda: "on duty" in gate.log())
    gate.run("lockdown", "on", "--by", "the office", check=0)
    wait_for(lambda: gate.events("lockdown"), every_s=0.3)
    gate.run("lockdown", "off", "--by", "the guard", check=0)
    wait_for(lambda: len(gate.events("lockdown")) == 2, every_s=0.3)
    began, ended = gate.events("lockdown")
    assert (began["by"], began.get("is_over", False)) == ("the office", False)
    assert (ended["by"], ended["is_over"]) == ("the guard", True)

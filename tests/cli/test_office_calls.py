"""A visitor calls at a gate. The office hears the call and answers."""

import json
import sys
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.cli.office import watch
from gated.journal.entry import stamp
from gated.office.alarm_store import Alarm
from gated.office.running_processes import mark_serving
from gated.office.store import Store
from gated.protocol.command_messages import AnswerCall
from gated.protocol.jose import Identity


@pytest.fixture
def store(tmp_path):
    with closing(Store.create(tmp_path / "office", "market-south")) as store:
        store.add_gate("gate-1", Identity.make().party.dump(), "0a0b")
        yield store


@pytest.fixture(autouse=True)
def served(tmp_path, store):
    """Hold the lock of a serving office, so that commands see one."""
    held = mark_serving(tmp_path / "office", 0, 1)
    yield held
    with suppress(OSError):
        held.close()


@pytest.fixture
def office(tmp_path, store):
    def run(*arguments, check=0):
        done = CliRunner().invoke(main, ["office", "--dir", str(tmp_path / "office"), *map(str, arguments)])
        assert done.exit_code == check, done.output
        return done.output

    return run


def call(store, door="main"):
    store.alarms.open("gate-1", "call_pressed", door, stamp(datetime.now(UTC)))


@pytest.mark.parametrize("answer", ["opening", "wait", "nobody"])
def test_an_answer_is_sent_to_the_gate(office, store, answer):
    printed = office("answer", "gate-1", f"--{answer}", "--operator", "li", "--wait-s", 0.1, check=1)
    assert "will not carry it out later" in printed
    [placed] = store.commands.unreported_cancellations()
    assert (placed.content.action, placed.content.reason) == (AnswerCall(answer), "a call")


def test_letting_a_caller_in_needs_the_operators_name(office, store):
    assert "--operator" in office("answer", "gate-1", "--opening", check=2)
    assert store.commands.unreported_cancellations() == []


def test_without_a_serving_office_no_answer_is_sent(office, store, served):
    served.close()
    assert "no `gated office serve`" in office("answer", "gate-1", "--opening", "--operator", "li", check=1)
    assert store.commands.unreported_cancellations() == []


def test_an_answer_may_name_the_door_and_must_name_the_action(office, store):
    office("answer", "gate-1", "--wait", "--door", "second", "--operator", "li", "--wait-s", 0, check=1)
    [placed] = store.commands.unreported_cancellations()
    assert (placed.content.action, placed.content.operator) == (AnswerCall("wait", "second"), "li")
    assert "--opening" in office("answer", "gate-1", check=2)
    office("answer", "gate-9", "--wait", "--wait-s", 0, check=1)


def test_a_call_is_listed_with_the_next_step(office, store):
    call(store)
    printed = " ".join(office("alarms", check=1).split())
    assert "call_pressed" in printed
    assert "gated office answer" in json.loads(office("alarms", "--json", check=1))[0]["meaning"]


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Return a function that runs `gated office watch`. Each look runs one step. Returns the output."""

    def run(*steps, options=()):
        left = list(steps)

        def sleep(_):
            if not left:
                raise KeyboardInterrupt
            left.pop(0)()

        monkeypatch.setattr(watch, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
        done = CliRunner().invoke(main, ["office", "--dir", str(tmp_path / "office"), "watch", *options])
        return done.output

    return run


def test_the_watch_shows_open_new_and_ended_alarms(watched, store):
    call(store)
    printed = watched(
        lambda: call(store, "second"),
        lambda: store.alarms.end("gate-1", "call_pressed", stamp(datetime.now(UTC)), "main"),
    )
    lines = [line for line in printed.splitlines() if "gate-1" in line]
    assert ["call_pressed main" in lines[0], "call_pressed second" in lines[1], "main: is over" in lines[2]] == [
        True
    ] * 3
    assert "gated office answer" in lines[0]


def test_the_watch_passes_each_alarm_to_a_program_once(watched, store, tmp_path):
    hook, heard = tmp_path / "hook", tmp_path / "heard"
    hook.write_text(f"#!/bin/sh\ncat >> {heard}\necho >> {heard}\n")
    hook.chmod(0o755)
    call(store)
    watched(lambda: None, lambda: call(store, "second"), lambda: None, options=["--run", str(hook)])
    told = [json.loads(line) for line in heard.read_text().splitlines()]
    assert [(each["gate"], each["kind"], each["detail"]) for each in told] == [
        ("gate-1", "call_pressed", "main"), ("gate-1", "call_pressed", "second"),
    ]  # fmt: skip


def test_a_failing_program_is_reported_and_the_watch_continues(watched, store, tmp_path):
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\nexit 3\n")
    hook.chmod(0o755)
    call(store)
    printed = watched(lambda: call(store, "second"), lambda: None, options=["--run", str(hook)])
    assert printed.count("check that it is executable") == 2


def test_the_watch_reports_a_missing_office_once_and_again_after_a_later_end(watched, store, served, tmp_path):
    again = []

    def serve():
        again.append(mark_serving(tmp_path / "office", 0, 1))

    def end():
        again[0].close()

    served.close()
    printed = watched(lambda: None, serve, lambda: None, end, lambda: None)
    assert printed.count("no `gated office serve` serves gate-1") == 2


def test_the_watch_of_a_serving_office_prints_no_warning(watched, store):
    assert "no `gated office serve`" not in watched(lambda: None)


def test_the_watch_as_json_prints_one_object_a_line(watched, store):
    call(store)
    [line] = watched(options=["--json"]).splitlines()[:1]
    assert json.loads(line)["kind"] == "call_pressed"


def alarm(kind="call_pressed", over_at=None):
    return Alarm(1, "gate-1", kind, "main", stamp(datetime.now(UTC)), over_at)


def test_the_bell_rings_on_a_terminal_only_during_a_call(monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert watch.ring([alarm()])
    assert capsys.readouterr().out == "\a"
    assert not watch.ring([alarm("tampered"), alarm(over_at="2026-11-23T07:58:00Z")])
    assert capsys.readouterr().out == ""


def test_a_pipe_gets_no_bell(capsys):
    assert watch.ring([alarm()])
    assert capsys.readouterr().out == ""

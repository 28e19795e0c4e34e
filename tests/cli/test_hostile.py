"""A hostile gate, name, journal and answer hold terminal control codes. No command prints them, and JSON keeps the
text.

The test finds every command with `--json` by itself, so it includes new commands.
"""

import ast
import json
import logging
import os
import pty
import re
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner

import gated.cli
from gated.access.lockdown import begin_lockdown
from gated.cli import fail, main, models, setup, streams
from gated.cli.office import command_runner, watch
from gated.cli.step_output import check_steps
from gated.errors import ConfigError, ModelError, OfficeError, StateError
from gated.events import Stopped
from gated.journal.chain import genesis, row_digest
from gated.journal.journal import Journal
from gated.office.office_person import OfficePerson
from gated.office.running_processes import Waiting
from gated.office.store import Store
from gated.people.store import People
from gated.printable import printable
from gated.protocol.command_messages import ReleaseDoor, ReplyFinding
from gated.protocol.event_messages import EventBatch, WireEvent
from gated.protocol.jose import Identity
from gated.protocol.record_messages import QuarantinedRecord
from gated.protocol.status_messages import JournalMark, Status
from gated.protocol.wire_records import HouseholdRecord, RoleRecord, ScheduleRecord, WireConsent
from gated.service import logs

EVIL = (
    "\x1b]0;pwn\x07\x1b]52;c;ZQ==\x07\x9b8m\u202e\u2066\u200b\r\n0 all is well\t\x7f\x00e\u0301\u0301\u0301\u0301\u0301"
)
"""A terminal title, the clipboard, hidden text, text direction, invisible signs, a new line, many marks on a letter."""
FILE = EVIL.replace("\0", "").replace("/", "")
"""The same text as part of a file name."""
SUBJECT, NOW = "a" * 16, datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
AT = NOW.isoformat()


def commands(group=main, path=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield from commands(command, (*path, name)) if isinstance(command, click.Group) else [(path, name, command)]


LISTING = {
    " ".join((*path, name)) for path, name, command in commands() if any(p.name == "as_json" for p in command.params)
}
ARGUMENTS = {"office person show": [SUBJECT], "people show": [SUBJECT], "pass show": [EVIL]}
ORDERS = {
    "office answer": ["gate-1", "--nobody"],
    "office batch announce": ["--people", "5"],
    "office diagnose": ["gate-1"],
    "office enrol": ["gate-1", SUBJECT, "--yes"],
    "office held accept": ["--all", "--yes"],
    "office lockdown": ["gate-1", "on"],
    "office models": ["gate-1", "site"],
    "office release": ["gate-1", "--operator", "li", "--reason", "a drill"],
    "office restart": ["gate-1"],
    "office settings": ["gate-1"],
}
"""Orders to a gate. A hostile gate may answer anything."""
ALONE = {"office forms", "office watch", "update", "models verify"}
"""Commands with their own test below."""
MODELS = {"office invite", "enrol", "readers show", "identify", "evaluate", "bench"}
"""Commands that need an authority, models, a reader or minutes.

`test_every_command_prints_through_the_one_output_function` covers them.
"""
TRIED = sorted(LISTING - {*ORDERS, *ALONE, *MODELS})


def run(*words):
    done = CliRunner().invoke(main, list(words))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.stdout, done.stderr


def is_harmless(text):
    """Return True if no terminal control, no invisible sign and no line of the attacker's is in the text."""
    return printable(text) == text and "\r" not in text and not re.search(r"^0 all is well", text, re.MULTILINE)


@pytest.fixture
def office(tmp_path):
    """Return an office whose gate, people, roles, journal, alarms and answers are hostile."""
    folder = tmp_path / "office"
    store = Store.create(folder, "market-south")
    with closing(store):
        store.add_gate("gate-1", Identity.make().party.dump(), "0a0b")
        status = Status(site="market-south", gate="gate-1", version=EVIL, door=EVIL, degraded=[EVIL, EVIL], models=EVIL,
                        can=["verifiers"],
                        journal=JournalMark(id="5b0f", head=9, acked=0, hash=""))  # fmt: skip
        store.gate_table.record_status("gate-1", status, is_changed=True, is_fresh=True, at=AT)
        body = msgspec.json.encode({"kind": EVIL, EVIL: EVIL, "why": EVIL}).decode()
        rows, before = [], genesis("market-south", "gate-1", "5b0f")
        for seq, text in enumerate((body, EVIL), 1):
            before = row_digest(before, seq, EVIL.encode(), EVIL.encode(), text.encode())
            rows.append(WireEvent(seq=seq, at=EVIL, kind=EVIL, body=text, hash=before))
        batch = EventBatch(site="market-south", gate="gate-1", journal="5b0f", after=0, first=1, last=2,
                           prev=genesis("market-south", "gate-1", "5b0f"), events=rows)  # fmt: skip
        store.journals.store_batch(batch)
        store.alarms.open("gate-1", EVIL, EVIL, AT)
        store.book.put(OfficePerson(n=0, subject=SUBJECT, name=EVIL, household=EVIL, role=EVIL, added_at=AT))
        store.book.put(HouseholdRecord(n=0, household=EVIL, rights=[]))
        store.book.put(RoleRecord(n=0, role=EVIL, rights=[]))
        store.book.put(ScheduleRecord(n=0, name=EVIL, days=[EVIL], start=EVIL, end=EVIL))
    return folder


@pytest.mark.parametrize("command", [each for each in TRIED if each.startswith("office ")])
def test_the_office_prints_no_control_sequence_of_a_gate(office, command):
    words = ["office", "--dir", str(office), *command.split()[1:], *ARGUMENTS.get(command, [])]
    for printed in (*run(*words), *run(*words, "--json")):
        assert is_harmless(printed), ascii(printed)


def test_json_of_a_hostile_gate_is_exact(office):
    [gate] = json.loads(run("office", "--dir", str(office), "gates", "--json")[0])
    assert (gate["version"], gate["degraded"]) == (EVIL, [EVIL, EVIL])
    assert "\\u001b]52;c" in run("office", "--dir", str(office), "gates")[0], "it is shown, not swallowed"
    events = [json.loads(each) for each in run("office", "--dir", str(office), "events", "--json")[0].splitlines()]
    assert [event["kind"] for event in events] == [EVIL, EVIL]
    assert events[0][EVIL] == EVIL
    [person] = json.loads(run("office", "--dir", str(office), "person", "list", "--json")[0])
    assert person["name"] == EVIL


@pytest.fixture
def config(tmp_path):
    """Return a gate with a hostile person and a hostile journal."""
    file = tmp_path / "gated.toml"
    tables = '[site]\nid = "s"\n[gate]\nid = "g"\n[door]\npins = "mock"\n[camera]\nkind = "replay"\npath = "no"\n'
    file.write_text(f'state_dir = "state"\n{tables}')
    (tmp_path / "state").mkdir(mode=0o700)
    with closing(People(tmp_path / "state").connection) as connection:
        row = (SUBJECT, EVIL, EVIL, "active", AT)
        connection.execute(
            "INSERT INTO people (subject, name, household, status, enrolled_at) VALUES (?, ?, ?, ?, ?)", row
        )
    with closing(Journal.open(tmp_path / "state", "s", "g")) as journal:
        journal.append(Stopped(EVIL), NOW)
    begin_lockdown(tmp_path / "state", EVIL, NOW)
    return file


@pytest.mark.parametrize("command", [each for each in TRIED if not each.startswith("office ")])
def test_the_gate_prints_no_control_sequence_of_a_name_or_journal(config, command):
    words = ["--config", str(config), *command.split(), *ARGUMENTS.get(command, [])]
    for printed in (*run(*words), *run(*words, "--json")):
        assert is_harmless(printed), ascii(printed)


def test_json_of_a_hostile_journal_is_exact(config):
    [event] = json.loads(run("--config", str(config), "events", "list", "--json")[0])
    assert event["why"] == EVIL


@pytest.mark.parametrize(
    "words",
    [["people", "show", EVIL.replace("\0", "")], ["office", "--dir", "none" + EVIL.replace("\0", ""), "gates"],
     ["--config", "none" + EVIL.replace("\0", ""), "check"], [EVIL.replace("\0", "")], ["config", EVIL],
     ["pass", "show", EVIL], ["office", "pass", "issue", EVIL], ["pair", EVIL]],
    ids=str,
)  # fmt: skip
def test_an_error_that_quotes_input_has_no_control_sequence(config, words):
    for printed in run("--config", str(config), *words):
        assert printable(printed) == printed, ascii(printed)


@pytest.mark.parametrize(
    "errors",
    [[OfficeError(EVIL)], [OfficeError(f"a: {EVIL}"), OfficeError("b")], [ConfigError(EVIL, [EVIL, EVIL])],
     [ModelError("these:", f"  {EVIL}")]],
    ids=str,
)  # fmt: skip
def test_a_line_break_in_quoted_input_starts_no_line(errors, capsys):
    with streams.guarded(), pytest.raises(SystemExit):
        fail(errors)
    printed = capsys.readouterr().err
    assert is_harmless(printed), ascii(printed)
    assert len(printed.splitlines()) == sum(len(error.lines) for error in errors)


def test_check_prints_one_line_for_each_part_with_any_quoted_text(config, monkeypatch):
    def look(_):
        raise StateError(EVIL)

    monkeypatch.setattr(setup, "_camera", look)
    monkeypatch.setattr(setup, "in_force", lambda *_: ({}, [EVIL]))
    text, _ = run("--config", str(config), "check")
    assert is_harmless(text), ascii(text)
    checks = json.loads(run("--config", str(config), "check", "--json")[0])["checks"]
    assert len(text.splitlines()) == len(checks)
    assert [each["problem"] for each in checks if each["part"] == "camera"] == [EVIL]


def test_a_dry_run_prints_each_fault_on_one_line(capsys):
    with streams.guarded(), pytest.raises(SystemExit):
        check_steps([], [OfficeError(EVIL), ConfigError("here", [EVIL, "that"])])
    printed = capsys.readouterr().err
    assert is_harmless(printed), ascii(printed)
    assert len(printed.splitlines()) == 2 + 1 + 3


def test_the_watch_rings_no_bell_that_a_gate_sent(office, tmp_path, monkeypatch):
    def end(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(watch.time, "sleep", end)
    for words in (["--quiet"], ["--json"], ["--run", str(tmp_path / f"no program{FILE}")]):
        (tmp_path / f"no program{FILE}").touch()
        printed = run("office", "--dir", str(office), "watch", *words)
        assert "u001b]52;c" in "".join(printed)
        assert is_harmless("".join(printed)), ascii(printed)


def test_messages_about_forms_contain_no_control_sequence_of_their_facts(office, tmp_path):
    facts = tmp_path / f"facts{FILE}.toml"
    facts.write_text(f"controller = {json.dumps(EVIL)}\n")
    for words in ([], ["--json"]):
        out = ["--facts", str(facts), "--out", str(tmp_path / f"out{FILE}"), "--no-voice", *words]
        printed = run("office", "--dir", str(office), "forms", *out)
        assert is_harmless("".join(printed)), ascii(printed)


def test_foreign_versions_and_keys_are_printed_escaped(config, tmp_path):
    root = tmp_path / "root"
    (root / "releases" / f"1.0{FILE}").mkdir(parents=True)
    (root / "release.pub").write_text(f"ssh-ed25519 AAAA {EVIL}\n")
    (root / f"gated-9.9.9{FILE}-py3-none-any.whl").touch()
    for words in (["--status"], ["--status", "--json"], ["--check", "--from", str(root)],
                  ["--key", str(root / "release.pub"), "--yes"]):  # fmt: skip
        printed = run("--config", str(config), "update", "--root", str(root), *words)
        assert any(printed)
        assert is_harmless("".join(printed)), ascii(printed)


def test_each_failing_model_is_reported_on_one_line(config, monkeypatch):
    monkeypatch.setattr(models, "problem_of", lambda *_: EVIL)
    text = "".join(run("--config", str(config), "models", "verify"))
    assert "u001b]52;c" in text
    assert is_harmless(text), ascii(text)


def test_every_command_prints_through_the_one_output_function():
    """Composed text goes through `streams.echo`, which makes each sentence one line. Constant text need not."""
    own = {"streams.py", "table_output.py"}
    past = [
        f"{path.name}:{call.lineno}"
        for path in Path(gated.cli.__file__).parent.rglob("*.py")
        if path.name not in own
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in ("click.echo", "click.secho", "click.confirm", "print")
        and not _is_ours(call.args[0])
    ]  # fmt: skip
    assert past == []


def _is_ours(text):
    """Return True for a constant, for JSON, for text made one line, and for a known text of ours."""
    names = {each.id for each in ast.walk(text) if isinstance(each, ast.Name)}
    return isinstance(text, ast.Constant) or bool(names & {"json", "line", "ascii"}) or ast.unparse(text) in (
        "INSTRUCTIONS", "files('gated').joinpath('example.toml').read_text('utf-8')")  # fmt: skip


@pytest.mark.parametrize("command", sorted(ORDERS))
def test_an_answer_of_a_gate_to_a_command_is_printed_escaped(office, tmp_path, monkeypatch, command):
    def answer(waiting):
        """Act as the serving process, with the words of a hostile gate."""
        with closing(Store.open(office)) as store:
            for placed in store.commands.open():
                store.commands.store_progress(placed.id, EVIL)
                if placed.progress:
                    store.commands.finish(placed, "refused", EVIL, [ReplyFinding(level="red", part=EVIL, says=EVIL)])

    monkeypatch.setattr(Waiting, "heartbeat", answer)
    monkeypatch.setattr(command_runner, "require_served", lambda *_: None)
    monkeypatch.setattr(command_runner, "is_served", lambda *_: True)
    with closing(Store.open(office)) as store:
        can = ["verifiers", "live", "batch", "held"]
        status = Status(site="market-south", gate="gate-1", version=EVIL, door=EVIL, can=can)
        store.gate_table.record_status("gate-1", status, is_changed=True, is_fresh=True, at=AT)
        consent = WireConsent(purpose="recognise", reference="", notice="1", at=AT)
        who = OfficePerson(n=0, subject=SUBJECT, name=EVIL, household=EVIL, role=EVIL, added_at=AT, consents=[consent])
        store.book.put(who)
        store.held.store_list("gate-1", [QuarantinedRecord(SUBJECT, "bulk", 1)], is_first=True)
    said = ORDERS[command]
    if command == "office settings":
        (tmp_path / "new.toml").write_text("[access]\nframes = 3\n")
        said = [*said, str(tmp_path / "new.toml")]
    words = ["office", "--dir", str(office), *command.split()[1:], *said]
    for printed in (run(*words), run(*words, "--json")):
        assert "u001b]52;c" in "".join(printed), "it was answered"
        assert is_harmless("".join(printed)), ascii(printed)


def test_an_answer_of_a_gate_is_one_escaped_line(office, capsys):
    from gated.cli.office.command_runner import _sentence

    with closing(Store.open(office)) as store:
        placed = store.commands.place("gate-1", ReleaseDoor(), "li", "a drill", NOW)
        store.commands.finish(
            store.commands.get(placed), "refused", EVIL, [ReplyFinding(level="red", part=EVIL, says=EVIL)]
        )
        said = _sentence(store.commands.get(placed))
    streams.echo(said)
    printed = capsys.readouterr().out
    assert is_harmless(printed)
    assert len(printed.splitlines()) == 1


def test_a_table_on_a_terminal_has_only_the_colours_of_the_program(config):
    """Runs on a real terminal, as a person sees it."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "gated", "--config", str(config), "people", "list"]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "300"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        printed = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:
                break
            printed += chunk
        assert process.wait() == 0
    os.close(ours)
    text = printed.decode().replace("\r\n", "\n")
    assert "\x1b[" in text, "the heads of a table are in bold"
    assert is_harmless(re.sub(r"\x1b\[[0-9;]*m", "", text)), ascii(text)
    assert "\\u001b]52;c" in text.replace("\n", "")


def test_a_log_line_stays_one_line_with_any_quoted_text():
    record = logging.LogRecord("gated", logging.WARNING, "", 0, "%s says %s", ("gate-1", EVIL), None)
    for formatter in (logs.OneLineFormatter("%(message)s"), logs.JournalFormatter("%(message)s")):
        said = formatter.format(record)
        assert is_harmless(said), ascii(said)
        assert len(said.splitlines()) == 1
    try:
        raise ValueError(EVIL)
    except ValueError:
        record.exc_info = sys.exc_info()
    assert printable(logs.OneLineFormatter("%(message)s").format(record)).count("\x1b") == 0


def test_the_traceback_of_an_unexpected_error_is_escaped():
    script = "import gated.cli as c; c.show_json = None; c.Gated.invoke = lambda *_: 1 / int(EVIL); c.main(['check'])"
    done = subprocess.run(
        [sys.executable, "-c", f"EVIL = {EVIL!r}\n{script}"], capture_output=True, text=True, check=False
    )
    assert "ValueError" in done.stderr
    assert printable(done.stderr) == done.stderr

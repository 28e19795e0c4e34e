"""Tests the commands as a new user sees them: help, an example, and one clear message for each error."""

import importlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from gated.cli import COMMANDS, main
from gated.config import Settings, parse

EXAMPLE = Path(importlib.import_module("gated").__file__).parent / "example.toml"


@pytest.fixture
def gate(whole_gate):
    """Return a gate whose commands run in this process."""
    whole_gate.run = whole_gate.invoke
    return whole_gate


def only_line(done):
    """Return the single message of a failed command. Asserts that no traceback is in it."""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("gated: ")
    assert done.stderr.count("gated: ") == 1
    return done.stderr


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_command_has_a_help_text(command):
    result = CliRunner().invoke(main, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output
    assert len(result.output.splitlines()) > 4


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from gated.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"'numpy'", "'onnxruntime'", "'PIL'", "'sqlite3'"} & set(
        loaded.replace("[", "").replace("]", "").split(", ")
    )


def test_the_commands_of_an_office_load_no_pins_and_no_numpy():
    """The office needs neither, and each command would start twice as slowly on a small machine."""
    code = "import sys, gated.cli.office.office; print(*{'numpy', 'gpiozero', 'gated.office.serve'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_an_unknown_command_is_a_usage_error():
    assert CliRunner().invoke(main, ["opne"]).exit_code == 2


def test_the_example_is_valid_and_its_missing_keys_have_defaults():
    settings = parse(tomllib.loads(EXAMPLE.read_text()), Path("/"))
    plain = parse({"site": {"id": "courtyard-2"}, "gate": {"id": "front"}}, Path("/"))
    assert settings == plain


def test_the_example_names_every_key_with_its_default():
    lines = EXAMPLE.read_text().splitlines()
    bare = [line.removeprefix("# ") if " = " in line or line.startswith("# [") else line for line in lines]
    data = tomllib.loads("\n".join(line for line in bare if not line.startswith("#")))
    for chapter in msgspec.structs.fields(Settings):
        if not (isinstance(chapter.type, type) and issubclass(chapter.type, msgspec.Struct)):
            assert chapter.name in data
            continue
        for field in msgspec.structs.fields(chapter.type):
            assert field.name in data[chapter.name], f"{chapter.name}.{field.name} is not in the example"
            if field.default not in (msgspec.NODEFAULT, None):
                assert msgspec.convert(data[chapter.name][field.name], type(field.default)) == field.default
    parse({**data, "state_dir": "/x"}, Path("/"))


def test_config_new_prints_the_example(gate):
    assert gate.run("config", "new", check=0).stdout == EXAMPLE.read_text()


@pytest.mark.parametrize("arguments", [["run"], ["check"], ["people", "list"], ["events", "list"], ["models", "list"]])
def test_misspelt_settings_give_one_clear_message(gate, arguments):
    gate.config.write_text(gate.config.read_text().replace("release_s", "realease_s") + "[smell]\n")
    message = only_line(gate.run(*arguments, check=2))
    assert "door.realease_s: unknown key; did you mean 'release_s'?" in message
    assert "smell: unknown key" in message


def test_missing_settings_give_an_error_that_names_the_command_to_create_them(gate):
    gate.config.unlink()
    assert "config new" in only_line(gate.run("check", check=2))


def test_the_settings_may_come_from_the_environment(gate):
    command = [sys.executable, "-m", "gated", "people", "list", "--json"]
    done = subprocess.run(
        command, env={**os.environ, "GATED_CONFIG": str(gate.config)}, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize("arguments", [["people", "list"], ["events", "list"]])
def test_an_unusable_state_folder_gives_one_clear_message(gate, arguments):
    gate.state.write_text("a file where a folder belongs")
    message = only_line(gate.run(*arguments, check=3))
    assert str(gate.state) in message
    assert gate.state.read_text() == "a file where a folder belongs"


def test_a_gate_with_an_unusable_state_folder_starts_and_logs_it_once(gate, wait_for):
    gate.state.write_text("a file where a folder belongs")
    gate.write(door={"socket": str(gate.folder / "latch.sock")}, models={"dir": "nowhere"})
    gate.start("latch")
    wait_for((gate.folder / "latch.sock").exists)
    brain = gate.start("run", "--service")
    wait_for(lambda: "on duty" in gate.log() and "disk is lost" in gate.log())
    brain.terminate()
    assert brain.wait(15) == 0
    log = gate.log()
    assert log.count("disk is lost") == 1
    assert str(gate.state) in log
    assert "Traceback" not in log
    assert gate.state.read_text() == "a file where a folder belongs"


def test_a_file_that_is_not_a_database_gives_one_clear_message_and_is_unchanged(gate):
    gate.state.mkdir()
    (gate.state / "people.db").write_bytes(b"no database" * 1000)
    only_line(gate.run("people", "list", check=3))
    assert (gate.state / "people.db").read_bytes() == b"no database" * 1000


@pytest.mark.parametrize("verb", ["show", "suspend", "resume", "remove"])
def test_an_unknown_person_gives_not_found(gate, verb):
    assert "0123456789abcdef" in only_line(gate.run("people", verb, "0123456789abcdef", check=1))
    assert gate.events() == []


def test_an_empty_journal_verifies_and_has_no_rows(gate):
    assert gate.json("events", "list", check=0) == []
    assert gate.json("events", "verify", check=0) == {"ok": True, "rows": 0, "first_bad": None, "why": None}


def test_an_altered_journal_names_its_first_bad_row(gate, wait_for):
    import sqlite3

    from gated.events import Stopped
    from gated.journal.journal import Journal

    journal = Journal.open(gate.state, "courtyard-2", "front")
    from datetime import UTC, datetime

    for number in range(5):
        journal.append(Stopped(f"reason {number}"), datetime.now(UTC))
    journal.close()
    database = sqlite3.connect(gate.state / "journal.db")
    database.execute("UPDATE event SET body = replace(body, 'reason 2', 'nothing') WHERE seq = 3")
    database.commit()
    database.close()
    assert gate.json("events", "verify", check=1)["first_bad"] == 3
    assert "row 3" in gate.run("events", "verify", check=1).stderr
    assert len(gate.json("events", "list", check=0)) == 5


def test_the_newest_events_are_last_and_their_number_can_be_limited(gate):
    from datetime import UTC, datetime

    from gated.events import Stopped
    from gated.journal.journal import Journal

    journal = Journal.open(gate.state, "courtyard-2", "front")
    for number in range(60):
        journal.append(Stopped(str(number)), datetime.now(UTC))
    journal.close()
    assert [e["why"] for e in gate.events()] == [str(n) for n in range(60)]
    assert [e["seq"] for e in gate.json("events", "list", "--last", "2")] == [59, 60]
    assert "59" in gate.run("events", "list", check=0).stdout


def test_check_refuses_real_pins_on_a_desk(gate):
    gate.write(door={"pins": "gpio"})
    checks = {c["part"]: c["problem"] for c in gate.json("check", check=3)["checks"]}
    assert 'pins = "mock"' in checks["pins"]


def test_check_reports_every_problem_at_once(gate):
    gate.state.mkdir(mode=0o755)
    gate.write(
        models={"dir": "/nowhere"},
        camera={"path": "/nowhere"},
        sync={"url": "mqtts://x", "ca": "a", "cert": "b", "key": "c", "gate_keys": "d", "office_keys": "e"},
    )
    done = gate.json("check", check=3)
    wrong = {c["part"] for c in done["checks"] if c["problem"]}
    assert {"state folder", "models", "camera", "server"} <= wrong
    assert not done["ok"]
    assert gate.run("check", check=3).stdout.count("fix  ") >= 4


def test_an_unknown_model_set_gives_an_error_that_lists_the_sets(gate):
    gate.write(models={"set": "evalution"})
    assert "evaluation" in only_line(gate.run("models", "verify", check=3))


def test_models_are_listed_with_grade_and_licence(gate):
    rows = gate.json("models", "list", check=0)
    assert {row["set"] for row in rows} >= {"evaluation", "site"}
    assert all(len(row["sha256"]) == 64 and row["licence"] for row in rows)

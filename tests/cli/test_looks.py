"""Commands that only look create nothing for any user: no folder, no key, no database, no log."""

import os
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.cli import setup as setup_commands
from gated.errors import StateError
from gated.events import Stopped
from gated.journal.journal import Journal
from gated.office.store import Store
from gated.people.schema import MIGRATIONS as PEOPLE
from gated.protocol.jose import Identity
from gated.storage import database
from gated.storage.read_only import read_only_mode

LOOKS = [
    ["check"], ["check", "--json"], ["status"], ["doctor"], ["doctor", "--json"], ["events", "list"],
    ["events", "verify"],
    ["people", "list"], ["people", "show", "ann"], ["people", "card", "list"], ["people", "quarantine", "list"],
    ["config", "show"], ["models", "list"], ["models", "verify"], ["lockdown", "status"],
]  # fmt: skip
OFFICE_LOOKS = [
    ["gates"], ["alarms"], ["receipts"], ["person", "list"], ["person", "show", "ann"], ["rights", "list"],
    ["schedule", "list"], ["calendar", "list"], ["timezone"], ["invitations"], ["events"],
]  # fmt: skip


def listing(folder: Path) -> dict:
    """Return kind, size, rights, owner and content of everything below a folder."""
    found = {}
    for path in sorted([folder, *folder.rglob("*")]):
        stat = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (stat.st_mode, stat.st_uid, stat.st_size if path.is_file() else 0, content)
    return found


@pytest.fixture
def run(gate):
    return runner(gate)


def runner(gate):
    def run(*arguments, check=None):
        done = CliRunner().invoke(main, ["--config", str(gate.config), *arguments])
        assert "Traceback" not in done.output
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert check is None or done.exit_code == check, done.output
        return done.output

    return run


@pytest.mark.parametrize("command", LOOKS, ids=" ".join)
def test_reading_a_never_started_gate_creates_no_file(gate, run, command):
    gate.write(models={"dir": "nowhere"})
    before = listing(gate.folder)
    run(*command)
    assert listing(gate.folder) == before
    assert not gate.state.exists()


@pytest.mark.parametrize("command", LOOKS, ids=" ".join)
def test_reading_a_stopped_gate_changes_no_byte(gate, run, command):
    gate.write(models={"dir": "nowhere"})
    run("people", "add", "--name", "Ann", "--household", "2-401", check=0)
    before = listing(gate.folder)
    run(*command)
    assert listing(gate.folder) == before


@pytest.mark.parametrize("command", LOOKS, ids=" ".join)
def test_reading_after_a_crash_creates_no_file_and_includes_the_write_ahead_log(gate, run, command):
    """The write-ahead log exists without its index. SQLite would create the index, and root's would block the gate."""
    gate.write(models={"dir": "nowhere"})
    run("people", "add", "--name", "Ann", "--household", "2-401", check=0)
    with closing(sqlite3.connect(gate.state / "people.db", isolation_level=None)) as other:
        other.execute("UPDATE people SET name = 'Ann Li'")
        copied = {path: path.read_bytes() for path in gate.state.glob("people.db*") if not path.name.endswith("-shm")}
    for path, content in copied.items():
        path.write_bytes(content)
    assert (gate.state / "people.db-wal").stat().st_size
    before = listing(gate.folder)
    printed = run(*command)
    assert listing(gate.folder) == before
    if command == ["people", "list"]:
        assert "Ann Li" in printed


def test_reading_a_running_gate_shows_the_newest_rows(gate, run):
    with closing(Journal.open(gate.state, "courtyard-2", "front")) as journal:
        journal.append(Stopped("one"), datetime.now(UTC))
        before = {path.name for path in gate.state.iterdir()}
        assert "why one" in run("events", "list", check=0)
        journal.append(Stopped("two"), datetime.now(UTC))
        assert "why two" in run("events", "list", check=0)
        assert {path.name for path in gate.state.iterdir()} == before


def test_reading_an_older_schema_migrates_nothing(gate, run):
    database.connect(gate.state / "people.db", PEOPLE[:3]).close()
    before = listing(gate.state)
    assert "nothing to list" in run("people", "list", check=0)
    assert listing(gate.state) == before


def test_reading_a_file_that_is_not_a_database_reports_it(gate, run):
    gate.state.mkdir(mode=0o700)
    (gate.state / "people.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StateError), read_only_mode():
        database.connect(gate.state / "people.db", PEOPLE)
    assert "is damaged" in run("people", "list", check=3)


@pytest.mark.skipif(os.geteuid() != 0, reason="root may write everywhere")
def test_reading_as_root_leaves_no_file_of_root(gate_at, open_folder):
    with gate_at(open_folder) as gate:
        run = runner(gate)
        gate.write(models={"dir": "nowhere"})
        run("people", "add", "--name", "Ann", "--household", "2-401", check=0)
        for command in LOOKS:  # imports everything as root; the interpreter may be readable by root only
            run(*command)
        for path in [gate.state, *gate.state.rglob("*")]:
            os.chown(path, 12345, 12345)
        for command in LOOKS:
            run(*command)
        assert "Ann" in run("people", "list", check=0)
        assert {path.stat().st_uid for path in [gate.state, *gate.state.rglob("*")]} == {12345}


@pytest.mark.parametrize("command", OFFICE_LOOKS, ids=" ".join)
def test_reading_the_office_creates_no_file(tmp_path, command):
    folder = tmp_path / "office"
    with closing(Store.create(folder, "market-south")) as store:
        store.add_gate("gate-1", Identity.make().party.dump(), "0a0b")
    run = ["office", "--dir", str(folder)]
    added = CliRunner().invoke(main, [*run, "person", "add", "--name", "Ann", "--household", "2-401"])
    assert added.exit_code == 0, added.output
    before = listing(folder)
    done = CliRunner().invoke(main, [*run, *command])
    assert done.exit_code == 0, done.output
    assert listing(folder) == before


# -- `gated check`: state folder, schedules and calendar ---------------------------------------------------------------


def checks(run):
    found = {}
    for line in run("check").splitlines():
        word, _, rest = line.partition("  ")
        part, _, says = rest.partition(": ")
        found[part.strip()] = word, says
    return found


def test_an_impossible_state_folder_is_named(gate, run):
    gate.write(state_dir=str(gate.config / "state"))  # a file in place of the folder
    assert "is not a folder" in checks(run)["state folder"][1]
    gate.state.mkdir(mode=0o755)
    gate.write(state_dir=str(gate.state))
    assert "chmod 700" in checks(run)["state folder"][1]


def test_a_schedule_of_the_office_does_not_count_as_missing(gate, run):
    run("people", "add", "--name", "Ann", "--household", "2-401", check=0)
    with closing(database.connect(gate.state / "people.db", PEOPLE)) as people:
        people.execute("INSERT INTO schedules (name, days, start, until) VALUES ('Day', 'mon', '06:00', '22:00')")
        people.execute("INSERT INTO rights (household, schedule) VALUES ('2-401', 'day')")
    assert checks(run)["access rules"][0] == "good"
    run("people", "rights", "ann", "--schedule", "DAY", check=0)
    with closing(database.connect(gate.state / "people.db", PEOPLE)) as people:
        people.execute("DELETE FROM schedules")
    assert "schedules.day" in checks(run)["access rules"][1]


@pytest.mark.parametrize("demand", [["rights", "ann", "--with-card-or-pin"], ["mark", "ann", "--alike"]])
def test_people_whose_face_needs_a_card_that_they_do_not_have_are_named(gate, run, demand):
    subject = run("people", "add", "--name", "Ann", "--household", "2-401", check=0).split()[-1]
    run("people", *demand, check=0)
    assert subject in checks(run)["access rules"][1]
    run("people", "card", "add", "ann", "--number", "0006729715", check=0)
    assert checks(run)["access rules"][0] == "good"


@pytest.mark.parametrize(
    ("day", "holidays", "office", "says"),
    [
        (date(2026, 11, 30), ["2026-10-01"], "", None),
        (date(2026, 12, 1), ["2026-10-01"], "", "2027 are unknown"),
        (date(2026, 12, 1), ["2026-10-01", "2027-01-01"], "", None),
        (date(2026, 12, 1), ["2026-10-01"], "2027-01-01", None),  # the office holds next year's days
        (date(2027, 1, 2), ["2026-10-01"], "", "2027 are unknown"),
        (date(2026, 12, 1), [], "", None),  # no right here has hours
        (date(2026, 6, 1), ["2026-02-30"], "", "2026-02-30 is not a day of the calendar"),
    ],
)
def test_in_december_a_missing_calendar_of_the_next_year_is_reported(
    gate, run, monkeypatch, day, holidays, office, says
):
    class Then(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)

    gate.write(site={"holidays": holidays})
    with closing(database.connect(gate.state / "people.db", PEOPLE)) as people:
        people.execute("INSERT INTO calendars (name, holidays, workdays) VALUES ('calendar-2027', ?, '')", (office,))
    run("people", "list", check=0)
    monkeypatch.setattr(setup_commands, "datetime", Then)
    word, told = checks(run)["calendar"]
    assert (word, says is None) in {("good", True), ("note", False)}
    assert says is None or says in told

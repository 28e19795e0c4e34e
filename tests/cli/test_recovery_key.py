"""A new office asks for a recovery key and alarms until it has one. The key is kept off the machine."""

from contextlib import closing
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from gated.cli.office import recovery
from gated.cli.office.office import office as group
from gated.errors import OfficeError
from gated.journal.entry import stamp
from gated.office import serve
from gated.office.handovers import OFFICE, RECOVERY_MISSING
from gated.office.store import Store
from gated.protocol.recovery_key import RecoveryKey

SITE = "market-south"


@pytest.fixture
def command(tmp_path):
    """Return a function that runs `gated office --dir ...` in this process."""

    def run(*words, answer=""):
        return CliRunner().invoke(group, ["--dir", str(tmp_path / "office"), *map(str, words)], input=answer)

    return run


@pytest.fixture
def init(command):
    def run(*words, answer=""):
        return command("init", "--site", SITE, "--host", "localhost", *words, answer=answer)

    return run


@pytest.fixture
def somebody(monkeypatch):
    monkeypatch.setattr(recovery, "has_terminal", lambda: True)


def public(tmp_path):
    with closing(Store.open(tmp_path / "office")) as store:
        return store.handovers.key


def test_on_a_terminal_a_new_office_asks_where_to_store_its_recovery_key(somebody, init, tmp_path):
    done = init(answer=f"{tmp_path / 'stick'}\n")
    assert done.exit_code == 0, done.output
    assert public(tmp_path) == RecoveryKey.parse((tmp_path / "stick").read_text()).public
    assert "NO recovery key" not in done.output


@pytest.mark.parametrize("answer", ["\n", "  \n"])
def test_declining_a_recovery_key_prints_what_is_missing(somebody, init, tmp_path, answer):
    done = init(answer=answer)
    assert done.exit_code == 0, done.output
    assert public(tmp_path) == ""
    assert "NO recovery key" in done.output
    assert f"gated office --dir {tmp_path / 'office'} recovery FILE" in done.output


def test_without_a_terminal_the_missing_recovery_key_is_reported_without_a_question(init, tmp_path):
    done = init()
    assert done.exit_code == 0, done.output
    assert "NO recovery key" in done.output


def test_an_office_that_cannot_be_created_asks_no_question(somebody, init, tmp_path):
    (tmp_path / "office").mkdir()
    (tmp_path / "office" / "letter").touch()
    done = init(answer=f"{tmp_path / 'stick'}\n")
    assert isinstance(done.exception, OfficeError)
    assert not (tmp_path / "stick").exists()


@pytest.mark.parametrize("place", ["office/key", "link/key", "office/../office/sub/key"])
def test_the_recovery_key_is_never_written_into_the_office_folder(init, command, tmp_path, place):
    assert init().exit_code == 0
    (tmp_path / "office" / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "office")
    for words in (["recovery", tmp_path / place], ["rekey", "--recovery", "-", "--next", tmp_path / place]):
        done = command(*words, answer=RecoveryKey.make().text() + "\n")
        assert "in the office's folder" in str(done.exception)
    assert not (tmp_path / place).exists()
    assert public(tmp_path) == ""


@pytest.mark.parametrize("place", ["there", "nowhere/key", "."])
def test_an_unwritable_recovery_key_creates_no_office_and_changes_no_file(init, tmp_path, place):
    (tmp_path / "there").write_text("mine")
    done = init("--recovery", tmp_path / place)
    assert done.exit_code != 0
    assert not (tmp_path / "office" / "place.json").exists()
    assert (tmp_path / "there").read_text() == "mine"


def test_an_unused_recovery_key_is_deleted(init, command, tmp_path, monkeypatch):
    assert init().exit_code == 0

    def failing(*_):
        raise OfficeError("no room")

    monkeypatch.setattr("gated.office.handovers.Handovers.store_first_key", failing)
    assert command("recovery", tmp_path / "stick").exit_code != 0
    assert not (tmp_path / "stick").exists()


def test_an_office_without_a_recovery_key_raises_an_alarm_at_every_start(init, command, tmp_path):
    assert init().exit_code == 0
    with closing(Store.open(tmp_path / "office")) as store:
        for share in (1, 0, 0):
            serve._prepare_broker(tmp_path / "office", share, store)
            assert bool(store.alarms.all()) is (share == 0)
        assert [(each.gate, each.kind) for each in store.alarms.all()] == [(OFFICE, RECOVERY_MISSING)]
        store.alarms.mark_handled(store.alarms.all()[0].id, stamp(datetime.now(UTC)))
        store.handovers.check_recovery_key(stamp(datetime.now(UTC)))
        assert len(store.alarms.all()) == 1
    printed = command("alarms")
    assert printed.exit_code == 1
    assert "recovery FILE" in printed.output
    assert command("recovery", tmp_path / "stick").exit_code == 0
    assert command("alarms").exit_code == 0
    with closing(Store.open(tmp_path / "office")) as store:
        store.handovers.check_recovery_key(stamp(datetime.now(UTC)))
        assert store.alarms.all() == []

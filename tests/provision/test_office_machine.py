"""The office becomes a service step by step. Each step is tried first, can be repeated, and is removed only on
request.
"""

import encodings.idna  # noqa: F401 - read while we are root: "nobody" may not be able to read this Python
import importlib.readers  # noqa: F401
import os
import pwd
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from gated.cli import main
from gated.cli.office import install
from gated.cli.office.office import office as group
from gated.errors import ConfigError, OfficeError, ProvisionError, StateError
from gated.office.mosquitto import Place
from gated.office.office_creation import change_host
from gated.office.store import Store
from gated.protocol.recovery_key import RecoveryKey
from gated.provision import office_machine as seats
from gated.provision import office_steps
from gated.provision.office_machine import Seat, office_units, remove_units
from gated.provision.office_steps import seat_steps

sys.path.append(str(Path(__file__).parents[1]))
from contracts.office import SITE, new_office

PLACE = Place("office.lan", 18883, 18884)


@pytest.fixture
def root(open_folder, monkeypatch):
    """Return the root of a machine whose program every user may run."""
    (open_folder / "gated").write_text("#!/bin/sh\n")
    (open_folder / "gated").chmod(0o755)
    monkeypatch.setattr(seats, "PROGRAM", str(open_folder / "gated"))
    monkeypatch.setattr(office_steps, "HIDDEN", ("/home", "/root"))
    return open_folder


@pytest.fixture
def seat(root):
    def make(site=SITE, place=PLACE, **more):
        return Seat(root / "srv/office", site, place, "nobody", root=root, is_starting=False, **more)

    return make


def taken(seat):
    done = []
    for step in seat_steps(seat):
        if not step.is_done():
            step.do()
            done.append(step.title)
    return done


def problems(seat):
    return [str(problem) for step in seat_steps(seat) for problem in step.check().problems]


def seen(root):
    return {path: (path.lstat().st_mode, path.lstat().st_uid, path.lstat().st_mtime_ns) for path in root.rglob("*")}


def test_installing_makes_an_office_with_services_and_a_second_run_changes_nothing(seat, root):
    assert problems(seat()) == []
    assert taken(seat()) == ["machine", "office", "services"]
    folder = root / "srv/office"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {pwd.getpwuid(path.stat().st_uid).pw_name for path in (folder, *folder.rglob("*"))} == {"nobody"}
    with closing(Store.open(folder)) as store:
        assert store.site == SITE
    assert "\nuser nobody\n" in (folder / "mosquitto.conf").read_text()
    wants = root / "etc/systemd/system/multi-user.target.wants"
    assert sorted(path.name for path in wants.iterdir()) == ["gated-office-broker.service", "gated-office.service"]
    assert (root / "usr/local/bin/gated").readlink() == root / "gated"
    assert taken(seat()) == ["machine"]


def test_an_existing_command_is_kept(seat, root):
    (root / "usr/local/bin").mkdir(parents=True)
    (root / "usr/local/bin/gated").symlink_to("/opt/another/gated")
    taken(seat())
    assert (root / "usr/local/bin/gated").readlink() == Path("/opt/another/gated")


def test_the_units_have_this_folder_this_user_and_this_program(seat, root):
    office, broker = (office_units(seat())[root / "etc/systemd/system" / name] for name in
                      ("gated-office.service", "gated-office-broker.service"))  # fmt: skip
    folder = root / "srv/office"
    assert f"ExecStart={root}/gated office --dir {folder} serve" in office
    assert f"ExecStart=/usr/sbin/mosquitto -c {folder}/mosquitto.conf" in broker
    for text in (office, broker):
        assert "User=nobody\nGroup=nobody\n" in text
        assert f"ReadWritePaths={folder}\n" in text
        assert "/var/lib/gated-office" not in text


def test_a_dry_run_changes_nothing(seat, root):
    before = seen(root)
    assert problems(seat()) == []
    assert seen(root) == before


def test_every_problem_is_reported_at_once(seat, root, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(office_steps, "HIDDEN", (str(root.parent),))
    said = problems(seat(site="", place=None))
    assert any("use sudo" in each for each in said)
    assert any("services cannot read folders in" in each for each in said)
    assert any("the office's user cannot start it there" in each for each in said)
    assert any("give --site and --host" in each for each in said)


@pytest.mark.parametrize(
    ("place", "says"),
    [(Place("Office Lan", 18883, 18884), "is not a host"), (Place("office.lan", 443, 18884), "reserved for root")],
)
def test_an_unsuitable_place_is_refused_before_anything_is_created(seat, root, place, says):
    assert any(says in each for each in problems(seat(place=place)))
    with pytest.raises((OfficeError, ConfigError), match=says):
        taken(seat(place=place))
    assert not (root / "srv/office/office.db").exists()


def test_all_that_is_wrong_with_a_new_office_comes_at_once(seat, root):
    wrong = Seat(root / "srv/office", "Market South", Place("Office Lan", 80, 80), "Li Wei", "Mars/Olympus", root=root)
    said = problems(wrong)
    for fault in ("'Market South' cannot be the name of a site", "'Office Lan' is not a host",
                  "'Mars/Olympus' is not a time zone",
                  "cannot both use port 80", "port 80 is reserved for root",
                  "--user 'Li Wei' is not allowed"):  # fmt: skip
        assert any(fault in each for each in said), fault
    assert any("--user 'root' is not allowed" in each for each in problems(Seat(root / "o", SITE, PLACE, "root")))


@pytest.mark.parametrize("name", ["a letter", "begun", "a file"])
def test_a_folder_with_other_files_is_named_and_keeps_its_owner(seat, root, name):
    """The installer gives `--dir /srv`, or a first run broke off. No file in the folder changes its owner."""
    folder = root / "srv/office"
    folder.parent.mkdir()
    if name == "a file":
        folder.touch()
    else:
        folder.mkdir(mode=0o755)
        (folder / ("ca.key" if name == "begun" else "letter")).write_text("dear")
    before = seen(root)
    says = {"begun": "did not finish", "a letter": "is not empty", "a file": "Not a directory"}[name]
    assert [each for each in problems(seat()) if says in each]
    with pytest.raises((OfficeError, StateError), match=f"{folder}: "):
        taken(seat())
    assert seen(root) == before


def test_a_different_existing_office_is_not_taken_over_silently(seat, root):
    (root / "srv").mkdir()
    new_office(root / "srv/office")
    before = seen(root)
    other = seat("elsewhere", None)
    assert any(f"this folder has the office of {SITE}" in each for each in problems(other))
    with pytest.raises(OfficeError, match=SITE):
        taken(other)
    moved = seat(SITE, Place("new.lan", 18883, 18884))
    assert any("gated office host new.lan" in each for each in problems(moved))
    assert seen(root) == before
    for host in ("first.lan", "second.lan"):
        change_host(root / "srv/office", host, datetime.now(UTC))
    again = seat(SITE, Place("first.lan", 18883, 18884))
    assert problems(again) == [], "the same command again, after the office was moved"


def test_a_broken_office_hides_no_other_problem(command, root):
    (root / "srv/office").mkdir(parents=True)
    for name in ("office.db", "place.json"):
        (root / "srv/office" / name).write_text("junk")
    done = command("--dry-run", "--user", "Li Wei")
    assert done.exit_code != 0
    assert "--user 'Li Wei' is not allowed" in done.output
    assert str(root / "srv/office") in done.output.partition("To correct")[2]


def test_an_existing_office_is_taken_over_with_its_data(seat, root):
    (root / "srv").mkdir()
    new_office(root / "srv/office")
    key = (root / "srv/office/ca.pem").read_bytes()
    assert "existing office" in [step.check().summary for step in seat_steps(seat())][3]
    assert "office" in taken(seat("", None))
    assert (root / "srv/office/ca.pem").read_bytes() == key
    assert pwd.getpwuid((root / "srv/office/office.db").stat().st_uid).pw_name == "nobody"
    assert taken(seat("", None)) == ["machine"]


def test_an_office_of_a_person_is_moved_first(root):
    seat = Seat(Path("/home/li/office"), SITE, PLACE, "nobody", root=root)
    assert any("sudo mv /home/li/office /var/lib/gated-office" in each for each in problems(seat))
    with pytest.raises(OfficeError, match="services cannot read"):
        taken(seat)


def test_uninstalling_removes_the_services_and_keeps_the_data(seat, root):
    taken(seat())
    assert remove_units(root) == ["gated-office-broker.service", "gated-office.service"]
    assert list((root / "etc/systemd/system").rglob("gated-office*")) == []
    assert (root / "srv/office/office.db").exists()
    assert remove_units(root) == []


@pytest.fixture
def command(root, monkeypatch):
    """Return a function that runs `gated office --dir ... install` in this root."""
    monkeypatch.setattr(install, "Seat", lambda *given, **more: Seat(*given, root=root, **more))

    def run(*words, answer=""):
        arguments = ["--dir", str(root / "srv/office"), "install", "--user", "nobody", "--no-start", *words]
        return CliRunner().invoke(group, arguments, input=answer)

    return run


def test_the_command_says_which_ports_gates_need_and_changes_no_firewall(command):
    done = command("--site", SITE, "--host", "Office.lan", "--port", "18883", "--pairing-port", "18884")
    assert done.exit_code == 0, done.output
    assert "office.lan at ports 18883 (broker) and 18884 (joining)" in done.output
    assert "The firewall was not changed" in done.output


def test_an_office_is_not_installed_in_silence_without_a_recovery_key(command, root, tmp_path):
    place = ("--site", SITE, "--host", "office.lan")
    output = command(*place).output
    assert "NO recovery key" in output
    assert f"gated office --dir {root / 'srv/office'} recovery FILE" in output
    done = command("--recovery", str(tmp_path / "stick"))
    assert done.exit_code == 0, done.output
    key = RecoveryKey.parse((tmp_path / "stick").read_text())
    with closing(Store.open(root / "srv/office")) as store:
        assert store.handovers.key == key.public
    assert (tmp_path / "stick").stat().st_mode & 0o077 == 0
    assert "NO recovery key" not in command().output
    again = command("--recovery", str(tmp_path / "other"))
    assert "recovery key already" in str(again.exception)
    assert not (tmp_path / "other").exists()


def test_uninstalling_asks_twice_and_each_no_keeps_what_it_is_about(command, root):
    command("--site", SITE, "--host", "office.lan")
    done = command("--uninstall", answer="n\n")
    assert isinstance(done.exception, OfficeError)
    assert (root / "etc/systemd/system/gated-office.service").exists()
    assert "Kept:" in command("--uninstall", answer="y\nn\n").output
    assert (root / "srv/office/office.db").exists()
    assert "Deleted" in command("--uninstall", answer="y\ny\n").output
    assert not (root / "srv/office").exists()


def test_uninstalling_without_asking_keeps_the_data(command, root):
    command("--site", SITE, "--host", "office.lan")
    assert "Kept:" in command("--uninstall", "--yes").output
    assert (root / "srv/office/office.db").exists()


def test_a_folder_without_an_office_is_never_taken_away(command, root):
    (root / "srv/office").mkdir(parents=True)
    (root / "srv/office/letters").touch()
    assert isinstance(command("--uninstall", answer="y\ny\n").exception, OfficeError)
    assert (root / "srv/office/letters").exists()


def test_a_dry_run_of_the_command_tells_all_and_makes_nothing(command, root):
    before = seen(root)
    done = command("--dry-run")
    assert done.exit_code == 2
    assert "give --site and --host" in done.output
    assert command("--dry-run", "--site", SITE, "--host", "office.lan").exit_code == 0
    assert seen(root) == before


def test_commands_of_root_run_as_the_owner_of_the_folder(root, tmp_path):
    """A file of root's in the folder would stop the service. A page for root lies in a folder closed to the office's
    user.
    """
    (root / "srv").mkdir()
    new_office(root / "srv/office")
    nobody = pwd.getpwnam("nobody")
    mine = tmp_path / "mine"
    mine.mkdir(mode=0o700)
    (mine / "facts.toml").write_text('models = "site"\n')

    def run(*words):
        done = CliRunner().invoke(main, ["office", "--dir", str(root / "srv/office"), *map(str, words)])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert os.geteuid() == 0
        return done

    run("invite", "gate-0", "--sheet", mine / "other.html")  # imports as root; others may lack the right
    for path in (root / "srv/office", *(root / "srv/office").iterdir()):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    run("invite", "gate-1", "--sheet", mine / "codes.html")
    run("forms", "--no-voice", "--facts", mine / "facts.toml", "--out", mine / "forms")
    run("pass", "key")
    run("person", "add", "--name", "Wang Fang", "--household", "12")
    assert (mine / "codes.html").stat().st_uid == 0
    assert len(list((mine / "forms").glob("notice-*.en.txt"))) == 1
    theirs = {path.name: pwd.getpwuid(path.stat().st_uid).pw_name for path in (root / "srv/office").iterdir()}
    assert {name for name, owner in theirs.items() if owner != "nobody"} == set()
    assert {"invitations.db", "passes.key"} <= set(theirs)


def test_without_a_user_the_error_names_the_command_to_create_it():
    with pytest.raises(ProvisionError, match="no-such-user"):
        _ = Seat(Path("/srv/x"), user="no-such-user").owner


def test_the_help_names_the_commands(monkeypatch):
    output = CliRunner().invoke(main, ["office", "--help"]).output
    assert "install" in output
    assert "host" in output

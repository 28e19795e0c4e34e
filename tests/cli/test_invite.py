"""Tests `gated office invite`: codes for ten gates at once, each for its own gate, with a set lifetime, also on
paper.
"""

import json
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zxingcpp
from click.testing import CliRunner

from gated.access import qr
from gated.cli.office.office import office as group
from gated.errors import OfficeError
from gated.office.invitations import DAY_S, VALID_S, Invitations
from gated.office.registrar import Registrar
from gated.office.store import Store
from gated.protocol.pairing_code import CodeQuestion, PairingCode, StillGood

sys.path.append(str(Path(__file__).parents[1]))
from contracts.office import SITE, new_office

GATES = [f"gate-{number}" for number in range(1, 11)]


@pytest.fixture
def folder(tmp_path):
    new_office(tmp_path / "office")
    return tmp_path / "office"


@pytest.fixture
def run(folder):
    def run(*words, check=0):
        done = CliRunner().invoke(group, ["--dir", str(folder), *map(str, words)])
        if check == 0:
            assert done.exit_code == 0, done.output
        return done

    return run


def verdict(folder, text, days=0.0):
    """Return the office's verdict on that code, so many days from now."""
    code = PairingCode.parse(text)
    question = CodeQuestion(site=SITE, gate=code.gate, secret=code.secret.hex())
    with closing(Store.open(folder)) as store, closing(Registrar(folder, store)) as registrar:
        answer = registrar.judge(question, datetime.now(UTC) + timedelta(days=days))
    return "good" if isinstance(answer, StillGood) else answer.why


def test_ten_gates_have_ten_codes_at_once(run, folder):
    lines = run("invite", *GATES, "--days", 7).stdout.splitlines()
    codes = [PairingCode.parse(line) for line in lines]
    assert [code.gate for code in codes] == GATES
    assert len({code.secret for code in codes}) == 10
    assert {verdict(folder, line) for line in lines} == {"good"}
    moved = CodeQuestion(site=SITE, gate="gate-2", secret=codes[0].secret.hex())
    with closing(Store.open(folder)) as store, closing(Registrar(folder, store)) as registrar:
        assert registrar.judge(moved, datetime.now(UTC)).why == "wrong"


def test_a_code_is_valid_as_long_as_the_office_set(run, folder):
    week = run("invite", "gate-1", "--days", 7).stdout.strip()
    assert (verdict(folder, week, 6.9), verdict(folder, week, 7.1)) == ("good", "old")
    hour = run("invite", "gate-2").stdout.strip()
    assert (verdict(folder, hour, 0.04), verdict(folder, hour, 0.05)) == ("good", "old")


@pytest.mark.parametrize("days", [0, -1, 31, "nan", "inf", "x"])
def test_every_code_expires(run, days):
    assert run("invite", "gate-1", "--days", days, check=2).exit_code == 2


def test_the_end_of_validity_is_printed(run):
    until = datetime.now(UTC) + timedelta(days=7, hours=8)
    assert f"until {until:%Y-%m-%d}" in run("invite", "gate-1", "--days", 7).stderr


@pytest.mark.parametrize(
    ("gates", "says"), [(["gate-1", "gate!"], "cannot be the name of a gate"), (["a", "A"], "twice")]
)
def test_one_invalid_name_prevents_every_code(run, folder, gates, says):
    done = run("invite", *gates, check=1)
    assert isinstance(done.exception, OfficeError)
    assert says in str(done.exception)
    assert run("invitations").stdout == "nothing to list\n"


def test_the_sheet_has_a_scannable_slip_for_each_gate_and_is_private(run, folder, tmp_path):
    done = run("invite", *GATES, "--days", 7, "--sheet", tmp_path / "codes.html")
    assert done.stdout == "", "a code on paper is not on the screen as well"
    page = (tmp_path / "codes.html").read_text()
    assert (page.count("<section>"), page.count("<svg")) == (10, 10)
    assert (tmp_path / "codes.html").stat().st_mode & 0o777 == 0o600
    codes = [part.split("</code>")[0] for part in page.split("<p><code>")[1:]]
    assert {verdict(folder, code) for code in codes} == {"good"}
    assert all(qr.svg(code.upper()) in page for code in codes)


def test_the_drawn_picture_is_the_code(run, tmp_path):
    text = run("invite", "gate-1").stdout.strip()
    qr.write_png(text.upper(), tmp_path / "code.png")
    from PIL import Image

    (read,) = zxingcpp.read_barcodes(Image.open(tmp_path / "code.png"))
    assert PairingCode.parse(read.text) == PairingCode.parse(text)


def test_an_unwritable_sheet_uses_no_code(run, tmp_path):
    done = run("invite", "gate-1", "--sheet", tmp_path / "nowhere/codes.html", check=1)
    assert "cannot be written" in str(done.exception)
    assert run("invitations").stdout == "nothing to list\n"


def test_invitations_are_listed_without_codes_and_can_be_cancelled(run, folder):
    text = run("invite", "gate-1", "gate-2", "--days", 3).stdout.splitlines()[0]
    rows = json.loads(run("invitations", "--json").stdout)
    assert [row["gate"] for row in rows] == ["gate-1", "gate-2"]
    assert text.split("/")[-1] not in run("invitations").stdout
    run("invitations", "--cancel", "gate-1")
    assert verdict(folder, text) == "wrong"
    assert "gate-1" not in run("invitations").stdout
    assert "has no valid code" in str(run("invitations", "--cancel", "gate-1", check=1).exception)


def test_wrong_codes_are_reported_and_invalidate_no_code(run, folder):
    text = run("invite", "gate-1", "--days", 30).stdout.strip()
    code = PairingCode.parse(text)
    wrong = PairingCode(code.host, code.port, code.gate, code.fingerprint, bytes(10)).text()
    assert [verdict(folder, wrong) for _ in range(20)] == ["wrong"] * 20
    assert json.loads(run("invitations", "--json").stdout)[0]["wrong_tries"] == 20
    assert verdict(folder, text) == "good"


def test_codes_of_an_older_office_are_valid_for_an_hour(tmp_path):
    """The table has the form from before codes had a lifetime."""
    from gated.office import invitations
    from gated.storage import database

    database.connect(tmp_path / "invitations.db", invitations.MIGRATIONS[:1]).execute(
        "INSERT INTO invitation VALUES ('gate-1', 'ab', 1000.0, 0, NULL, NULL)"
    )
    with closing(Invitations(tmp_path)) as kept:
        assert kept.open(1000.0 + VALID_S).keys() == {"gate-1"}
        assert kept.open(1000.0 + DAY_S) == {}
        assert kept.judge_try("gate-1", "ab", "keys", 1000.0 + VALID_S) == "good"

"""Tests `gated check`: a gate that could trap a person never goes on duty. A smaller fault is only a note."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gated.cli import main
from gated.events import CredentialRemoved
from gated.journal.journal import Journal
from gated.protocol.jose import Identity


@pytest.fixture
def office(gate):
    """Return a gate whose commands run in this process. It has no models, because these tests need none."""
    gate.write(models={"dir": "nowhere"})

    def run(*arguments):
        return CliRunner().invoke(main, ["--config", str(gate.config), *arguments])

    gate.office = run
    return gate


def checks(office):
    return {each["part"]: each for each in json.loads(office.office("check", "--json").output)["checks"]}


def without_exit_button(office, **door):
    """Remove the exit button from the settings and set these keys of the door."""
    text = office.config.read_text().replace("rex_pin = 23\n", "")
    office.config.write_text(text)
    if door:
        office.config.write_text(
            text.replace("[door]\n", "[door]\n" + "".join(f'{k} = "{v}"\n' for k, v in door.items()))
        )


def test_a_door_without_an_exit_is_refused(office):
    office.write(door={"pins": "gpio"})
    without_exit_button(office)
    problem = checks(office)["wiring"]["problem"]
    assert "door.rex_pin" in problem
    assert "rex_waiver" in problem


def test_the_second_door_needs_its_own_exit(office):
    office.write(door={"pins": "gpio"}, second_door={"lock_pin": 11})
    problem = checks(office)["wiring"]["problem"]
    assert "second_door.rex_pin" in problem
    assert "door.rex_pin" not in problem.replace("second_door", "")


def test_a_written_waiver_is_accepted_and_an_empty_one_is_not(office):
    office.write(door={"pins": "gpio"})
    without_exit_button(office, rex_waiver="the office, 2027-01-15: a window of ground floor height")
    assert checks(office)["wiring"]["problem"] is None
    office.write()
    without_exit_button(office, rex_waiver="   ")
    assert checks(office)["wiring"]["problem"] is not None


def test_on_a_desk_no_exit_button_is_required(office):
    without_exit_button(office)
    assert checks(office)["wiring"]["problem"] is None


@pytest.mark.parametrize(
    ("door", "says"),
    [({"rex_pin": 22}, "pin 22 is used twice"), ({"lock": "strike", "fail": "safe"}, "fail-secure")],
)
def test_contradictory_wiring_is_refused_before_any_other_check(office, door, says):
    office.write(door=door)
    done = office.run("check", check=2)
    assert says in done.stderr


def test_the_pass_key_must_be_a_valid_key(office):
    assert checks(office)["pass key"]["problem"] is None
    office.write(readers={"pass_key": "site.pub"})
    assert "cannot be read" in checks(office)["pass key"]["problem"]
    (office.folder / "site.pub").write_bytes(b"no key")
    assert "no public key" in checks(office)["pass key"]["problem"]
    pem = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (office.folder / "site.pub").write_bytes(pem)
    assert checks(office)["pass key"]["problem"] is None


def test_missing_prompts_give_a_note_and_no_refusal(office):
    assert checks(office)["prompts"] == {"part": "prompts", "problem": None, "warning": None, "says": ""}
    office.write(cues={"sound": "alsa"})
    found = checks(office)["prompts"]
    assert found["problem"] is None
    assert "gated prompts" in found["warning"]
    assert "note  prompts: " in office.office("check").output


def test_an_access_rule_with_an_unknown_schedule_is_found(office):
    office.write(schedules={"daytime": {"start": "07:00", "end": "19:00"}})
    subject = office.office("people", "add", "--name", "Ann", "--household", "2-401").output.split()[-1]
    assert office.office("people", "rights", subject, "--schedule", "daytime").exit_code == 0
    assert checks(office)["access rules"]["problem"] is None
    office.config.write_text(office.config.read_text().replace("schedules.daytime", "schedules.weekdays"))
    problem = checks(office)["access rules"]["problem"]
    assert "schedules.daytime" in problem
    assert "Ann" not in problem
    assert subject not in problem


def test_a_gate_without_access_rules_passes_the_check(office):
    assert checks(office)["access rules"]["problem"] is None


def test_a_passed_part_is_good_and_a_failed_one_is_to_be_fixed(office):
    done = office.office("check")
    assert done.exit_code == 3
    words = {line.split()[0] for line in done.output.splitlines() if line.strip()}
    assert {"good", "fix"} <= words


def test_check_writes_no_false_event_into_the_journal(office):
    office.office("check")
    assert office.events() == []
    journal = Journal.open(office.state, "courtyard-2", "front")
    journal.append(CredentialRemoved("card", "0", None), datetime.now(UTC))
    journal.close()
    office.office("check")
    assert len(office.events()) == 1


@pytest.fixture
def paired(office):
    """Return a gate that joined an office, with all five files."""
    folder = office.folder / "sync"
    folder.mkdir()
    authority = trustme.CA()
    certificate = authority.issue_cert("front.invalid", common_name="front")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "front.pem")
    certificate.private_key_pem.write_to_path(folder / "front.key")
    Identity.make().save(folder / "gate.jwks")
    (folder / "office.jwks").write_bytes(Identity.make().party.dump())
    names = {"ca": "ca.pem", "cert": "front.pem", "key": "front.key", "gate_keys": "gate.jwks"}
    files = {key: str(folder / name) for key, name in {**names, "office_keys": "office.jwks"}.items()}
    office.write(sync={"url": "mqtts://localhost:8883", **files})
    office.files = {key: Path(file) for key, file in files.items()}
    return office


def test_a_completely_paired_gate_passes_the_check(paired):
    assert checks(paired)["server"]["problem"] is None


@pytest.mark.parametrize("which", ["ca", "cert", "key", "gate_keys", "office_keys"])
def test_each_missing_or_invalid_file_of_the_pairing_is_named(paired, which):
    file = paired.files[which]
    file.write_bytes(b"nothing of the kind")
    assert file.name in checks(paired)["server"]["problem"]
    file.unlink()
    assert f"{file}: cannot be read" in checks(paired)["server"]["problem"]


def test_private_keys_that_others_may_read_are_a_problem(paired):
    paired.files["gate_keys"].chmod(0o644)
    assert "chmod 600" in checks(paired)["server"]["problem"]


def test_private_keys_that_others_may_read_disable_only_the_link(paired):
    """The link is refused because the keys may have been copied. The gate opens as before and reports this."""
    paired.files["gate_keys"].chmod(0o644)
    brain = paired.start("run")
    paired.wait_for(lambda: "sync" in (paired.events("degraded") or [{"lost": []}])[-1]["lost"], every_s=0.3)
    assert "chmod 600" in paired.log()
    paired.files["gate_keys"].chmod(0o600)
    paired.wait_for(lambda: "sync" not in paired.events("degraded")[-1]["lost"], every_s=0.3)
    brain.terminate()
    assert brain.wait(20) == 0
